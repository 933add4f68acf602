//! How settings are declared.

use std::ops::RangeInclusive;

use crate::{
    range::{OutOfRange, Range},
    value::{Setting, SettingValue},
};

/// Declares the settings of one section: a plain struct that serde reads, refusing unknown keys,
/// and writes.
///
/// A setting is `pub key: Type = default;` or, where what it holds has a range,
/// `pub key: Type = default, in least..=most;`. Its comment is its meaning, in the reference too. A section
/// stands in another like a value: `pub limits: LimitsConfig = LimitsConfig::default();`.
///
/// Where an entry of a list must name something, no setting of the section has a default: those that may be
/// left out are `Option`s, and `else text` says in the reference what holds then.
///
/// ```
/// anywire_settings::settings! {
///     /// Limits of one session.
///     pub struct SessionConfig {
///         /// Silence after which the server pings.
///         pub ping_interval_ms: u32 = 25_000, in 1_000..=300_000;
///         /// What the session is called.
///         pub name: Option<String> = None;
///     }
/// }
/// ```
#[macro_export]
macro_rules! settings {
    (
        $(#[$attribute:meta])*
        $visible:vis struct $section:ident {
            $(
                $(#[doc = $doc:literal])+
                $seen:vis $field:ident: $kind:ty = $default:expr $(, in $range:expr)?;
            )+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
        #[serde(deny_unknown_fields, default)]
        $visible struct $section {
            $($(#[doc = $doc])+ $seen $field: $kind,)+
        }

        impl Default for $section {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        $crate::settings! {
            @value $section, key, { let defaults = Self::default(); }
            $($field: $kind, $($doc)+, $crate::SettingValue::default_text(&defaults.$field, &key) $(, $range)?;)+
        }
    };
    (
        $(#[$attribute:meta])*
        $visible:vis struct $section:ident {
            $(
                $(#[doc = $doc:literal])+
                $seen:vis $field:ident: $kind:ty $(, in $range:expr)? $(, else $otherwise:expr)?;
            )+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
        #[serde(deny_unknown_fields)]
        $visible struct $section {
            $($(#[doc = $doc])+ $seen $field: $kind,)+
        }

        $crate::settings! {
            @value $section, key, {}
            $($field: $kind, $($doc)+, $crate::Declared::<$kind>::without_default(&[$($otherwise)?]) $(, $range)?;)+
        }
    };
    (
        @value $section:ident, $key:ident, { $($first:tt)* }
        $($field:ident: $kind:ty, $($doc:literal)+, $default:expr $(, $range:expr)?;)+
    ) => {
        impl $crate::SettingValue for $section {
            const IS_SECTION: bool = true;

            fn default_text(&self, _key: &str) -> String {
                String::new()
            }

            fn add_settings(section: &str, settings: &mut Vec<$crate::Setting>) {
                $($first)*
                $({
                    let $key = $crate::joined(section, stringify!($field));
                    let default = $default;
                    let declared = $crate::Declared::<$kind>::new($key)$(.within($range))?;
                    declared.add(concat!($($doc),+), default, settings);
                })+
            }

            fn check_ranges(&self, section: &str) -> Result<(), $crate::OutOfRange> {
                $({
                    let key = $crate::joined(section, stringify!($field));
                    $crate::Declared::<$kind>::new(key)$(.within($range))?.check(&self.$field)?;
                })+
                Ok(())
            }
        }
    };
}

/// The key of a setting in a section.
#[must_use]
pub fn joined(section: &str, field: &str) -> String {
    if section.is_empty() { field.to_owned() } else { format!("{section}.{field}") }
}

/// A setting where it was declared.
#[derive(Debug)]
pub struct Declared<V> {
    key: String,
    range: Option<Range>,
    kind: std::marker::PhantomData<V>,
}

impl<V: SettingValue> Declared<V> {
    /// A setting without a range.
    #[must_use]
    pub fn new(key: String) -> Self {
        Self { key, range: None, kind: std::marker::PhantomData }
    }

    /// The same with one.
    #[must_use]
    pub fn within(self, range: RangeInclusive<u64>) -> Self {
        Self { range: Some(Range::new(V::AMOUNT, range)), ..self }
    }

    /// What the reference says as its default where it has none.
    #[must_use]
    pub fn without_default(otherwise: &[String]) -> String {
        otherwise.first().cloned().unwrap_or_else(|| V::WITHOUT_DEFAULT.to_owned())
    }

    /// Adds it to the reference, and what is in it.
    pub fn add(self, meaning: &str, default: String, settings: &mut Vec<Setting>) {
        let default = if V::IS_SECTION { String::new() } else { default };
        let (key, meaning) = (self.key.clone(), meaning.trim().to_owned());
        settings.push(Setting { key, meaning, default, range: self.range, section: V::IS_SECTION });
        V::add_settings(&self.key, settings);
    }

    /// Checks a value of it, and what is in that.
    ///
    /// # Errors
    /// [`OutOfRange`] names the key, the value and the range.
    pub fn check(&self, value: &V) -> Result<(), OutOfRange> {
        if let (Some(range), Some(amount)) = (&self.range, value.amount()) {
            range.check(&self.key, amount)?;
        }
        value.check_ranges(&self.key)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    settings! {
        /// A house.
        struct HouseConfig {
            /// How long the door
            /// stays open.
            open_ms: u32 = 1_000, in 10..=60_000;
            /// Its names.
            names: Vec<String> = vec!["home".to_owned()], in 1..=2;
            /// Its rooms.
            rooms: Vec<RoomSection> = Vec::new();
            /// Its doors.
            doors: BTreeMap<String, DoorSection> = BTreeMap::new();
        }
    }

    settings! {
        /// A room.
        struct RoomSection {
            /// What it is called.
            name: String;
            /// How many windows it has.
            windows_max: Option<u64>, in 0..=8, else "as many as the wall holds".to_owned();
            /// Its colour.
            colour: Option<String>;
        }
    }

    settings! {
        /// A door.
        struct DoorSection {
            /// How many keys it has.
            keys_max: usize = 1, in 1..=3;
        }
    }

    fn house(json: &str) -> HouseConfig {
        serde_json::from_str(json).expect("a house")
    }

    #[test]
    fn every_setting_is_listed_as_it_was_declared() {
        let mut settings = Vec::new();
        HouseConfig::add_settings("house", &mut settings);
        let row = |setting: &Setting| {
            let range = setting.range.as_ref().map(|range| range.written(&setting.key)).unwrap_or_default();
            format!("{} | {} | {range} | {}", setting.key, setting.default, setting.meaning)
        };
        let rows: Vec<String> = settings.iter().map(row).collect();
        let expected = [
            "house.open_ms | 1 000 ms (1 second) | 10 ms to 60 000 ms (1 minute) | How long the door stays open.",
            "house.names | `[\"home\"]` | 1 to 2 entries | Its names.",
            "house.rooms |  |  | Its rooms.",
            "house.rooms.name | must be given |  | What it is called.",
            "house.rooms.windows_max | as many as the wall holds | 0 to 8 | How many windows it has.",
            "house.rooms.colour | none |  | Its colour.",
            "house.doors |  |  | Its doors.",
            "house.doors.NAME |  |  | One of them, by its name.",
            "house.doors.NAME.keys_max | 1 | 1 to 3 | How many keys it has.",
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn what_is_not_given_has_its_default_and_what_is_not_known_is_refused() {
        let given = house("{\"open_ms\":20}");
        assert_eq!((given.open_ms, given.names), (20, vec!["home".to_owned()]));
        assert!(serde_json::from_str::<HouseConfig>("{\"open\":1}").is_err());
        assert!(serde_json::from_str::<RoomSection>("{}").is_err(), "a room needs a name");
    }

    #[test]
    fn a_setting_outside_its_range_is_named_with_its_value_and_the_range() {
        for (json, expected) in [
            ("{\"open_ms\":9}", "house.open_ms is 9; set it between 10 and 60000"),
            ("{\"names\":[]}", "house.names (number of entries) is 0; set it between 1 and 2"),
            (
                "{\"rooms\":[{\"name\":\"a\"},{\"name\":\"b\",\"windows_max\":9}]}",
                "house.rooms[1].windows_max is 9; set it between 0 and 8",
            ),
            (
                "{\"doors\":{\"front\":{\"keys_max\":4}}}",
                "house.doors.front.keys_max is 4; set it between 1 and 3",
            ),
        ] {
            let error = house(json).check_ranges("house").expect_err(json);
            assert_eq!(error.to_string(), expected);
        }
        assert_eq!(HouseConfig::default().check_ranges("house"), Ok(()));
    }
}
