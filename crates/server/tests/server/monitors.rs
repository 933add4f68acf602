//! `anywire monitor` as processes that report to a real server.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
};

use crate::{
    process::{Process, program},
    runs::{get, until},
};

fn monitor(server: &Process, host: &str) -> Child {
    let url = format!("http://{}", server.address);
    let mut command = program(&["monitor", "--to", &url, "--host", host, "--interval-ms", "250"]);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

#[test]
fn two_machines_that_report_under_one_name_are_told_on_both_sides() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = Process::serve("127.0.0.1:0", folder.path(), &[]);
    let mut reporters = [monitor(&server, "twin"), monitor(&server, "twin")];
    let machines = |hosts: serde_json::Value| {
        let hosts = hosts["hosts"].as_array().expect("hosts").clone();
        hosts.into_iter().find(|host| host["host"] == "twin")?["machines"].as_u64()
    };
    until("both are told", || machines(get(&server, "/api/performance/hosts")).filter(|count| *count == 2));
    for reporter in &mut reporters {
        let lines = BufReader::new(reporter.stderr.take().expect("its words")).lines();
        let told = lines.map_while(Result::ok).find(|line| line.contains("machines report as twin"));
        assert!(told.expect("the reporter says so").contains("--host"));
    }
    for reporter in &mut reporters {
        reporter.kill().expect("killed");
        reporter.wait().expect("ended");
    }
}
