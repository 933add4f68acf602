//! Uploads by tus, request by request.

use std::{sync::Arc, time::Duration};

use anywire_jobs::JobsConfig;
use anywire_log::SteadyClock;
use axum::body::Body;
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::json;
use sha1::{Digest, Sha1};
use sha2::Sha256;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{World, manual_clock};

const CSV: &[u8] = b"a,b\n1,2\n3,4\n";

#[tokio::test]
async fn the_server_says_what_it_can() {
    let world = World::new().await;
    let answer = world.call("OPTIONS", "/api/uploads", &[], "").await.expect(204);
    assert_eq!(answer.header("tus-version"), "1.0.0");
    assert_eq!(
        answer.header("tus-extension"),
        "creation,creation-with-upload,termination,checksum,expiration,concatenation"
    );
    assert_eq!(answer.header("tus-checksum-algorithm"), "sha1,sha256");
    assert_eq!(answer.header("tus-max-size"), (1u64 << 30).to_string());
}

#[tokio::test]
async fn an_upload_in_parts_is_a_job_from_its_creation_and_becomes_a_report() {
    let world = World::new().await;
    let (id, path) = world.create(CSV.len()).await;
    let state = world.get(&format!("/api/progress/{id}")).await.expect(200).json();
    assert_eq!(
        (&state["status"], &state["step_name"], &state["total_steps"]),
        (&json!("running"), &json!("receive"), &json!(9))
    );
    assert_eq!(state["metadata"]["upload"]["received_bytes"], 0);
    let answer = world.patch(&path, 0, &[], &CSV[..6]).await.expect(204);
    assert_eq!((answer.header("upload-offset"), answer.header("tus-resumable")), ("6", "1.0.0"));
    let state = world.until(&id, |state| state["metadata"]["upload"]["received_bytes"] == 6).await;
    assert_eq!(state["percent"], 25);
    assert_eq!(world.offset(&path).await, "6");
    world.patch(&path, 6, &[], &CSV[6..]).await.expect(204);
    let done = world.until_status(&id, "succeeded").await;
    let names: Vec<_> = done["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|step| step["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(names, anywire_jobs::REPORT_STEPS);
    assert_eq!(
        (&done["percent"], &done["result"]["rows"], &done["result"]["columns"]),
        (&json!(100), &json!(2), &json!(2))
    );
    let percents: Vec<f64> =
        world.updates(&id).await.iter().map(|state| state["percent"].as_f64().expect("a number")).collect();
    assert!(percents.is_sorted(), "{percents:?}");
    let file = world.get(&format!("/api/jobs/{id}/upload")).await.expect(200);
    assert_eq!((file.body.as_slice(), file.header("content-length")), (CSV, "12"));
}

#[tokio::test]
async fn a_connection_that_breaks_half_way_leaves_what_came() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(axum::serve(listener, world.router.clone()).into_future());
    let (id, path) = world.create(CSV.len()).await;

    let mut socket = TcpStream::connect(address).await.expect("connected");
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nhost: x\r\ntus-resumable: 1.0.0\r\nupload-offset: 0\r\n\
         content-type: application/offset+octet-stream\r\ncontent-length: {}\r\n\r\n",
        CSV.len()
    );
    socket.write_all(head.as_bytes()).await.expect("sent");
    socket.write_all(&CSV[..7]).await.expect("sent");
    // The server must have taken the bytes before the connection breaks: their arrival is told.
    drop(socket);
    world.until(&id, |state| state["metadata"]["upload"]["received_bytes"] == 7).await;
    assert_eq!(world.offset(&path).await, "7");
    world.patch(&path, 7, &[], &CSV[7..]).await.expect(204);
    world.until_status(&id, "succeeded").await;
    server.abort();
}

