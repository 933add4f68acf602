//! One operation of an API: what is asked, what is answered, and how it is refused.

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::{Components, Source, schemas};

/// One method of one path.
pub struct Operation {
    method: &'static str,
    path: &'static str,
    members: Map<String, Value>,
    parameters: Vec<Parameter>,
    body: Option<(bool, Vec<Content>)>,
    answers: Vec<Answer>,
}

macro_rules! methods {
    ($($name:ident)*) => {
        $(
            /// Begins the description of this method of a path. `name` is the operation's own, once in the
            /// whole API.
            #[must_use]
            pub fn $name(path: &'static str, name: &str) -> Self {
                Self::new(stringify!($name), path, name)
            }
        )*
    };
}

impl Operation {
    methods!(get head post put patch delete options);

    fn new(method: &'static str, path: &'static str, name: &str) -> Self {
        let members = Map::from_iter([("operationId".to_owned(), json!(name))]);
        Self { method, path, members, parameters: Vec::new(), body: None, answers: Vec::new() }
    }

    pub(crate) const fn method(&self) -> &'static str {
        self.method
    }

    pub(crate) const fn path(&self) -> &'static str {
        self.path
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.members.insert(name.to_owned(), value);
        self
    }

    /// The group it is shown in, and what it does in a few words.
    #[must_use]
    pub fn is(self, tag: &str, summary: &str) -> Self {
        self.with("tags", json!([tag])).with("summary", json!(summary))
    }

    /// What has to be known beyond the summary: shape, unit, cost.
    #[must_use]
    pub fn about(self, description: &str) -> Self {
        self.with("description", json!(description))
    }

    /// Everybody may ask it, also where keys are set.
    #[must_use]
    pub fn open(self) -> Self {
        self.with("security", json!([]))
    }

    /// A member of the description beyond OpenAPI's own; its name begins with `x-`.
    #[must_use]
    pub fn extension(self, name: &str, value: Value) -> Self {
        self.with(name, value)
    }

    /// Takes a parameter.
    #[must_use]
    pub fn takes(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// Takes a body of one of these kinds.
    #[must_use]
    pub fn body(mut self, contents: impl IntoIterator<Item = Content>) -> Self {
        self.body = Some((true, contents.into_iter().collect()));
        self
    }

    /// Takes a body of one of these kinds, or none.
    #[must_use]
    pub fn body_or_none(mut self, contents: impl IntoIterator<Item = Content>) -> Self {
        self.body = Some((false, contents.into_iter().collect()));
        self
    }

    /// Takes JSON that is read as `T`.
    #[must_use]
    pub fn reads<T: JsonSchema>(self, example: Value) -> Self {
        self.body([Content::request::<T>().example(example)])
    }

    /// Gives an answer.
    #[must_use]
    pub fn answers(mut self, answer: Answer) -> Self {
        self.answers.push(answer);
        self
    }

    /// Answers with JSON that is written from `T`.
    #[must_use]
    pub fn writes<T: JsonSchema>(self, status: u16, description: &str, example: Value) -> Self {
        self.answers(Answer::new(status, description).with(Content::answer::<T>().example(example)))
    }

    /// Refuses with one of these codes; `message` is what a person reads with the first.
    #[must_use]
    pub fn refuses(self, status: u16, codes: &[&str], message: &str) -> Self {
        self.answers(Answer::refusal(status, codes, message))
    }

    /// Is refused where a parameter or a member is none of those there are.
    #[must_use]
    pub fn refuses_invalid(self) -> Self {
        let message = "\"limit\" is \"many\"; expected a whole number from 1 to 1000";
        self.refuses(400, &["invalid_request"], message)
    }

    /// Is refused where a body is longer than the limit.
    #[must_use]
    pub fn refuses_large(self) -> Self {
        let message = "\"data\" has 1048577 bytes, the limit is 1048576 (limits.message_bytes_max)";
        self.refuses(413, &["too_large"], message)
    }

    /// Is refused to callers without a key or token that allows it, and to pages of other origins.
    #[must_use]
    pub fn guarded(self) -> Self {
        self.refuses(
            401,
            &["unauthorized", "token_expired"],
            "no token was given; send \"Authorization: Bearer <token>\" or ?token=",
        )
        .refuses(
            403,
            &["forbidden", "origin_forbidden", "host_forbidden"],
            "the token does not allow to subscribe to channel news; ask for one that does",
        )
    }

    /// Appends to the log, which may be busy, stopping, failed or full.
    #[must_use]
    pub fn appends(self) -> Self {
        self.refuses(
            503,
            &["storage_failed", "busy", "shutting_down"],
            "storing failed; see the server's log",
        )
        .refuses(507, &["storage_full"], "the disk is full; free disk space. Reading goes on.")
    }

    pub(crate) fn render(&self, components: &mut Components) -> Value {
        let mut members = self.members.clone();
        if !self.parameters.is_empty() {
            let all: Vec<Value> = self.parameters.iter().map(|one| components.parameter(one)).collect();
            members.insert("parameters".to_owned(), all.into());
        }
        if let Some((required, contents)) = &self.body {
            let content = render_contents(contents, components);
            members.insert("requestBody".to_owned(), json!({ "required": required, "content": content }));
        }
        let answers: Map<String, Value> = self
            .answers
            .iter()
            .map(|answer| (answer.status.to_string(), answer.render(components)))
            .collect();
        assert!(answers.len() == self.answers.len(), "{} has two answers of one status", self.path);
        members.insert("responses".to_owned(), Value::Object(answers));
        Value::Object(members)
    }
}

