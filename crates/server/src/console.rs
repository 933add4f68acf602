//! The console, embedded into the binary when it was built before it.

use anywire_app::http::{ApiError, ETag, Path, not_modified};
use anywire_protocol::Code;
use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "../../console/dist"]
#[allow_missing = true]
struct Files;

/// The folder of socket.io-client's browser builds.
const CLIENT: &str = "socket.io/";

/// Shown where the binary was built without the console.
const MISSING: &str = "<!doctype html><meta charset=utf-8><title>Anywire</title><body style=\"font:16px/1.5 system-ui;max-width:40rem;\
    margin:4rem auto;padding:0 1rem\"><h1>Anywire is running</h1><p>This binary was built without the console. Install Node 20 and build it with \
    <code>cargo xtask demo</code>, or <code>cd console &amp;&amp; npm ci &amp;&amp; npm run build</code> and build the server again.</p>\
    <p>The API is here: <a href=\"/api/docs\">/api/docs</a> · <a href=\"/api/health\">/api/health</a></p>";

/// Scripts, styles and connections of the page's own origin only; reports are shown in a sandboxed frame.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self' ws: wss:; \
    frame-src 'self' blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; frame-ancestors 'self'";

/// Answers whatever no route knows: a file of the console, its page for deep links, or `404`.
pub(crate) async fn serve(request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    let is_page = !path.starts_with("api/") && !path.starts_with("anywire/");
    if !is_page || !matches!(*request.method(), Method::GET | Method::HEAD) {
        let message =
            format!("there is nothing at {} {}; see /api/docs", request.method(), request.uri().path());
        return ApiError::new(Code::NotFound, message).into_response();
    }
    if let Some(file) = Files::get(path).filter(|_| !path.is_empty() && !path.starts_with(CLIENT)) {
        return answer(path, &file, &request);
    }
    // All files stand at the root or in `assets`: an ending there is that of a file that is not there.
    // Everything else is a page of the console, whose names may have dots, as the job `build-1.2` has.
    let is_file = path.starts_with("assets/") || (!path.contains('/') && path.contains('.'));
    if is_file {
        let message = format!("the console has no file {:?}", request.uri().path());
        return ApiError::new(Code::NotFound, message).into_response();
    }
    match Files::get("index.html") {
        Some(file) => answer("index.html", &file, &request),
        None => Html(MISSING).into_response(),
    }
}

/// The routes of socket.io-client's browser builds, below the path where its clients connect: there
/// Socket.IO's own server has them.
pub(crate) fn client_routes(socketio_path: &str) -> Router {
    Router::new().route(&format!("{socketio_path}{{file}}"), get(client_file))
}

async fn client_file(Path(name): Path<String>, request: Request) -> Response {
    let path = format!("{CLIENT}{name}");
    match Files::get(&path) {
        Some(file) => answer(&path, &file, &request),
        None => {
            let message = format!(
                "there is no {name:?} of socket.io-client here; the build of the console puts it there"
            );
            ApiError::new(Code::NotFound, message).into_response()
        }
    }
}

fn answer(path: &str, file: &rust_embed::EmbeddedFile, request: &Request) -> Response {
    let hash = file.metadata.sha256_hash();
    let tag = ETag::new(hash[..8].iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let known = not_modified(request.headers(), &tag);
    // Names under assets/ hold a hash of their content: they never change.
    let caching =
        if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let kind = file.metadata.mimetype().to_owned();
        ([(header::CONTENT_TYPE, kind)], file.data.clone().into_owned()).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(tag) = HeaderValue::from_str(tag.as_str()) {
        headers.insert(header::ETAG, tag);
    }
    response
}