#[tokio::test]
async fn a_newer_request_ends_an_older_one_that_hangs() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(axum::serve(listener, world.router.clone()).into_future());
    let (id, path) = world.create(CSV.len()).await;
    let mut old = TcpStream::connect(address).await.expect("connected");
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nhost: x\r\ntus-resumable: 1.0.0\r\nupload-offset: 0\r\n\
         content-type: application/offset+octet-stream\r\ncontent-length: {}\r\n\r\na,b",
        CSV.len()
    );
    old.write_all(head.as_bytes()).await.expect("sent");
    world.until_stored(3).await;
    // Asking for the offset ends the older request.
    assert_eq!(world.offset(&path).await, "3");
    let mut said = vec![0; 12];
    old.read_exact(&mut said).await.expect("an answer");
    assert_eq!(&said, b"HTTP/1.1 423");
    world.patch(&path, 3, &[], &CSV[3..]).await.expect(204);
    world.until_status(&id, "succeeded").await;
    server.abort();
}

#[tokio::test]
async fn a_chunk_counts_only_with_its_checksum() {
    let world = World::new().await;
    let (id, path) = world.create(CSV.len()).await;
    let wrong = format!("sha1 {}", BASE64_STANDARD.encode(Sha1::digest(b"other")));
    let refused = world.patch(&path, 0, &[("upload-checksum", &wrong)], &CSV[..6]).await;
    assert_eq!(refused.error(), (460, "checksum_mismatch".to_owned()));
    assert_eq!(world.offset(&path).await, "0");
    let right = format!("sha1 {}", BASE64_STANDARD.encode(Sha1::digest(&CSV[..6])));
    world.patch(&path, 0, &[("upload-checksum", &right)], &CSV[..6]).await.expect(204);
    let right = format!("sha256 {}", BASE64_STANDARD.encode(Sha256::digest(&CSV[6..])));
    world.patch(&path, 6, &[("upload-checksum", &right)], &CSV[6..]).await.expect(204);
    world.until_status(&id, "succeeded").await;
}

#[tokio::test]
async fn a_chunk_with_a_checksum_that_breaks_off_is_dropped() {
    let world = World::new().await;
    let (_, path) = world.create(CSV.len()).await;
    let checksum = format!("sha1 {}", BASE64_STANDARD.encode(Sha1::digest(CSV)));
    let parts = [Ok(Bytes::from_static(&CSV[..4])), Err(std::io::Error::other("broken"))];
    let body = Body::from_stream(futures_util::stream::iter(parts));
    let refused = world.patch(&path, 0, &[("upload-checksum", &checksum)], body).await;
    assert_eq!(refused.error(), (400, "body_broken".to_owned()));
    assert_eq!(world.offset(&path).await, "0");
}

#[tokio::test]
async fn requests_that_are_not_as_tus_wants_are_refused_by_name() {
    let world = World::new().await;
    let (_, path) = world.create(CSV.len()).await;
    let missing = world.call("POST", "/api/uploads", &[("upload-length", "1")], "").await;
    assert_eq!(missing.error(), (412, "tus_version".to_owned()));
    assert_eq!(missing.header("tus-resumable"), "1.0.0");
    let tus = ("tus-resumable", "1.0.0");
    assert_eq!(world.call("POST", "/api/uploads", &[tus], "").await.error().0, 400);
    assert_eq!(world.call("POST", "/api/uploads", &[tus, ("upload-length", "-1")], "").await.error().0, 400);
    let large = world.call("POST", "/api/uploads", &[tus, ("upload-length", "1073741825")], "").await;
    assert_eq!(large.error(), (413, "too_large".to_owned()));
    assert_eq!(world.patch(&path, 5, &[], "x").await.error(), (409, "offset_conflict".to_owned()));
    let kind =
        world.call("PATCH", &path, &[tus, ("upload-offset", "0"), ("content-type", "text/csv")], "x").await;
    assert_eq!(kind.error(), (415, "media_type".to_owned()));
    let long = world.patch(&path, 0, &[], vec![b'x'; CSV.len() + 1]).await;
    assert_eq!(long.error(), (413, "too_large".to_owned()));
    assert_eq!(world.offset(&path).await, "0");
    assert_eq!(world.call("HEAD", "/api/uploads/../x", &[tus], "").await.status.as_u16(), 404);
    let metadata = ("upload-metadata", "filename ***");
    assert_eq!(
        world.call("POST", "/api/uploads", &[tus, ("upload-length", "1"), metadata], "").await.error().0,
        400
    );
}

