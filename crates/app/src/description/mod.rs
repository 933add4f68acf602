//! The description of an HTTP API (OpenAPI 3.1), put together from its operations and from the types that
//! they read and write.
//!
//! The schema of a body is the one of its Rust type (`schemars`), so it cannot say anything else than serde
//! does. Answers and requests are two contracts of one type: in an answer every member that is always written
//! is required, in a request every member without a default.

use std::collections::{BTreeMap, BTreeSet};

use schemars::{
    JsonSchema, Schema,
    generate::{Contract, SchemaGenerator, SchemaSettings},
};
use serde_json::{Map, Value, json};

mod operation;
pub mod schemas;
#[cfg(test)]
mod tests;
mod tidy;

pub use operation::{Answer, Content, Header, Operation, Parameter};

const SCHEMAS: &str = "#/components/schemas/";

/// Where a schema comes from. A function, so that an operation can be written down before there is a
/// generator.
#[derive(Clone)]
pub(crate) enum Source {
    /// A type as it is written into answers.
    Answer(fn(&mut SchemaGenerator) -> Schema),
    /// A type as it is read from requests.
    Request(fn(&mut SchemaGenerator) -> Schema),
    /// A schema that no type has.
    Literal(Value),
}

impl Source {
    pub(crate) fn answer<T: JsonSchema>() -> Self {
        Self::Answer(|generator| generator.subschema_for::<T>())
    }

    pub(crate) fn request<T: JsonSchema>() -> Self {
        Self::Request(|generator| generator.subschema_for::<T>())
    }
}

/// What is described so far: schemas, and parameters and headers that several operations share.
pub struct Components {
    answers: SchemaGenerator,
    requests: SchemaGenerator,
    parameters: Map<String, Value>,
    headers: Map<String, Value>,
    codes: BTreeSet<String>,
}

impl Components {
    fn new() -> Self {
        let of = |contract| {
            let settings = SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
                settings.contract = contract;
            });
            settings.into_generator()
        };
        Self {
            answers: of(Contract::Serialize),
            requests: of(Contract::Deserialize),
            parameters: Map::new(),
            headers: Map::new(),
            codes: BTreeSet::new(),
        }
    }

    /// The schema of a source, with references into the components. One of a request is marked until
    /// [`Self::schemas`] knows its name.
    fn schema(&mut self, source: &Source) -> Value {
        match source {
            Source::Answer(of) => tidy::answer(of(&mut self.answers).to_value()),
            Source::Request(of) => marked(tidy::request(of(&mut self.requests).to_value())),
            Source::Literal(schema) => schema.clone(),
        }
    }

    fn parameter(&mut self, parameter: &Parameter) -> Value {
        let described = parameter.render(self);
        shared(&mut self.parameters, "parameters", parameter.shared_as(), described)
    }

    fn header(&mut self, header: &Header) -> Value {
        let described = header.render(self);
        shared(&mut self.headers, "headers", header.shared_as(), described)
    }

    /// All schemas by their names, and the names of those that requests have in another form than answers:
    /// these end with `Request`.
    fn schemas(&mut self) -> (Map<String, Value>, BTreeSet<String>) {
        let answers: BTreeMap<String, Value> = self
            .answers
            .take_definitions(false)
            .into_iter()
            .map(|(name, one)| (name, tidy::answer(one)))
            .collect();
        let requests: BTreeMap<String, Value> = self
            .requests
            .take_definitions(false)
            .into_iter()
            .map(|(name, one)| (name, tidy::request(one)))
            .collect();
        let mut differ: BTreeSet<String> = BTreeSet::new();
        loop {
            let more: Vec<String> = requests
                .iter()
                .filter(|(name, _)| !differ.contains(*name) && answers.contains_key(*name))
                .filter(|(name, one)| answers[*name] != **one || refers_to(one, &differ))
                .map(|(name, _)| name.clone())
                .collect();
            if more.is_empty() {
                break;
            }
            differ.extend(more);
        }
        let mut all: Map<String, Value> = answers.into_iter().collect();
        for (name, mut one) in requests {
            rename(&mut one, &|name| request_name(name, &differ));
            all.insert(request_name(&name, &differ), one);
        }
        (all, differ)
    }
}

fn request_name(name: &str, differ: &BTreeSet<String>) -> String {
    if differ.contains(name) { format!("{name}Request") } else { name.to_owned() }
}

/// Puts what is shared among the components and leaves a reference.
fn shared(all: &mut Map<String, Value>, kind: &str, name: Option<&str>, described: Value) -> Value {
    let Some(name) = name else { return described };
    let known = all.entry(name).or_insert_with(|| described.clone());
    assert!(*known == described, "two {kind} are shared as {name}");
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

/// Marks the references of a request's schema: what they are called turns out when all schemas are known.
fn marked(mut schema: Value) -> Value {
    rename(&mut schema, &|name| format!("?{name}"));
    schema
}

/// Renames what references lead to.
fn rename(value: &mut Value, name: &dyn Fn(&str) -> String) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(target)) = members.get_mut("$ref")
                && let Some(old) = target.strip_prefix(SCHEMAS)
            {
                *target = format!("{SCHEMAS}{}", name(old));
            }
            members.values_mut().for_each(|value| rename(value, name));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| rename(value, name)),
        _ => {}
    }
}

fn refers_to(value: &Value, names: &BTreeSet<String>) -> bool {
    match value {
        Value::Object(members) => {
            let target =
                members.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix(SCHEMAS));
            target.is_some_and(|name| names.contains(name))
                || members.values().any(|value| refers_to(value, names))
        }
        Value::Array(items) => items.iter().any(|value| refers_to(value, names)),
        _ => false,
    }
}

/// The one body of every refusal.
fn error_schema(codes: &BTreeSet<String>) -> Value {
    json!({
        "type": "object",
        "properties": {
            "code": { "type": "string", "description": "What a program acts on; it never changes.", "enum": codes },
            "message": {
                "type": "string",
                "description": "What a person reads: the thing, its value, and the way out.",
            },
        },
        "required": ["code", "message"],
        "additionalProperties": false,
    })
}

/// The whole description: `head` is everything but `paths` and `components`; of the latter it may have
/// `securitySchemes`. `codes` are those that an error may have beside those of the operations.
///
/// # Panics
/// If two operations are one method of one path, or two parameters or headers are shared under one name: bugs
/// of whoever wrote them down.
#[must_use]
pub fn document(mut head: Value, operations: &[Operation], codes: &[&str]) -> Value {
    let mut components = Components::new();
    let mut paths = Map::new();
    for operation in operations {
        let described = operation.render(&mut components);
        let path = paths.entry(operation.path()).or_insert_with(|| json!({}));
        assert!(path.get(operation.method()).is_none(), "{} is described twice", operation.path());
        path[operation.method()] = described;
    }
    let (mut schemas, differ) = components.schemas();
    components.codes.extend(codes.iter().map(|&code| code.to_owned()));
    schemas.insert("Error".to_owned(), error_schema(&components.codes));
    let mut paths = Value::Object(paths);
    let mut parameters = Value::Object(components.parameters);
    let named = |name: &str| match name.strip_prefix('?') {
        Some(name) => request_name(name, &differ),
        None => name.to_owned(),
    };
    rename(&mut paths, &named);
    rename(&mut parameters, &named);
    head["paths"] = paths;
    head["components"]["parameters"] = parameters;
    head["components"]["headers"] = Value::Object(components.headers);
    head["components"]["schemas"] = Value::Object(schemas);
    head
}
