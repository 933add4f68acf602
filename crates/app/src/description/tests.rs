use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Content, Header, Operation, Parameter, document, schemas::Time};

/// How a lamp is.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Light {
    /// It shines.
    On,
    Off,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Lamp {
    light: Light,
    watts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    room: Option<String>,
    #[schemars(with = "Time")]
    since: String,
}

fn lamps() -> Value {
    let put = Operation::put("/lamp", "setLamp")
        .is("Lamps", "Set it")
        .takes(Parameter::idempotency_key())
        .body([Content::request::<Lamp>()])
        .writes::<Lamp>(
            200,
            "It is.",
            json!({ "light": "on", "watts": null, "since": "2026-01-23T10:00:03.000Z" }),
        )
        .guarded()
        .appends();
    let get = Operation::get("/lamp", "lamp").answers(
        super::Answer::new(204, "Nothing new.").header(Header::new("ETag", "Its version.").shared()),
    );
    document(json!({ "openapi": "3.1.0" }), &[put, get], &["internal"])
}

#[test]
fn an_answer_has_every_member_that_is_always_written_and_no_other() {
    let whole = lamps();
    let lamp = &whole["components"]["schemas"]["Lamp"];
    assert_eq!(lamp["required"], json!(["light", "watts", "since"]));
    assert_eq!(lamp["additionalProperties"], json!(false));
    assert_eq!(lamp["properties"]["watts"], json!({ "type": ["integer", "null"], "minimum": 0 }));
    let answer = &whole["paths"]["/lamp"]["put"]["responses"]["200"]["content"]["application/json"];
    assert_eq!(answer["schema"], json!({ "$ref": "#/components/schemas/Lamp" }));
}

#[test]
fn a_request_may_leave_out_what_has_a_default_and_is_a_schema_of_its_own() {
    let whole = lamps();
    let body = &whole["paths"]["/lamp"]["put"]["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(*body, json!({ "$ref": "#/components/schemas/LampRequest" }));
    let lamp = &whole["components"]["schemas"]["LampRequest"];
    assert_eq!(lamp["properties"]["watts"]["maximum"], json!(u32::MAX));
    assert!(!lamp["required"].as_array().expect("names").contains(&json!("watts")), "{lamp}");
}

#[test]
fn the_values_of_an_enumeration_are_described_in_one_sentence() {
    let whole = lamps();
    let light = &whole["components"]["schemas"]["Light"];
    assert_eq!(light["enum"].as_array().map(Vec::len), Some(2));
    assert_eq!(light["description"], "How a lamp is. `on`: it shines.");
}

#[test]
fn every_code_of_a_refusal_is_one_of_the_errors_and_says_when_to_come_again() {
    let whole = lamps();
    let codes = whole["components"]["schemas"]["Error"]["properties"]["code"]["enum"].clone();
    for code in ["unauthorized", "host_forbidden", "busy", "storage_full", "internal"] {
        assert!(codes.as_array().expect("codes").contains(&json!(code)), "{code}");
    }
    let busy = &whole["paths"]["/lamp"]["put"]["responses"]["503"];
    assert_eq!(busy["headers"]["Retry-After"], json!({ "$ref": "#/components/headers/Retry-After" }));
    assert!(whole["components"]["parameters"]["IdempotencyKey"].is_object());
}