#[tokio::test]
async fn a_terminated_upload_is_gone_and_its_job_cancelled() {
    let world = World::new().await;
    let (id, path) = world.create(CSV.len()).await;
    let tus = [("tus-resumable", "1.0.0")];
    world.call("POST", &path, &[tus[0], ("x-http-method-override", "DELETE")], "").await.expect(204);
    assert_eq!(world.call("HEAD", &path, &tus, "").await.status.as_u16(), 410);
    let state = world.get(&format!("/api/progress/{id}")).await.json();
    assert_eq!(
        (&state["status"], &state["metadata"]["upload"]["removed"]),
        (&json!("cancelled"), &json!(true))
    );
    assert_eq!(
        world.post(&format!("/api/progress/{id}/retry"), "").await.error(),
        (409, "upload_removed".to_owned())
    );
}

#[tokio::test]
async fn a_cancelled_upload_takes_no_bytes_until_it_is_retried() {
    let world = World::new().await;
    let (id, path) = world.create(CSV.len()).await;
    world.patch(&path, 0, &[], &CSV[..4]).await.expect(204);
    world.post(&format!("/api/progress/{id}/cancel"), "").await.expect(200);
    assert_eq!(world.patch(&path, 4, &[], &CSV[4..]).await.error(), (403, "upload_stopped".to_owned()));
    let state = world.post(&format!("/api/progress/{id}/retry"), "").await.expect(200).json();
    assert_eq!((&state["status"], &state["step_name"]), (&json!("running"), &json!("receive")));
    world.patch(&path, 4, &[], &CSV[4..]).await.expect(204);
    world.until_status(&id, "succeeded").await;
}

#[tokio::test]
async fn progress_of_bytes_is_told_at_most_four_times_a_second() {
    let clock = manual_clock();
    let world = World::with(JobsConfig::default(), Arc::clone(&clock) as _).await;
    let length = 100_000;
    let (id, path) = world.create(length).await;
    let ticking = Arc::clone(&clock);
    let parts = (0..1000).map(move |_| {
        ticking.advance_millis(1);
        Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 99]))
    });
    world.patch(&path, 0, &[], Body::from_stream(futures_util::stream::iter(parts))).await.expect(204);
    world.until(&id, |state| state["metadata"]["upload"]["received_bytes"] == 99_000).await;
    // Started, three within the second, and the end of the request.
    let updates = world.updates(&id).await.len();
    assert!((4..=6).contains(&updates), "{updates}");
}

#[tokio::test]
async fn many_small_chunks_make_few_updates() {
    let world = World::with(JobsConfig::default(), manual_clock()).await;
    let (id, path) = world.create(1000).await;
    for offset in 0..200 {
        world.patch(&path, offset, &[], "x").await.expect(204);
    }
    world.until(&id, |state| state["metadata"]["upload"]["received_bytes"] == 200).await;
    // The clock stands still: started, and words given at most every quarter second of real time.
    let updates = world.updates(&id).await.len();
    assert!(updates < 100, "{updates}");
}

#[tokio::test]
async fn open_uploads_past_the_limit_are_refused() {
    let config = JobsConfig { uploads_open_max: 1, ..JobsConfig::default() };
    let world = World::with(config, Arc::new(anywire_log::SystemClock)).await;
    world.create(5).await;
    let refused =
        world.call("POST", "/api/uploads", &[("tus-resumable", "1.0.0"), ("upload-length", "5")], "").await;
    assert_eq!(refused.error(), (429, "too_many_uploads".to_owned()));
}

