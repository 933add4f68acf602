//! The description of the API, held to the routes it describes.

use std::collections::BTreeSet;

use anywire::Anywire;
use axum::{Router, body::Body};
use http_body_util::BodyExt;
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::server;

const METHODS: [&str; 7] = ["get", "head", "post", "put", "patch", "delete", "options"];

pub(crate) fn description() -> Value {
    serde_json::from_str(include_str!("../../api/openapi.json")).expect("the description is JSON")
}

/// What a `$ref` stands for; a value that is none stands for itself.
fn resolve<'a>(whole: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(target) => whole.pointer(&target[1..]).unwrap_or_else(|| panic!("{target} is nowhere")),
        None => value,
    }
}

pub(crate) fn operations(whole: &Value) -> Vec<(String, &'static str, &Value)> {
    let paths = whole["paths"].as_object().expect("paths");
    let of_path = |(path, item): (&String, &'_ Value)| {
        METHODS
            .iter()
            .filter(|method| item.get(**method).is_some())
            .map(|method| (path.clone(), *method))
            .collect::<Vec<_>>()
    };
    paths
        .iter()
        .flat_map(of_path)
        .map(|(path, method)| {
            let operation = &whole["paths"][&path][method];
            (path, method, operation)
        })
        .collect()
}

/// Where the description is kept; it is part of the binary.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/api/openapi.json");

#[test]
fn the_description_is_what_types_and_operations_say() {
    let mut generated =
        serde_json::to_string_pretty(&anywire::description::document()).expect("plain values");
    generated.push('\n');
    if std::env::var_os("WRITE_DESCRIPTION").is_some() {
        std::fs::write(FILE, &generated).expect("a file of this repository");
    }
    let kept = std::fs::read_to_string(FILE).expect("a file of this repository");
    assert!(
        kept == generated,
        "crates/server/api/openapi.json is stale; run: WRITE_DESCRIPTION=1 cargo test -p anywire --test server description, \
         then npm run api in clients/typescript/"
    );
}

#[test]
fn every_reference_leads_somewhere_and_everything_named_is_used() {
    let whole = description();
    let mut targets = BTreeSet::new();
    collect_references(&whole, &mut targets);
    for target in &targets {
        assert!(target.starts_with("#/") && whole.pointer(&target[1..]).is_some(), "{target} leads nowhere");
    }
    for kind in ["schemas", "parameters", "headers"] {
        for name in whole["components"][kind].as_object().expect(kind).keys() {
            assert!(targets.contains(&format!("#/components/{kind}/{name}")), "nobody uses {kind}/{name}");
        }
    }
}

fn collect_references(value: &Value, targets: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            targets.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| collect_references(value, targets));
        }
        Value::Array(items) => items.iter().for_each(|value| collect_references(value, targets)),
        _ => {}
    }
}

#[test]
fn every_example_is_as_its_schema_says() {
    let whole = description();
    for (path, method, operation) in operations(&whole) {
        let answers = operation["responses"].as_object().expect("answers").values();
        for body in answers.chain([&operation["requestBody"]]) {
            for content in body["content"].as_object().into_iter().flat_map(|kinds| kinds.values()) {
                let mut schema = content["schema"].clone();
                schema["components"] = whole["components"].clone();
                let schema = jsonschema::validator_for(&schema).expect("a schema");
                let named = content["examples"].as_object().into_iter().flat_map(|all| all.values());
                for example in named.map(|one| &one["value"]).chain(content.get("example")) {
                    let wrong: Vec<String> =
                        schema.iter_errors(example).map(|error| error.to_string()).collect();
                    assert!(wrong.is_empty(), "{method} {path}: {wrong:?} in {example}");
                }
            }
        }
    }
}

#[test]
fn operations_have_names_of_their_own_and_path_parameters_are_declared() {
    let whole = description();
    assert_eq!(whole["openapi"], "3.1.0");
    assert_eq!(whole["info"]["version"], env!("CARGO_PKG_VERSION"));
    let groups: Vec<&Value> =
        whole["tags"].as_array().expect("tags").iter().map(|tag| &tag["name"]).collect();
    let mut names = BTreeSet::new();
    for (path, method, operation) in operations(&whole) {
        assert!(names.insert(operation["operationId"].as_str().expect("a name")), "{method} {path}");
        assert!(groups.contains(&&operation["tags"][0]), "{method} {path}");
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let declared: Vec<&Value> = parameters.iter().map(|one| resolve(&whole, one)).collect();
        for one in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            assert!(
                declared.iter().any(|parameter| parameter["in"] == "path" && parameter["name"] == one),
                "{method} {path}: {one}"
            );
        }
    }
}

#[test]
fn every_error_code_of_the_protocol_is_described() {
    let whole = description();
    let known =
        whole["components"]["schemas"]["Error"]["properties"]["code"]["enum"].as_array().expect("codes");
    for code in anywire_protocol::Code::all() {
        assert!(known.contains(&json!(code.as_str())), "{} is not described", code.as_str());
    }
}

