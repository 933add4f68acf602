//! A Kafka broker beside the demo.
//!
//! Knows: the script that brings and runs one. Does not know: what the pipeline does with it.

use std::process::{Command, Stdio};

use crate::{
    Failure,
    process::{self, Group},
    workspace,
};

/// Where the demo's broker listens; the next port is its controller's.
const PORT: &str = "19092";

/// Where the server finds the broker.
pub(super) fn brokers() -> String {
    format!("127.0.0.1:{PORT}")
}

/// Brings the broker if it is not here, and starts it over `data`. It ends with what this returns.
pub(super) fn start(data: &std::path::Path) -> Result<Group, Failure> {
    for (program, way) in [("java", "apt install default-jre-headless"), ("mvn", "apt install maven")] {
        if process::find(program).is_none() {
            return Err(format!(
                "--kafka needs {program} (on Debian `{way}`); or run a broker yourself, by docker compose for instance, and start \
                 `anywire serve --set pipeline.kafka=HOST:PORT` of a build with `--features kafka`"
            ));
        }
    }
    let script = workspace::root().join("xtask/kafka/broker.sh");
    let mut fetch = Command::new(&script);
    super::watched(fetch.arg("fetch"), "fetching Kafka")?;
    let mut broker = Command::new(script);
    let folder =
        std::path::absolute(data.join("kafka")).map_err(|error| format!("{}: {error}", data.display()))?;
    Group::start(broker.arg("run").arg(folder).arg(PORT).stdout(Stdio::null()))
}
