//! A disk that really refuses: the test runs itself under a file size limit, as a shell sets it, and lifts
//! the limit later.

use std::{path::Path, process::Command, sync::Arc};

use anywire_log::{
    AppendError, Batch, Engine, RetentionRules, SystemClock,
    contract::{self, Witness},
};
use anywire_store::{EmbeddedConfig, EmbeddedEngine};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const CHILD: &str = "ANYWIRE_FULL_DISK_CHILD";

fn open(directory: &Path) -> EmbeddedEngine {
    let config = EmbeddedConfig::new(directory);
    let engine =
        EmbeddedEngine::open(config, RetentionRules::default(), Arc::new(SystemClock)).expect("it opens");
    engine.follow(Arc::new(Witness::default()));
    engine
}

async fn fill_up(directory: &Path) {
    let engine = open(directory);
    let batch = || Batch::one(contract::publication("a", &format!("\"{}\"", "x".repeat(10_000))));
    let mut kept = 0;
    let error = loop {
        match engine.append(batch()).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 1000, "the limit is not in force");
    };
    assert!(matches!(&error, AppendError::Full { .. }), "{error}");
    assert!(error.to_string().contains(&directory.display().to_string()), "{error}");
    assert!(kept > 0, "some fitted");
    assert_eq!(contract::read_all(&engine, &["a"], 0).await.events.len(), kept, "reading goes on");
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: maximum, maximum }).expect("a soft limit can be raised");
    engine.append(batch()).await.expect("there is room again");
    engine.close().await;
    drop(engine);
    assert_eq!(contract::read_all(&open(directory), &["a"], 0).await.events.len(), kept + 1);
}

#[test]
fn a_real_limit_is_an_error_and_passes() {
    if let Some(directory) = std::env::var_os(CHILD) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        return runtime.block_on(fill_up(Path::new(&directory)));
    }
    let directory = tempfile::tempdir().expect("a directory");
    // The signal that comes with the limit is ignored, as on a full disk there is none.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -S -f 1000; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().expect("this test's file"))
        .args(["--exact", "a_real_limit_is_an_error_and_passes", "--nocapture"])
        .env(CHILD, directory.path())
        .output()
        .expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}
