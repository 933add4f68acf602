//! Videos: from a message to a file that plays; and what is missing is named.

use std::{path::Path, process::Command, sync::Arc};

use anywire_jobs::{CommandSection, ParserKind};
use anywire_log::SystemClock;
use serde_json::{Value, json};

use crate::{commands::config, support::World};

const STEPS: [&str; 5] = ["script", "speech", "frames", "encode", "publish"];

async fn create(world: &World, message: &str) -> String {
    let body = json!({"message": message}).to_string();
    let answer = world.post("/api/chat/create-video", &body).await.expect(202).json();
    answer["job_id"].as_str().expect("an id").to_owned()
}

/// What ffprobe finds in a file.
fn probe(path: &Path) -> Value {
    let entries = "format=duration:stream=codec_name,codec_type,width,height,pix_fmt";
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", entries, "-of", "json"])
        .arg(path)
        .output();
    let output = output.expect("ffprobe");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_becomes_a_video_with_steps_previews_and_captions() {
    let world = World::with(config(&[]), Arc::new(SystemClock)).await;
    let id = create(&world, "Tạo video về trà Thái Nguyên. Rất ngon.").await;
    let drawing = world.until(&id, |state| state["metadata"]["preview"].is_string()).await;
    assert_eq!((&drawing["status"], &drawing["kind"]), (&json!("running"), &json!("video")));
    let preview = world.get(drawing["metadata"]["preview"].as_str().expect("a path")).await.expect(200);
    assert!(preview.header("content-type") == "image/jpeg" && preview.body.starts_with(&[0xff, 0xd8]));
    let state = world.until(&id, |state| state["status"] != "queued" && state["status"] != "running").await;
    assert_eq!(state["status"], "succeeded", "{state}");
    let names: Vec<&Value> =
        state["steps"].as_array().expect("steps").iter().map(|step| &step["name"]).collect();
    assert_eq!(names, STEPS);
    assert!(state["steps"].as_array().expect("steps").iter().all(|step| step["duration_ms"].is_u64()));

    let status = world.get(&format!("/api/video-progress/{id}/status")).await.expect(200).json();
    let video = &status["video"];
    assert_eq!(
        (&video["width"], &video["height"], &video["language"]),
        (&json!(1280), &json!(720), &json!("vi"))
    );
    let url = video["url"].as_str().expect("a path");
    let whole = world.get(url).await.expect(200);
    assert_eq!(
        (json!(whole.body.len()), whole.header("content-type")),
        (video["size_bytes"].clone(), "video/mp4")
    );
    let part = world.call("GET", url, &[("range", "bytes=0-99")], "").await.expect(206);
    assert_eq!(part.body, whole.body[..100]);
    // Fast start: the index comes before the pictures.
    let place = |name: &[u8]| whole.body.windows(4).position(|four| four == name).expect("a box");
    assert!(place(b"moov") < place(b"mdat"));

    let file = world.folder.path().join("video.mp4");
    std::fs::write(&file, &whole.body).expect("written");
    let found = probe(&file);
    let codecs: Vec<&Value> =
        found["streams"].as_array().expect("streams").iter().map(|stream| &stream["codec_name"]).collect();
    assert_eq!(
        (codecs, &found["streams"][0]["pix_fmt"]),
        (vec![&json!("h264"), &json!("aac")], &json!("yuv420p"))
    );
    let captions = world.get(video["captions_url"].as_str().expect("a path")).await.expect(200).text();
    assert!(captions.starts_with("WEBVTT") && captions.contains("Trà Thái Nguyên"), "{captions}");
    let files = state["artefacts"].as_array().expect("files").iter();
    let mut names: Vec<&str> = files.map(|file| file["name"].as_str().expect("a name")).collect();
    names.sort_unstable();
    assert_eq!(names, ["captions.vtt", "preview-1.jpg", "preview-2.jpg", "video.mp4"]);
}

/// A video made where only these programs are.
async fn made_with(programs: &[&str]) -> Value {
    let path = tempfile::tempdir().expect("a directory");
    for program in programs {
        std::os::unix::fs::symlink(format!("/usr/bin/{program}"), path.path().join(program)).expect("linked");
    }
    let argv = ["{worker}", "make-video", "--language={language}", "--message={message}"]
        .map(str::to_owned)
        .to_vec();
    let set = [("PATH".to_owned(), path.path().display().to_string())].into();
    let video = CommandSection { argv, parser: ParserKind::Json, set, ..CommandSection::default() };
    let world = World::with(config(&[("video", video)]), Arc::new(SystemClock)).await;
    let id = create(&world, "x").await;
    world.until_status(&id, "failed").await["error"].clone()
}

#[tokio::test]
async fn a_missing_program_is_named_with_how_to_install_it() {
    let error = made_with(&["ffmpeg", "ffprobe"]).await;
    let message = error["message"].as_str().expect("a message");
    assert!(
        message.contains("program espeak-ng is not installed") && message.contains("apt install espeak-ng"),
        "{message}"
    );
    let error = made_with(&["espeak-ng"]).await;
    let message = error["message"].as_str().expect("a message");
    assert!(
        message.contains("ffmpeg, ffprobe are not installed") && message.contains("apt install ffmpeg)"),
        "{message}"
    );
    assert_eq!(error["step"], "script");
}

#[tokio::test]
async fn a_request_that_is_none_is_refused_with_the_field() {
    let world = World::with(config(&[]), Arc::new(SystemClock)).await;
    for (body, words) in [
        (json!({}), "message is missing"),
        (json!({"message": " "}), "message is empty"),
        (json!({"message": "x", "language": "fr"}), "use auto, en or vi"),
        (json!({"message": "x".repeat(2001)}), "2001 characters"),
        (json!({"text": "x"}), "field text is unknown"),
    ] {
        let answer = world.post("/api/chat/create-video", &body.to_string()).await;
        let message = answer.json()["message"].as_str().expect("a message").to_owned();
        assert!(answer.status == 400 && message.contains(words), "{message}");
    }
}
