//! Schemas of texts that many answers and requests have: names, cursors, times. None of them has a value; a
//! field names one in
//! `#[schemars(with = "…")]` where its own type writes or reads such a text.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A type that exists for its schema. With a name the schema stands among the components, without one where
/// it is used.
macro_rules! schema {
    ($(#[$about:meta])* $name:ident as $shown:literal, $generator:ident => $schema:expr) => {
        schema!($(#[$about])* $name as $shown, false, $generator => $schema);
    };
    ($(#[$about:meta])* $name:ident, $generator:ident => $schema:expr) => {
        schema!($(#[$about])* $name as "", true, $generator => $schema);
    };
    ($(#[$about:meta])* $name:ident as $shown:literal, $inline:literal, $generator:ident => $schema:expr) => {
        $(#[$about])*
        pub enum $name {}

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                $shown.into()
            }

            fn inline_schema() -> bool {
                $inline
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

schema!(
    /// A cursor.
    CursorText as "Cursor", _generator => json_schema!({
        "type": "string",
        "description": "\"I have seen everything up to here\": the log's epoch and an offset. The same text on every transport.",
        "pattern": "^[0-9a-f]{8}-(0|[1-9][0-9]{0,15})$",
        "examples": ["1f0c93ab-18"],
    })
);

schema!(
    /// A cursor, or the beginning.
    After as "After", generator => json_schema!({
        "description": "A cursor, or `0` for the oldest kept event.",
        "oneOf": [generator.subschema_for::<CursorText>(), { "type": "string", "const": "0" }],
    })
);

/// The days that there are: months of 31 and of 30 days, February, and its 29th in leap years, with years as
/// the two patterns say.
macro_rules! time_pattern {
    ($years:literal, $leap_years:literal) => {
        concat!(
            "^(?:",
            $years,
            "-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|",
            "02-(?:0[1-9]|1[0-9]|2[0-8]))|",
            $leap_years,
            "-02-29)",
            "T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\\.[0-9]{3}Z$"
        )
    };
}

schema!(
    /// A point in time.
    Time as "Time", _generator => json_schema!({
        "type": "string",
        "description": "ISO-8601, UTC, milliseconds; a day there is.",
        "pattern": time_pattern!(
            "[0-8][0-9]{3}",
            "(?:[0-8][0-9](?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[1357][26])00)"
        ),
        "examples": ["2026-01-23T10:00:03.000Z"],
    })
);

schema!(
    /// A point in time that a machine's clock shows.
    ClockTime as "ClockTime", _generator => json_schema!({
        "type": "string",
        "description": "What a clock shows: a time in the years 1000 to 2999.",
        "pattern": time_pattern!(
            "[12][0-9]{3}",
            "(?:[12][0-9](?:0[48]|[2468][048]|[13579][26])|(?:1[26]|2[048])00)"
        ),
    })
);

schema!(
    /// A point in time as a parameter names it.
    Moment as "Moment", generator => json_schema!({
        "description": "A time, or milliseconds since 1970. Times of other zones and precisions are read as well.",
        "anyOf": [generator.subschema_for::<Time>(), { "type": "string", "pattern": "^[0-9]{1,14}$" }],
    })
);

schema!(
    /// The name of a channel.
    ChannelName as "ChannelName", _generator => json_schema!({
        "type": "string",
        "description": "1 to 255 bytes of UTF-8 without control characters, white space or commas. Names that begin with `$` belong to the server.",
        "minLength": 1,
        "maxLength": 255,
        "pattern": "^[^\\s,\\u0000-\\u001f\\u007f-\\u009f]+$",
        "examples": ["news"],
    })
);

schema!(
    /// The name of an event.
    EventNameText as "EventName", _generator => json_schema!({
        "type": "string",
        "description": "1 to 255 bytes of UTF-8 without control characters.",
        "minLength": 1,
        "maxLength": 255,
        "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]+$",
        "examples": ["created"],
    })
);

schema!(
    /// An idempotency key.
    IdempotencyKeyText, _generator => json_schema!({
        "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]{1,255}$",
    })
);

schema!(
    /// The constant `true`.
    True, _generator => json_schema!({ "const": true })
);

schema!(
    /// Any JSON value.
    Anything, _generator => json_schema!({ "description": "Any JSON value." })
);

schema!(
    /// A number from 0 that every reader of JSON holds.
    Amount, _generator => json_schema!({ "type": "number", "minimum": 0, "maximum": 9_007_199_254_740_991_u64 })
);

schema!(
    /// A point in time that a host names: in requests what a clock shows.
    ReportedTime, generator => if generator.contract().is_deserialize() {
        generator.subschema_for::<ClockTime>()
    } else {
        generator.subschema_for::<Time>()
    }
);