/// An operation's own example as a request. Names in the path are those of a job and an upload that are
/// there.
pub(crate) fn example(
    whole: &Value,
    path: &str,
    method: &str,
    operation: &Value,
    upload: &str,
) -> Request<Body> {
    let mut target = path.replace("{id}", if path.contains("/uploads/") { upload } else { "import-7" });
    let mut builder = Request::builder().method(method.to_uppercase().as_str()).header("Host", "127.0.0.1");
    let mut query = Vec::new();
    for parameter in operation["parameters"].as_array().unwrap_or(&Vec::new()) {
        let parameter = resolve(whole, parameter);
        let name = parameter["name"].as_str().expect("a name");
        let given = parameter.get("example").unwrap_or(&parameter["schema"]["const"]);
        let value = match given {
            Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let required = parameter["required"] == true;
        assert!(!required || !given.is_null(), "{method} {path}: {name} has no example");
        match parameter["in"].as_str() {
            Some("query") if required => query.push(format!("{name}={value}")),
            Some("header") if required => builder = builder.header(name, value),
            _ => {}
        }
    }
    if !query.is_empty() {
        target = format!("{target}?{}", query.join("&"));
    }
    let Some((kind, content)) =
        operation["requestBody"]["content"].as_object().and_then(|kinds| kinds.iter().next())
    else {
        return builder.uri(target).body(Body::empty()).expect("a request");
    };
    let named = content["examples"].as_object().and_then(|all| all.values().next()).map(|one| &one["value"]);
    let body = match named.unwrap_or(&content["example"]) {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    builder.uri(target).header("Content-Type", kind).body(Body::from(body)).expect("a request")
}

async fn ask(router: &Router, request: Request<Body>) -> Response<Body> {
    match router.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

async fn text(response: Response<Body>) -> String {
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    String::from_utf8_lossy(&body).into_owned()
}

/// A router with the job and the upload that the examples speak of; the name of the upload.
pub(crate) async fn prepared(anywire: &std::sync::Arc<Anywire>) -> (Router, String) {
    let router = anywire.router();
    let start = Request::builder().method("POST").uri("/api/progress").header("Host", "127.0.0.1");
    let job = r#"{"session_id":"import-7","title":"Import","total_steps":3}"#;
    let started = ask(&router, start.body(Body::from(job)).expect("a request")).await;
    assert_eq!(started.status(), StatusCode::CREATED);
    let create = Request::builder().method("POST").uri("/api/uploads").header("Host", "127.0.0.1");
    let create = create.header("Tus-Resumable", "1.0.0").header("Upload-Length", "28");
    let created = ask(&router, create.body(Body::empty()).expect("a request")).await;
    assert_eq!(created.status(), StatusCode::CREATED);
    let location = created.headers()["location"].to_str().expect("ASCII");
    (router, location.rsplit('/').next().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_is_routed_and_answers_its_own_example_as_described() {
    let whole = description();
    for (path, method, operation) in operations(&whole) {
        let server = server(&[]).await;
        let (router, upload) = prepared(&server.anywire).await;
        let response = ask(&router, example(&whole, &path, method, operation, &upload)).await;
        let status = response.status();
        assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert!(operation["responses"].get(status.as_str()).is_some(), "{method} {path} answered {status}");
        let kind = response
            .headers()
            .get("content-type")
            .map_or("", |kind| kind.to_str().expect("ASCII"))
            .to_owned();
        let described = &operation["responses"][status.as_str()]["content"];
        // A path that nobody routes is the console's page, or a 404 that says so.
        assert!(
            !kind.starts_with("text/html") || described.get("text/html").is_some(),
            "{method} {path} is a page"
        );
        if status == StatusCode::NOT_FOUND {
            let text = text(response).await;
            assert!(!text.contains("there is nothing at"), "{method} {path} is not routed: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_description_is_served_as_it_is_here() {
    let server = server(&[]).await;
    let served = server.get("/api/openapi.json").await;
    assert_eq!(served.header("content-type"), "application/json");
    assert_eq!(served.json(), description());
}

/// The routes a page names in its tables: `POST /a`, `HEAD PATCH /b/<id>`, and `/c` that takes the place of
/// the last part before it.
fn documented(page: &str) -> BTreeSet<(String, String)> {
    let mut routes = BTreeSet::new();
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cell = row.split(" | ").next().unwrap_or_default();
        let (mut methods, mut path) = (Vec::new(), String::new());
        for code in cell.split('`').skip(1).step_by(2) {
            let words: Vec<&str> = code.split_whitespace().collect();
            let Some((target, names)) = words.split_last().filter(|(target, _)| target.starts_with('/'))
            else {
                continue;
            };
            if names.is_empty() {
                path.truncate(path.rfind('/').unwrap_or_default());
                path.push_str(target);
            } else {
                methods = names.iter().map(|name| name.to_lowercase()).collect();
                path = target.split('?').next().unwrap_or_default().replace("<id>", "{id}");
            }
            routes.extend(methods.iter().map(|method| (method.clone(), path.clone())));
        }
    }
    routes
}

#[test]
fn every_route_the_documents_name_is_described_and_the_other_way_round() {
    let mut named = documented(include_str!("../../../../docs/http-api.md"));
    // PROTOCOL.md names these in its examples.
    for (method, path) in
        [("post", "publish"), ("get", "poll"), ("get", "sse"), ("get", "ws"), ("get", "presence")]
    {
        assert!(
            include_str!("../../../../PROTOCOL.md")
                .contains(&format!("{} /anywire/{path}", method.to_uppercase())),
            "{path}"
        );
        named.insert((method.to_owned(), format!("/anywire/{path}")));
    }
    // Named in the text above the tables.
    for path in ["/api/openapi.json", "/api/docs"] {
        named.insert(("get".to_owned(), path.to_owned()));
    }
    let whole = description();
    let mut described: BTreeSet<(String, String)> =
        operations(&whole).into_iter().map(|(path, method, _)| (method.to_owned(), path)).collect();
    // What tus allows on an upload beside what the page says of all uploads.
    for method in ["options", "post"] {
        assert!(described.remove(&(method.to_owned(), "/api/uploads/{id}".to_owned())));
    }
    assert_eq!(described, named);
}
