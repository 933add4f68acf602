//! What a setting may hold, and the row of the reference that tells about it.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use crate::{
    number::written,
    range::{Amount, OutOfRange, Range},
};

/// What stands in a key for a name that somebody chose.
pub const ANY_NAME: &str = "NAME";

/// One setting, as it was declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The dotted key.
    pub key: String,
    /// What it does.
    pub meaning: String,
    /// What holds when it is not given. Empty for a section.
    pub default: String,
    /// From where to where it may go.
    pub range: Option<Range>,
    /// Whether it holds other settings.
    pub section: bool,
}

impl Setting {
    /// A section of settings.
    #[must_use]
    pub fn section(key: impl Into<String>, meaning: impl Into<String>) -> Self {
        let (key, meaning) = (key.into(), meaning.into());
        Self { key, meaning, default: String::new(), range: None, section: true }
    }
}

/// What a setting may hold: a value, a section of settings, or several of either.
pub trait SettingValue {
    /// Whether it holds other settings.
    const IS_SECTION: bool = false;
    /// What the reference says where there is no default.
    const WITHOUT_DEFAULT: &'static str = "must be given";
    /// What of it can have a range.
    const AMOUNT: Amount = Amount::Number;

    /// It as the default in the reference, in Markdown.
    fn default_text(&self, key: &str) -> String;

    /// What is compared with its range; nothing is in every range.
    fn amount(&self) -> Option<u64> {
        None
    }

    /// Adds the settings in it.
    fn add_settings(_key: &str, _settings: &mut Vec<Setting>) {}

    /// Checks the ranges of the settings in it.
    ///
    /// # Errors
    /// [`OutOfRange`] for the first that is outside.
    fn check_ranges(&self, _key: &str) -> Result<(), OutOfRange> {
        Ok(())
    }
}

/// A text as a default in the reference: as it stands in a file.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("`{text:?}`")
}

const NONE: &str = "none";

macro_rules! numbers {
    ($($number:ty)*) => {
        $(impl SettingValue for $number {
            fn default_text(&self, key: &str) -> String {
                written(key, *self as u64)
            }

            fn amount(&self) -> Option<u64> {
                Some(*self as u64)
            }
        })*
    };
}

numbers!(u32 u64 usize);

impl SettingValue for bool {
    fn default_text(&self, _key: &str) -> String {
        format!("`{self}`")
    }
}

impl SettingValue for String {
    fn default_text(&self, _key: &str) -> String {
        quoted(self)
    }
}

impl SettingValue for PathBuf {
    fn default_text(&self, _key: &str) -> String {
        quoted(&self.display().to_string())
    }
}

impl SettingValue for SocketAddr {
    fn default_text(&self, _key: &str) -> String {
        quoted(&self.to_string())
    }
}

impl<V: SettingValue> SettingValue for Option<V> {
    const WITHOUT_DEFAULT: &'static str = NONE;
    const AMOUNT: Amount = V::AMOUNT;

    fn default_text(&self, key: &str) -> String {
        self.as_ref().map_or_else(|| NONE.to_owned(), |value| value.default_text(key))
    }

    fn amount(&self) -> Option<u64> {
        self.as_ref().and_then(V::amount)
    }
}

impl<V: SettingValue> SettingValue for Vec<V> {
    const IS_SECTION: bool = V::IS_SECTION;
    const AMOUNT: Amount = Amount::Entries;

    fn default_text(&self, key: &str) -> String {
        let texts: Vec<String> = self.iter().map(|value| value.default_text(key)).collect();
        let entries: Vec<&str> = texts.iter().map(|text| text.trim_matches('`')).collect();
        if entries.is_empty() { NONE.to_owned() } else { format!("`[{}]`", entries.join(", ")) }
    }

    fn amount(&self) -> Option<u64> {
        Some(self.len() as u64)
    }

    fn add_settings(key: &str, settings: &mut Vec<Setting>) {
        V::add_settings(key, settings);
    }

    fn check_ranges(&self, key: &str) -> Result<(), OutOfRange> {
        self.iter().enumerate().try_for_each(|(index, value)| value.check_ranges(&format!("{key}[{index}]")))
    }
}

impl<V: SettingValue> SettingValue for BTreeMap<String, V> {
    const IS_SECTION: bool = V::IS_SECTION;

    fn default_text(&self, _key: &str) -> String {
        NONE.to_owned()
    }

    fn add_settings(key: &str, settings: &mut Vec<Setting>) {
        if V::IS_SECTION {
            let key = format!("{key}.{ANY_NAME}");
            settings.push(Setting::section(key.as_str(), "One of them, by its name."));
            V::add_settings(&key, settings);
        }
    }

    fn check_ranges(&self, key: &str) -> Result<(), OutOfRange> {
        self.iter().try_for_each(|(name, value)| value.check_ranges(&format!("{key}.{name}")))
    }
}