#[tokio::test]
async fn an_upload_chooses_its_session_and_a_taken_one_is_refused() {
    let world = World::new().await;
    let metadata = format!(
        "filename {},session_id {}",
        BASE64_STANDARD.encode("giá.csv"),
        BASE64_STANDARD.encode("s-1")
    );
    let headers = [("tus-resumable", "1.0.0"), ("upload-length", "5"), ("upload-metadata", &*metadata)];
    let made = world.call("POST", "/api/uploads", &headers, "").await.expect(201);
    assert_eq!(made.header("anywire-session"), "s-1");
    let head = world.call("HEAD", made.header("location"), &headers[..1], "").await.expect(200);
    assert_eq!((head.header("upload-metadata"), head.header("upload-length")), (&*metadata, "5"));
    assert_eq!(world.get("/api/progress/s-1").await.json()["title"], "giá.csv");
    assert_eq!(
        world.call("POST", "/api/uploads", &headers, "").await.error(),
        (409, "job_exists".to_owned())
    );
    assert_eq!(
        world.post("/api/progress/s-1/complete", "").await.error(),
        (409, "driven_by_upload".to_owned())
    );
}

#[tokio::test]
async fn an_abandoned_upload_expires() {
    let clock = manual_clock();
    let mut world = World::with(JobsConfig::default(), Arc::clone(&clock) as _).await;
    let (id, path) = world.create(CSV.len()).await;
    world.patch(&path, 0, &[], &CSV[..4]).await.expect(204);
    clock.advance_millis(25 * 3_600_000);
    // The limits are looked at when the schedule begins.
    world.restart().await;
    let state = world.until(&id, |state| state["metadata"]["upload"]["removed"] == true).await;
    assert_eq!(state["status"], "failed");
    assert_eq!(world.call("HEAD", &path, &[("tus-resumable", "1.0.0")], "").await.status.as_u16(), 410);
}

#[tokio::test]
async fn a_wall_clock_that_jumps_ahead_expires_no_upload() {
    let wall = manual_clock();
    let clock = SteadyClock::new(Arc::clone(&wall), || Duration::ZERO);
    let mut world = World::with(JobsConfig::default(), Arc::new(clock)).await;
    let (id, path) = world.create(CSV.len()).await;
    world.patch(&path, 0, &[], &CSV[..4]).await.expect(204);
    wall.advance_millis(10 * 365 * 24 * 3_600_000);
    world.restart().await;
    world.patch(&path, 4, &[], &CSV[4..]).await.expect(204);
    world.until(&id, |state| state["status"] == "succeeded").await;
}

#[tokio::test]
async fn the_address_of_an_upload_holds_behind_a_proxy_that_puts_a_path_in_front() {
    let world = World::new().await;
    let headers = [("tus-resumable", "1.0.0"), ("upload-length", "3")];
    let made = world.call("POST", "/api/uploads", &headers, "").await.expect(201);
    // Relative to `https://live.example.com/prefix/api/uploads` it is below `/prefix/` too (RFC 3986).
    let location = made.header("location");
    let id = location.strip_prefix("uploads/").unwrap_or_else(|| panic!("{location} is not relative"));
    let there = world.call("HEAD", &format!("/api/uploads/{id}"), &headers[..1], "").await.expect(200);
    assert_eq!(there.header("upload-offset"), "0");
    let page = ("origin", "https://live.example.com");
    let behind = ("x-forwarded-prefix", "/prefix/");
    for (more, folder) in [
        (&[page][..], "/api/uploads/"),
        (&[page, ("sec-fetch-site", "same-origin")], "/api/uploads/"),
        (&[page, behind], "/prefix/api/uploads/"),
        (&[page, ("x-forwarded-prefix", "//evil.example")], "/api/uploads/"),
        (&[page, ("sec-fetch-site", "cross-site")], "uploads/"),
        (&[behind], "uploads/"),
    ] {
        let headers = [&headers[..], more].concat();
        let made = world.call("POST", "/api/uploads", &headers, "").await.expect(201);
        let location = made.header("location");
        assert!(location.starts_with(folder), "{location}");
        assert_eq!(location.len(), folder.len() + 36, "{location}");
    }
}
