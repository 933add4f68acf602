//! How uploads begin: refused creations, repeated ones, and files that come in parts side by side.

use std::sync::Arc;

use anywire_jobs::JobsConfig;
use axum::body::Body;
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::json;

use crate::support::{Answer, World, manual_clock};

const CSV: &[u8] = b"a,b\n1,2\n3,4\n";
const TUS: (&str, &str) = ("tus-resumable", "1.0.0");
const CHUNK: (&str, &str) = ("content-type", "application/offset+octet-stream");
const PARTIAL: (&str, &str) = ("upload-concat", "partial");

async fn create(world: &World, length: usize, more: &[(&str, &str)], body: impl Into<Body>) -> Answer {
    let length = length.to_string();
    let mut headers = vec![TUS, ("upload-length", &*length)];
    headers.extend_from_slice(more);
    world.call("POST", "/api/uploads", &headers, body).await
}

/// A partial upload with its bytes; its address.
async fn part(world: &World, bytes: &'static [u8]) -> String {
    let made = create(world, bytes.len(), &[PARTIAL, CHUNK], bytes).await.expect(201);
    assert!(made.headers.get("anywire-session").is_none(), "a part is no job");
    crate::support::resolved(made.header("location"))
}

async fn join(world: &World, parts: &[&str], more: &[(&str, &str)]) -> Answer {
    let concat = format!("final;{}", parts.join(" "));
    let mut headers = vec![TUS, ("upload-concat", &*concat)];
    headers.extend_from_slice(more);
    world.call("POST", "/api/uploads", &headers, "").await
}

fn stored(world: &World, folder: &str) -> usize {
    std::fs::read_dir(world.folder.path().join(folder)).expect("a folder").count()
}

fn broken() -> Body {
    let parts = [Ok(Bytes::from_static(&CSV[..4])), Err(std::io::Error::other("broken"))];
    Body::from_stream(futures_util::stream::iter(parts))
}

fn endless() -> Body {
    let parts = (0..3).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(&CSV[..8])));
    Body::from_stream(futures_util::stream::iter(parts))
}

#[tokio::test]
async fn a_refused_creation_leaves_nothing_behind_however_often() {
    let config = JobsConfig { uploads_open_max: 2, ..JobsConfig::default() };
    let world = World::with(config, Arc::new(anywire_log::SystemClock)).await;
    let wrong = format!("sha1 {}", BASE64_STANDARD.encode([0; 20]));
    for kind in [None, Some(PARTIAL)] {
        for _ in 0..4 {
            let refused = async |more: &[(&str, &str)], body: Body| {
                let more: Vec<_> = kind.iter().copied().chain([CHUNK]).chain(more.iter().copied()).collect();
                create(&world, CSV.len(), &more, body).await.error()
            };
            assert_eq!(refused(&[("upload-checksum", "md5 x")], CSV.into()).await.0, 400);
            let mismatch = refused(&[("upload-checksum", &wrong)], CSV.into()).await;
            assert_eq!(mismatch, (460, "checksum_mismatch".to_owned()));
            assert_eq!(refused(&[], vec![b'x'; 99].into()).await, (413, "too_large".to_owned()));
            assert_eq!(refused(&[], endless()).await, (413, "too_large".to_owned()));
            assert_eq!(refused(&[], broken()).await, (400, "body_broken".to_owned()));
        }
    }
    assert_eq!((stored(&world, "uploads"), stored(&world, "partials")), (0, 0));
    assert_eq!(world.get("/api/jobs").await.json()["jobs"], json!([]));
    let id = world.upload("a.csv", CSV).await;
    world.until_status(&id, "succeeded").await;
}

#[tokio::test]
async fn a_repeated_creation_with_its_key_is_the_same_upload_and_says_where_to_go_on() {
    let mut world = World::new().await;
    let key = ("idempotency-key", "k");
    let first = create(&world, CSV.len(), &[key, CHUNK], broken()).await;
    assert_eq!(first.error(), (400, "body_broken".to_owned()));
    let again = create(&world, CSV.len(), &[key, CHUNK], CSV).await.expect(201);
    assert_eq!(again.header("upload-offset"), "4");
    let (path, id) = (again.header("location").to_owned(), again.header("anywire-session").to_owned());
    world.restart().await;
    world.patch(&path, 4, &[], &CSV[4..]).await.expect(204);
    world.until_status(&id, "succeeded").await;
    let after = create(&world, CSV.len(), &[key], "").await.expect(201);
    assert_eq!((after.header("location"), after.header("anywire-session")), (&*path, &*id));
    assert_eq!(create(&world, 7, &[key], "").await.error(), (409, "idempotency_conflict".to_owned()));
    assert_eq!(world.get("/api/jobs").await.json()["jobs"].as_array().map(Vec::len), Some(1));
    world.call("DELETE", &format!("/api/jobs/{id}"), &[], "").await.expect(204);
    let gone = create(&world, CSV.len(), &[key], "").await;
    assert_eq!(gone.error(), (410, "answer_gone".to_owned()));
}

