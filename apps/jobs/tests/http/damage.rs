//! Files whose bytes have changed on the disk are told, and never served as if they were sound.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anywire_jobs::JobsConfig;

use crate::support::World;

/// Changes one bit of the only stored file of that name, and keeps its length.
fn flip(folder: &Path, name: &str) {
    let path = stored(folder, name);
    let mut bytes = std::fs::read(&path).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).expect("written");
}

/// The only stored file of that name.
fn stored(folder: &Path, name: &str) -> PathBuf {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with(name) {
                return path;
            }
        }
    }
    panic!("there is no file {name}")
}

async fn refused(world: &World, path: &str, words: &[&str]) {
    let answer = world.get(path).await;
    let text = answer.text();
    assert_eq!(answer.error(), (503, "storage_failed".to_owned()), "{text}");
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
}

#[tokio::test]
async fn an_upload_and_a_report_with_a_wrong_bit_are_refused_by_name() {
    let mut world = World::new().await;
    let csv = b"city,price\nhue,17\nvinh,23\n";
    let id = world.upload("prices.csv", csv).await;
    world.until_status(&id, "succeeded").await;
    let (upload, report) = (format!("/api/jobs/{id}/upload"), format!("/api/jobs/{id}/report"));
    assert_eq!(world.get(&upload).await.expect(200).body, csv);
    world.get(&report).await.expect(200);
    flip(world.folder.path(), "data");
    refused(&world, &upload, &["prices.csv", "sha256", "upload it again"]).await;
    flip(world.folder.path(), "report.html");
    refused(&world, &report, &["the report of job", "made anew"]).await;
    world.restart().await;
    refused(&world, &upload, &["prices.csv"]).await;
    refused(&world, &report, &["the report of job"]).await;
}

#[tokio::test]
async fn an_upload_and_a_report_that_are_cut_off_gone_or_another_are_never_served_as_if_they_were_whole() {
    let mut world = World::new().await;
    let id = world.upload("prices.csv", b"city,price\nhue,17\nvinh,23\n").await;
    world.until_status(&id, "succeeded").await;
    for (name, path) in [("data", "upload"), ("report.html", "report")] {
        let (file, path) = (stored(world.folder.path(), name), format!("/api/jobs/{id}/{path}"));
        let whole = std::fs::read(&file).expect("a file");
        let cut = &whole[..whole.len() / 2];
        let older: Vec<u8> = whole.iter().map(|byte| byte.wrapping_add(1)).collect();
        for restarted in [false, true] {
            for (how, bytes) in [("cut off", cut), ("empty", b"".as_slice()), ("another", &older)] {
                std::fs::write(&file, bytes).expect("written");
                if restarted {
                    world.restart().await;
                }
                let answer = world.get(&path).await;
                assert_eq!(
                    answer.status,
                    503,
                    "{name} is {how}, restarted: {restarted}: {}",
                    answer.body.len()
                );
                assert_eq!(answer.json()["code"], "storage_failed", "{name} is {how}");
            }
            std::fs::remove_file(&file).expect("removed");
            let answer = world.get(&path).await;
            assert!(answer.status.is_client_error() || answer.status.is_server_error(), "{name} is gone");
            assert!(answer.json()["message"].is_string());
            std::fs::write(&file, &whole).expect("written");
            world.get(&path).await.expect(200);
        }
    }
}

#[tokio::test]
async fn a_file_of_a_command_with_a_wrong_bit_is_refused_whole() {
    let config = JobsConfig { commands_adhoc: true, ..crate::commands::config(&[]) };
    let world = World::with(config, Arc::new(anywire_log::SystemClock)).await;
    let body = r#"{"session_id":"a","argv":["sh","-c","printf 0123456789 > a.txt"]}"#;
    world.post("/api/commands", body).await;
    world.until_status("a", "succeeded").await;
    assert_eq!(world.get("/api/jobs/a/files/a.txt").await.expect(200).text(), "0123456789");
    flip(world.folder.path(), "a.txt");
    refused(&world, "/api/jobs/a/files/a.txt", &["a.txt", "retry the job"]).await;
    // Part of a file cannot be checked without the rest of it.
    world.call("GET", "/api/jobs/a/files/a.txt", &[("range", "bytes=0-1")], "").await.expect(206);
}
