//! A Kafka broker beside the demo.

use std::{
    path::Path,
    process::{Command, Stdio},
};

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

/// Says before minutes of building what librdkafka lacks.
pub(super) fn check_tools() -> Result<(), Failure> {
    let missing: Vec<&str> =
        ["make", "c++"].into_iter().filter(|program| process::find(program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "--kafka builds librdkafka, which needs {} (on Debian `apt install make g++`)",
        missing.join(" and ")
    ))
}

/// Brings the broker if it is not here, and starts it over `data`; in a container where Java or Maven is
/// missing. It ends with what this returns.
pub(super) fn start(data: &Path) -> Result<Group, Failure> {
    let missing: Vec<&str> =
        ["java", "mvn"].into_iter().filter(|program| process::find(program).is_none()).collect();
    if missing.is_empty() {
        return start_here(data);
    }
    if composes() {
        println!("      {} missing: the broker runs in a container", missing.join(" and "));
        return start_in_container();
    }
    Err(format!(
        "--kafka needs {} (on Debian `apt install default-jre-headless maven`) or `docker compose`; or run a broker elsewhere and start \
         `anywire serve --set pipeline.kafka=HOST:PORT` of a build with `--features kafka`",
        missing.join(" and ")
    ))
}

fn start_here(data: &Path) -> Result<Group, Failure> {
    let script = workspace::root().join("xtask/kafka/broker.sh");
    let mut fetch = Command::new(&script);
    process::watched(fetch.arg("fetch"), "fetching Kafka")?;
    let mut broker = Command::new(script);
    let folder =
        std::path::absolute(data.join("kafka")).map_err(|error| format!("{}: {error}", data.display()))?;
    Group::start(broker.arg("run").arg(folder).arg(PORT).stdout(Stdio::null()))
}

/// Its data is in a volume of Docker's. The server waits for it as for any broker that is away.
fn start_in_container() -> Result<Group, Failure> {
    let file = workspace::root().join("xtask/kafka/compose.yaml");
    let mut compose = Command::new("docker");
    compose.args(["compose", "--progress", "quiet", "--file"]).arg(file).arg("up");
    Group::start(compose.env("ANYWIRE_KAFKA_PORT", PORT).stdout(Stdio::null()))
}

/// Whether Docker is here with its compose.
fn composes() -> bool {
    let mut docker = Command::new("docker");
    docker.args(["compose", "version"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    docker.status().is_ok_and(|status| status.success())
}
