//! JSON that others give a job: kept and shown as the text that it is. `1.10`, `1E400`, 9007199254740993 and
//! `"\u00e9"` come back as they were typed, and members in their order.

use std::fmt;

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;

/// Any JSON value as its text, without line breaks. Equal texts are equal values.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// The text.
    #[must_use]
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.get() == "null"
    }

    /// The value `null`.
    #[must_use]
    pub fn null() -> Self {
        Self(RawValue::NULL.to_owned())
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl From<&RawValue> for Json {
    fn from(text: &RawValue) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<Box<RawValue>> for Json {
    fn from(text: Box<RawValue>) -> Self {
        if !text.get().contains(['\n', '\r']) {
            return Self(text);
        }
        // An event is one line. A break can only stand between tokens, where a space means the same.
        let line = text.get().replace(['\n', '\r'], " ");
        Self(RawValue::from_string(line).expect("white space for white space"))
    }
}

impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        Self(RawValue::from_string(value.to_string()).expect("a value's text is JSON"))
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self::from)
    }
}

/// Members by their names, in the order in which they were first set.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metadata(IndexMap<String, Json>);

impl Metadata {
    /// Whether there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A member.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.get(name)
    }

    /// How long it is as JSON, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        serde_json::to_vec(self).map_or(0, |json| json.len())
    }

    /// What it takes in memory, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| 100 + name.len() + value.get().len()).sum()
    }

    pub(crate) fn set(&mut self, name: String, value: Json) {
        self.0.insert(name, value);
    }

    /// Sets members; null removes one.
    pub(crate) fn merge(&mut self, news: &Self) {
        for (name, value) in &news.0 {
            if value.is_null() {
                self.0.shift_remove(name);
            } else {
                self.0.insert(name.clone(), value.clone());
            }
        }
    }

    /// Only what would change others.
    pub(crate) fn news_to(mut self, others: &Self) -> Self {
        self.0.retain(|name, value| match others.get(name) {
            Some(known) => known != value,
            None => !value.is_null(),
        });
        self
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Extend<(String, Json)> for Metadata {
    fn extend<T: IntoIterator<Item = (String, Json)>>(&mut self, members: T) {
        self.0.extend(members);
    }
}

impl IntoIterator for Metadata {
    type Item = (String, Json);
    type IntoIter = indexmap::map::IntoIter<String, Json>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(&self.0)
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> de::Visitor<'de> for Members {
    type Value = Metadata;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut members: A) -> Result<Metadata, A::Error> {
        let mut metadata = Metadata::default();
        while let Some((name, value)) = members.next_entry()? {
            metadata.set(name, value);
        }
        Ok(metadata)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPED: &str =
        r#"{"z":1.10,"b":1E400,"c":9007199254740993,"d":-0.0,"e":"\u00e9","a":{"x":1,"x":2}}"#;

    #[test]
    fn a_value_and_members_keep_their_texts_and_their_order() {
        let value: Json = serde_json::from_str(TYPED).expect("JSON");
        let members: Metadata = serde_json::from_str(TYPED).expect("members");
        assert_eq!(serde_json::to_string(&value).expect("JSON"), TYPED);
        assert_eq!(serde_json::to_string(&members).expect("JSON"), TYPED);
        assert_eq!(members.bytes(), TYPED.len());
    }

    #[test]
    fn a_value_is_one_line() {
        let value: Json = serde_json::from_str("[1,\r\n2]").expect("JSON");
        assert_eq!(value.get(), "[1,  2]");
    }

    #[test]
    fn news_are_merged_and_null_removes_a_member() {
        let members = |text: &str| serde_json::from_str::<Metadata>(text).expect("members");
        let mut known = members(r#"{"a":1,"b":2,"c":3}"#);
        let news = members(r#"{"c":3,"b":null,"d":null,"a":1.0,"e":5}"#).news_to(&known);
        assert_eq!(news, members(r#"{"b":null,"a":1.0,"e":5}"#));
        known.merge(&news);
        assert_eq!(serde_json::to_string(&known).expect("JSON"), r#"{"a":1.0,"c":3,"e":5}"#);
    }
}
