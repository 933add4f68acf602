//! A process without a descriptor left. The limit is the whole process's, so the test runs in one of its own.

use std::{fs::File, process::Command};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;

const CHILD: &str = "STORE_TEST_WITHOUT_DESCRIPTORS";
const NAME: &str = "embedded::tests::descriptors::a_log_goes_on_when_every_descriptor_is_taken";

/// Takes every descriptor there is.
fn take_all() -> Vec<File> {
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    assert!(taken.len() > 10, "the limit is not reached");
    taken
}

#[test]
fn a_log_goes_on_when_every_descriptor_is_taken() {
    if std::env::var_os(CHILD).is_none() {
        let program = std::env::current_exe().expect("this program");
        let child = Command::new(program).args(["--exact", NAME]).env(CHILD, "1").output();
        let child = child.expect("it runs");
        let said = String::from_utf8_lossy(&child.stdout).into_owned();
        assert!(child.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(96), maximum }).expect("a lower limit");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let small = EmbeddedConfig { segment_bytes_max: 0, ..config(directory.path()) };
        let engine = open(small);
        append(&engine, "a", "0").await;
        let taken = take_all();
        for number in 1..500 {
            append(&engine, "a", &number.to_string()).await;
        }
        let all: Vec<_> = (0..500).map(|number| number.to_string()).collect();
        assert_eq!(texts(&engine, "a").await, all, "old events are read");
        engine.enforce_retention(Timestamp::from_millis(1_000_000));
        drop(taken);
        assert!(files(directory.path(), ".log").len() > 5, "it began several segments");
        engine.close().await;
    });
}
