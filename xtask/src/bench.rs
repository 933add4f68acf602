//! `cargo xtask bench`: builds what is measured and what measures, brings the peers, runs.

use std::process::Command;

use crate::{
    Failure, npm,
    process::{self, Group},
    ship, workspace,
};

const BENCHES: [&str; 5] = ["fanout", "jitter", "publish", "churn", "parse"];

/// Runs the benchmark that is named, or all of them.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let (names, arguments): (Vec<&str>, &[String]) = match arguments.first() {
        Some(name) if !name.starts_with('-') => (vec![name.as_str()], &arguments[1..]),
        _ => (BENCHES.to_vec(), arguments),
    };
    if let Some(unknown) = names.iter().find(|name| !BENCHES.contains(name)) {
        return Err(format!("there is no bench {unknown:?}; there are {}", BENCHES.join(", ")));
    }
    println!("building the server as it is shipped, and the bench");
    ship::build(true)?;
    peers();
    for name in names {
        one(name, arguments)?;
    }
    Ok(())
}

/// Each benchmark, small: it must run and print its table. Needs what [`ship::build`] makes.
pub(crate) fn smoke() -> Result<(), Failure> {
    for name in BENCHES {
        one(name, &["--smoke".to_owned()])?;
    }
    Ok(())
}

/// Brings the peers that can be had; one that cannot is named.
fn peers() {
    let wanted = workspace::root().join("bench/peers/package.json").is_file();
    if wanted && let Err(error) = npm::ci("bench/peers") {
        println!("without the peers ws and socket.io: {error}");
    }
    if process::find("nginx").is_none() {
        println!(
            "without the peer nginx with Nchan: nginx is not installed (apt install nginx-light libnginx-mod-nchan)"
        );
    }
}

fn one(name: &str, arguments: &[String]) -> Result<(), Failure> {
    let folder = workspace::target().join("bench");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let json = folder.join(format!("{name}.json"));
    let mut bench = Command::new(workspace::built("release", "anywire-bench"));
    bench.arg(name).arg("--json").arg(&json).args(arguments).current_dir(workspace::root());
    bench.env("ANYWIRE_BIN", workspace::shipped("anywire"));
    finish(&mut bench, name)?;
    println!("written: {}", json.display());
    Ok(())
}

fn finish(command: &mut Command, what: &str) -> Result<(), Failure> {
    let status = Group::start(command)?.wait(|| ())?;
    if status.success() { Ok(()) } else { Err(format!("{what} failed ({status})")) }
}