/// What a body is.
#[derive(Clone)]
pub struct Content {
    kind: &'static str,
    schema: Source,
    example: Option<Value>,
    examples: Map<String, Value>,
}

impl Content {
    fn new(kind: &'static str, schema: Source) -> Self {
        Self { kind, schema, example: None, examples: Map::new() }
    }

    /// JSON that is written from `T`.
    #[must_use]
    pub fn answer<T: JsonSchema>() -> Self {
        Self::new("application/json", Source::answer::<T>())
    }

    /// JSON that is read as `T`.
    #[must_use]
    pub fn request<T: JsonSchema>() -> Self {
        Self::new("application/json", Source::request::<T>())
    }

    /// Something else than JSON, or JSON of no type.
    #[must_use]
    pub fn other(kind: &'static str, schema: Value) -> Self {
        Self::new(kind, Source::Literal(schema))
    }

    /// Text of this media type.
    #[must_use]
    pub fn text(kind: &'static str) -> Self {
        Self::other(kind, json!({ "type": "string" }))
    }

    /// How one looks.
    #[must_use]
    pub fn example(mut self, example: Value) -> Self {
        self.example = Some(example);
        self
    }

    /// How one of several looks.
    #[must_use]
    pub fn named_example(mut self, name: &str, summary: &str, value: Value) -> Self {
        self.examples.insert(name.to_owned(), json!({ "summary": summary, "value": value }));
        self
    }
}

fn render_contents(contents: &[Content], components: &mut Components) -> Value {
    let one = |content: &Content, components: &mut Components| {
        let mut members = json!({ "schema": components.schema(&content.schema) });
        if let Some(example) = &content.example {
            members["example"] = example.clone();
        }
        if !content.examples.is_empty() {
            members["examples"] = Value::Object(content.examples.clone());
        }
        members
    };
    contents
        .iter()
        .map(|content| (content.kind.to_owned(), one(content, components)))
        .collect::<Map<_, _>>()
        .into()
}

/// One answer, by its status.
pub struct Answer {
    status: u16,
    description: String,
    headers: Vec<Header>,
    contents: Vec<Content>,
    codes: Vec<String>,
}

impl Answer {
    /// An answer without a body so far.
    #[must_use]
    pub fn new(status: u16, description: &str) -> Self {
        Self {
            status,
            description: description.to_owned(),
            headers: Vec::new(),
            contents: Vec::new(),
            codes: Vec::new(),
        }
    }

    /// A refusal: its codes, and an example of the message.
    #[must_use]
    pub fn refusal(status: u16, codes: &[&str], message: &str) -> Self {
        let listed: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
        let schema = json!({ "allOf": [
            { "$ref": "#/components/schemas/Error" },
            { "type": "object", "properties": { "code": { "enum": codes } } },
        ]});
        let example = json!({ "code": codes.first(), "message": message });
        let mut answer = Self::new(status, &listed.join(" · "))
            .with(Content::other("application/json", schema).example(example));
        answer.codes = codes.iter().map(|&code| code.to_owned()).collect();
        let may_pass = matches!(status, 429 | 503 | 507);
        if may_pass { answer.header(retry_after()) } else { answer }
    }

    /// It has this header.
    #[must_use]
    pub fn header(mut self, header: Header) -> Self {
        self.headers.push(header);
        self
    }

    /// It has a body of this kind.
    #[must_use]
    pub fn with(mut self, content: Content) -> Self {
        self.contents.push(content);
        self
    }