#[tokio::test]
async fn creations_with_one_key_at_once_make_one_upload_and_a_refused_one_leaves_its_key_free() {
    let world = World::new().await;
    let key = [("idempotency-key", "k"), CHUNK];
    assert_eq!(create(&world, CSV.len(), &key, endless()).await.error().0, 413);
    let (a, b, c) = tokio::join!(
        create(&world, CSV.len(), &key[..1], ""),
        create(&world, CSV.len(), &key[..1], ""),
        create(&world, CSV.len(), &key[..1], "")
    );
    let paths = [a, b, c].map(|answer| answer.expect(201).header("location").to_owned());
    assert!(paths.iter().all(|path| *path == paths[0]), "{paths:?}");
    assert_eq!(stored(&world, "uploads"), 1);
}

#[tokio::test]
async fn parts_that_come_side_by_side_become_one_job_of_the_whole_file() {
    let mut world = World::new().await;
    let one =
        crate::support::resolved(create(&world, 5, &[PARTIAL], "").await.expect(201).header("location"));
    let two = part(&world, &CSV[5..]).await;
    world.patch(&one, 0, &[], &CSV[..2]).await.expect(204);
    world.restart().await;
    let head = world.call("HEAD", &one, &[TUS], "").await.expect(200);
    assert_eq!(
        (head.header("upload-offset"), head.header("upload-length"), head.header("upload-concat")),
        ("2", "5", "partial")
    );
    assert_eq!(join(&world, &[&one, &two], &[]).await.error().0, 400, "a byte is missing yet");
    world.patch(&one, 2, &[], &CSV[2..5]).await.expect(204);
    assert_eq!(world.get("/api/jobs").await.json()["jobs"], json!([]), "parts are no jobs");

    let metadata = format!("filename {}", BASE64_STANDARD.encode("whole.csv"));
    let made = join(&world, &[&one, &two], &[("upload-metadata", &metadata)]).await.expect(201);
    let id = made.header("anywire-session").to_owned();
    let done = world.until_status(&id, "succeeded").await;
    assert_eq!((&done["title"], &done["result"]["rows"]), (&json!("whole.csv"), &json!(2)));
    let file = world.get(&format!("/api/jobs/{id}/upload")).await.expect(200);
    assert_eq!(file.body, CSV, "in the order in which they were named");
    assert_eq!(stored(&world, "partials"), 0);

    let whole = made.header("location").to_owned();
    let head = world.call("HEAD", &whole, &[TUS], "").await.expect(200);
    assert_eq!(head.header("upload-concat"), format!("final;{one} {two}"));
    let more = world.patch(&whole, CSV.len(), &[], "x").await;
    assert_eq!(more.error(), (403, "upload_stopped".to_owned()));
    // Whoever lost the answer asks again.
    let again = join(&world, &[&one, &two], &[("upload-metadata", &metadata)]).await.expect(201);
    assert_eq!((again.header("location"), again.header("anywire-session")), (&*whole, &*id));
    assert_eq!(world.get("/api/jobs").await.json()["jobs"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_final_upload_names_its_parts_in_the_words_of_who_joined_them() {
    let mut world = World::new().await;
    for prefix in ["https://example.com/tools/anywire/api/uploads/", "/tools/api/uploads/", ""] {
        let (one, two) = (part(&world, &CSV[..4]).await, part(&world, &CSV[4..]).await);
        let given = [one, two].map(|part| part.replace("/api/uploads/", prefix));
        let made = join(&world, &[&given[0], &given[1]], &[]).await.expect(201);
        let whole = crate::support::resolved(made.header("location"));
        world.restart().await;
        let head = world.call("HEAD", &whole, &[TUS], "").await.expect(200);
        assert_eq!(head.header("upload-concat"), format!("final;{} {}", given[0], given[1]));
    }
}

#[tokio::test]
async fn parts_are_joined_as_they_are_named_and_only_such_as_fit() {
    let config = JobsConfig { upload_bytes_max: 13, uploads_open_max: 4, ..JobsConfig::default() };
    let world = World::with(config, Arc::new(anywire_log::SystemClock)).await;
    let (one, two, three) =
        (part(&world, &CSV[4..]).await, part(&world, &CSV[..4]).await, part(&world, CSV).await);
    let refused = async |parts: &[&str], more: &[(&str, &str)]| join(&world, parts, more).await.error();
    assert_eq!(refused(&[&one, &three], &[]).await, (413, "too_large".to_owned()));
    assert_eq!(refused(&[&one, "/api/uploads/8a5e7a1f-0c93-4b1d-8a5e-7a1f0c93ab1d"], &[]).await.0, 404);
    assert_eq!(refused(&[&one, &two], &[("upload-length", "7")]).await.0, 400);
    assert_eq!(refused(&[&one, &two], &[CHUNK]).await.0, 400);
    assert_eq!(refused(&[], &[]).await.0, 400);
    assert_eq!(refused(&[&*one; 5], &[]).await.0, 400);
    assert_eq!(create(&world, 5, &[("upload-concat", "half")], "").await.error().0, 400);
    assert_eq!(create(&world, 14, &[PARTIAL], "").await.error(), (413, "too_large".to_owned()));
    assert_eq!(world.patch(&one, 8, &[], "x").await.error(), (413, "too_large".to_owned()));
    let id = join(&world, &[&two, &one], &[]).await.expect(201).header("anywire-session").to_owned();
    let file = world.get(&format!("/api/jobs/{id}/upload")).await.expect(200);
    assert_eq!(file.body, CSV);
    world.call("DELETE", &three, &[TUS], "").await.expect(204);
    assert_eq!(
        (stored(&world, "partials"), world.call("HEAD", &three, &[TUS], "").await.status.as_u16()),
        (0, 404)
    );
}

#[tokio::test]
async fn parts_are_bounded_in_number_and_go_with_the_time() {
    let clock = manual_clock();
    let config = JobsConfig { uploads_open_max: 2, ..JobsConfig::default() };
    let mut world = World::with(config, Arc::clone(&clock) as _).await;
    let one = part(&world, CSV).await;
    world.create(5).await;
    let third = create(&world, 5, &[PARTIAL], "").await;
    assert_eq!(third.error(), (429, "too_many_uploads".to_owned()));
    // A file without what it says of itself was never answered.
    std::fs::create_dir(world.folder.path().join("partials/8a5e7a1f-0c93-4b1d-8a5e-7a1f0c93ab1d"))
        .expect("made");
    world.restart().await;
    assert_eq!(stored(&world, "partials"), 1);
    clock.advance_millis(25 * 3_600_000);
    // The next round of the schedule.
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(31)).await;
    tokio::time::resume();
    world.until_gone("partials").await;
    assert_eq!(world.call("HEAD", &one, &[TUS], "").await.status.as_u16(), 404);
}

#[tokio::test]
async fn what_does_not_fit_beside_the_reserve_of_the_log_is_refused_when_it_is_announced() {
    let config =
        JobsConfig { upload_bytes_max: 1 << 40, disk_reserve_bytes: 1 << 40, ..JobsConfig::default() };
    let world = World::with(config, Arc::new(anywire_log::SystemClock)).await;
    for more in [&[][..], &[PARTIAL], &[CHUNK]] {
        let refused = create(&world, CSV.len(), more, if more == [CHUNK] { CSV } else { b"" }).await;
        assert_eq!(refused.error(), (507, "storage_full".to_owned()));
        let words = refused.text();
        assert!(words.contains("jobs.disk_reserve_bytes") && words.contains("1099511627776"), "{words}");
    }
    assert_eq!((stored(&world, "uploads"), stored(&world, "partials")), (0, 0));
    let config = JobsConfig { upload_bytes_max: 1 << 40, ..JobsConfig::default() };
    let world = World::with(config, Arc::new(anywire_log::SystemClock)).await;
    let too_much = create(&world, 1 << 40, &[], "").await;
    assert_eq!(too_much.error(), (507, "storage_full".to_owned()));
    // What others announced counts although not a byte of it is here; what is gone counts no more.
    let free = rustix::fs::statvfs(world.folder.path()).expect("a disk");
    let most = usize::try_from(free.f_bavail * free.f_frsize / 4 * 3).expect("64 bits");
    let first = create(&world, most, &[], "").await.expect(201);
    assert_eq!(create(&world, most, &[PARTIAL], "").await.error(), (507, "storage_full".to_owned()));
    let path = crate::support::resolved(first.header("location"));
    world.call("DELETE", &path, &[TUS], "").await.expect(204);
    create(&world, most, &[PARTIAL], "").await.expect(201);
    assert_eq!(create(&world, most, &[], "").await.error(), (507, "storage_full".to_owned()));
}

#[tokio::test]
async fn an_upload_stops_while_less_than_half_of_the_reserve_is_free_and_goes_on_then() {
    let config = JobsConfig { disk_reserve_bytes: 0, ..JobsConfig::default() };
    let mut world = World::with(config, Arc::new(anywire_log::SystemClock)).await;
    let (id, path) = world.create(CSV.len()).await;
    world.patch(&path, 0, &[], &CSV[..4]).await.expect(204);
    world.config.disk_reserve_bytes = 1 << 40;
    world.restart().await;
    let stopped = world.patch(&path, 4, &[], &CSV[4..]).await;
    assert_eq!(stopped.error(), (507, "storage_full".to_owned()));
    assert_eq!(world.offset(&path).await, "4");
    world.config.disk_reserve_bytes = 0;
    world.restart().await;
    world.patch(&path, 4, &[], &CSV[4..]).await.expect(204);
    world.until_status(&id, "succeeded").await;
}
