//! Schemas as this API writes them: no formats of one language, closed answers, enumerations in one list.

use serde_json::{Map, Value, json};

/// Formats of Rust's numbers, with the greatest whole number that each is read as. JSON's readers hold 53
/// bits exactly.
const FORMATS: [(&str, Option<u64>); 11] = [
    ("uint8", Some(u8::MAX as u64)),
    ("uint16", Some(u16::MAX as u64)),
    ("uint32", Some(u32::MAX as u64)),
    ("uint64", Some(EXACT_MAX)),
    ("uint", Some(EXACT_MAX)),
    ("uint128", Some(EXACT_MAX)),
    ("int32", None),
    ("int64", None),
    ("int", None),
    ("float", None),
    ("double", None),
];
const EXACT_MAX: u64 = (1 << 53) - 1;

/// Of an answer: an object has the members that are named and no others, unless it says so.
pub(super) fn answer(mut schema: Value) -> Value {
    visit(&mut schema, &|members| {
        common(members);
        if members.contains_key("properties") && members.get("type").is_some_and(|kind| kind == "object") {
            members.entry("additionalProperties").or_insert(json!(false));
        }
    });
    schema
}

/// Of a request: what serde accepts is accepted.
pub(super) fn request(mut schema: Value) -> Value {
    visit(&mut schema, &|members| {
        let greatest = format(members).and_then(|(_, greatest)| greatest);
        common(members);
        if let Some(greatest) = greatest {
            members.entry("maximum").or_insert(json!(greatest));
        }
    });
    schema
}

fn format(members: &Map<String, Value>) -> Option<(&'static str, Option<u64>)> {
    let named = members.get("format")?.as_str()?;
    FORMATS.into_iter().find(|(format, _)| *format == named)
}

/// Calls `change` for every schema within a schema.
fn visit(schema: &mut Value, change: &dyn Fn(&mut Map<String, Value>)) {
    let Value::Object(members) = schema else { return };
    change(members);
    for (name, value) in members.iter_mut() {
        match (name.as_str(), value) {
            ("properties" | "patternProperties" | "$defs", Value::Object(all)) => {
                all.values_mut().for_each(|one| visit(one, change));
            }
            ("oneOf" | "anyOf" | "allOf" | "prefixItems", Value::Array(all)) => {
                all.iter_mut().for_each(|one| visit(one, change));
            }
            ("items" | "additionalProperties" | "not", one) => visit(one, change),
            _ => {}
        }
    }
}

fn common(members: &mut Map<String, Value>) {
    if format(members).is_some() {
        members.remove("format");
    }
    if let Some(Value::String(text)) = members.get_mut("description") {
        *text = unwrapped(text);
    }
    flatten_enum(members);
    null_or(members);
}

/// Lines of a comment end where its editor wrapped them; paragraphs stay.
fn unwrapped(text: &str) -> String {
    let paragraphs: Vec<String> = text.split("\n\n").map(|one| one.replace('\n', " ")).collect();
    paragraphs.join("\n\n")
}

/// `oneOf` constants that are texts, each with its own description, as one enumeration that describes them
/// all.
fn flatten_enum(members: &mut Map<String, Value>) {
    let Some(Value::Array(all)) = members.get("oneOf") else { return };
    let mut values: Vec<Value> = Vec::new();
    let mut described: Vec<String> =
        members.get("description").and_then(Value::as_str).map(str::to_owned).into_iter().collect();
    for one in all {
        let of_it: Vec<&Value> = match (one.get("const"), one.get("enum")) {
            (Some(value), None) => vec![value],
            (None, Some(Value::Array(several))) => several.iter().collect(),
            _ => return,
        };
        if !of_it.iter().all(|value| value.is_string()) {
            return;
        }
        if let (Some(text), [Value::String(value)]) =
            (one.get("description").and_then(Value::as_str), &of_it[..])
        {
            described.push(format!("`{value}`: {}", first_lowercase(text)));
        }
        values.extend(of_it.into_iter().cloned());
    }
    members.remove("oneOf");
    members.insert("type".to_owned(), json!("string"));
    members.insert("enum".to_owned(), values.into());
    if !described.is_empty() {
        members.insert("description".to_owned(), json!(described.join(" ")));
    }
}

fn first_lowercase(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

/// `anyOf` with null is a choice of one: `oneOf` says so.
fn null_or(members: &mut Map<String, Value>) {
    let is_choice = |all: &Vec<Value>| all.len() == 2 && all[1] == json!({ "type": "null" });
    if let Some(Value::Array(all)) = members.get("anyOf")
        && is_choice(all)
        && let Some(choice) = members.remove("anyOf")
    {
        members.insert("oneOf".to_owned(), choice);
    }
}