    fn render(&self, components: &mut Components) -> Value {
        components.codes.extend(self.codes.iter().cloned());
        let mut members = json!({ "description": self.description });
        if !self.headers.is_empty() {
            let one = |header: &Header| (header.name.to_owned(), components.header(header));
            members["headers"] = self.headers.iter().map(one).collect::<Map<_, _>>().into();
        }
        if !self.contents.is_empty() {
            members["content"] = render_contents(&self.contents, components);
        }
        members
    }
}

fn retry_after() -> Header {
    Header::new("Retry-After", "Seconds after which to try again, where the server knows.")
        .schema(json!({ "type": "integer", "minimum": 0 }))
        .optional()
        .shared()
}

/// A header of an answer: text that is always there, unless said otherwise.
#[derive(Clone)]
pub struct Header {
    name: &'static str,
    description: String,
    schema: Source,
    required: bool,
    shared: bool,
}

impl Header {
    /// A header of this name.
    #[must_use]
    pub fn new(name: &'static str, description: &str) -> Self {
        let schema = Source::Literal(json!({ "type": "string" }));
        Self { name, description: description.to_owned(), schema, required: true, shared: false }
    }

    /// What its value is.
    #[must_use]
    pub fn schema(mut self, schema: Value) -> Self {
        self.schema = Source::Literal(schema);
        self
    }

    /// Its value is written from `T`.
    #[must_use]
    pub fn of<T: JsonSchema>(mut self) -> Self {
        self.schema = Source::answer::<T>();
        self
    }

    /// It may be absent.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.required = false;
        self
    }

    /// It stands among the components, under its own name.
    #[must_use]
    pub const fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    pub(crate) const fn shared_as(&self) -> Option<&str> {
        if self.shared { Some(self.name) } else { None }
    }

    pub(crate) fn render(&self, components: &mut Components) -> Value {
        let mut members =
            json!({ "description": self.description, "schema": components.schema(&self.schema) });
        if self.required {
            members["required"] = true.into();
        }
        members
    }
}

/// A parameter of a request: text, unless said otherwise.
#[derive(Clone)]
pub struct Parameter {
    members: Map<String, Value>,
    schema: Source,
    shared: Option<&'static str>,
}

impl Parameter {
    fn new(place: &str, name: &str, description: &str) -> Self {
        let members = [("name", json!(name)), ("in", json!(place)), ("description", json!(description))];
        let members = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { members, schema: Source::Literal(json!({ "type": "string" })), shared: None }
    }

    /// One of the query; it may be absent.
    #[must_use]
    pub fn query(name: &str, description: &str) -> Self {
        Self::new("query", name, description)
    }

    /// One of the headers; it may be absent.
    #[must_use]
    pub fn header(name: &str, description: &str) -> Self {
        Self::new("header", name, description)
    }

    /// A part of the path; it is always there.
    #[must_use]
    pub fn path(name: &str, description: &str) -> Self {
        Self::new("path", name, description).required()
    }

    /// The caller's key of a call that changes something.
    #[must_use]
    pub fn idempotency_key() -> Self {
        let description =
            "1 to 255 visible ASCII characters: with the same key a repetition changes nothing.";
        Self::header("Idempotency-Key", description)
            .of::<schemas::IdempotencyKeyText>()
            .example(json!("7d9e2f70-3c56-4a8e-8f5b-0d1c2b3a4f5e"))
            .shared("IdempotencyKey")
    }

    /// What a caller has already.
    #[must_use]
    pub fn if_none_match() -> Self {
        Self::header("If-None-Match", "The `ETag` of an earlier answer.").example(json!("\"1f0c93ab-18\""))
    }

    /// It must be there.
    #[must_use]
    pub fn required(self) -> Self {
        self.with("required", json!(true))
    }

    /// What its value is.
    #[must_use]
    pub fn schema(mut self, schema: Value) -> Self {
        self.schema = Source::Literal(schema);
        self
    }

    /// Its value is read as `T`.
    #[must_use]
    pub fn of<T: JsonSchema>(mut self) -> Self {
        self.schema = Source::request::<T>();
        self
    }

    /// How it looks.
    #[must_use]
    pub fn example(self, example: Value) -> Self {
        self.with("example", example)
    }

    /// A member of OpenAPI's own, such as `style`.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.members.insert(name.to_owned(), value);
        self
    }

    /// It stands among the components under this name.
    #[must_use]
    pub const fn shared(mut self, name: &'static str) -> Self {
        self.shared = Some(name);
        self
    }

    pub(crate) const fn shared_as(&self) -> Option<&str> {
        self.shared
    }

    pub(crate) fn render(&self, components: &mut Components) -> Value {
        let mut members = self.members.clone();
        members.insert("schema".to_owned(), components.schema(&self.schema));
        Value::Object(members)
    }
}
