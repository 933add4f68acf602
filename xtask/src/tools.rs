//! The programs the tests need beside cargo: found, installed where that is possible, named where it is not.

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
};

use crate::{Failure, process, workspace};

/// A program outside this repository.
pub(crate) struct Tool {
    /// What it is called in messages.
    pub(crate) name: &'static str,
    /// Any of these in the search path means that it is there.
    programs: &'static [&'static str],
    /// Arguments with which it succeeds if it is new and whole enough. None where it is enough that it is
    /// there.
    proof: &'static [&'static str],
    /// What brings it on Debian.
    packages: &'static [&'static str],
    /// How to get it elsewhere.
    elsewhere: &'static str,
}

/// Parts of the Rust toolchain, which rustup brings.
const COMPONENTS: [&str; 2] = ["rustfmt", "clippy"];

/// Checked with where it is installed; nobody has to have it.
pub(crate) const CARGO_DENY: &str = "cargo-deny";

/// Vite and vitest need this one.
const NODE_IS_NEW: &str = "const [major, minor] = process.versions.node.split('.').map(Number); process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)";

/// Everything `test` needs.
pub(crate) const TOOLS: &[Tool] = &[
    Tool {
        name: "node",
        programs: &["node"],
        proof: &["-e", NODE_IS_NEW],
        packages: &["nodejs", "npm"],
        elsewhere: "Node 20.19 or newer: https://nodejs.org/",
    },
    Tool {
        name: "npm",
        programs: &["npm"],
        proof: &[],
        packages: &["npm"],
        elsewhere: "npm, which comes with Node: https://nodejs.org/",
    },
    Tool {
        name: "chromium",
        programs: &["chromium"],
        proof: &[],
        packages: &["chromium"],
        elsewhere: "Chromium in the search path as `chromium`, or its path in CHROMIUM",
    },
    Tool {
        name: "nginx",
        programs: &["nginx"],
        proof: &[],
        packages: &["nginx-light", "libnginx-mod-nchan"],
        elsewhere: "nginx in the search path: https://nginx.org/",
    },
    Tool {
        name: "python3",
        programs: &["python3"],
        proof: &["-c", "import ensurepip, venv"],
        packages: &["python3", "python3-venv"],
        elsewhere: "Python 3 with venv and pip: https://python.org/",
    },
    Tool {
        name: "ffmpeg",
        programs: &["ffmpeg"],
        proof: &[],
        packages: &["ffmpeg", "fonts-dejavu-core"],
        elsewhere: "ffmpeg and ffprobe in the search path: https://ffmpeg.org/",
    },
    Tool {
        name: "espeak-ng",
        programs: &["espeak-ng"],
        proof: &[],
        packages: &["espeak-ng"],
        elsewhere: "espeak-ng in the search path: https://github.com/espeak-ng/espeak-ng",
    },
    Tool {
        name: "faketime",
        programs: &["faketime"],
        proof: &[],
        packages: &["faketime"],
        elsewhere: "libfaketime, with `faketime` in the search path: https://github.com/wolfcw/libfaketime",
    },
    Tool {
        name: "redis-server",
        programs: &["redis-server"],
        proof: &[],
        packages: &["redis-server"],
        elsewhere: "Redis or Valkey in the search path as `redis-server`: https://redis.io/",
    },
    Tool {
        name: "java",
        programs: &["java"],
        proof: &["--version"],
        packages: &["default-jre-headless"],
        elsewhere: "Java 17 or newer: https://adoptium.net/",
    },
    Tool {
        name: "mvn",
        programs: &["mvn"],
        proof: &[],
        packages: &["maven"],
        elsewhere: "Maven, which brings Kafka for the tests: https://maven.apache.org/",
    },
    Tool {
        name: "kcat",
        programs: &["kcat"],
        proof: &[],
        packages: &["kcat"],
        elsewhere: "kcat: https://github.com/edenhill/kcat",
    },
    Tool {
        name: "make",
        programs: &["make"],
        proof: &[],
        packages: &["make"],
        elsewhere: "make, with which librdkafka is built",
    },
    Tool {
        name: "c++",
        programs: &["c++"],
        proof: &[],
        packages: &["g++"],
        elsewhere: "a C++ compiler in the search path as `c++`: librdkafka wants one",
    },
    Tool {
        name: "curl",
        programs: &["curl"],
        proof: &[],
        packages: &["curl"],
        elsewhere: "curl: https://curl.se/",
    },
];

/// Whether a program or a part of the toolchain is there, new and whole enough if it is one of [`TOOLS`].
pub(crate) fn present(name: &str) -> bool {
    match TOOLS.iter().find(|tool| tool.name == name) {
        Some(tool) => tool.present(),
        None if COMPONENTS.contains(&name) => has_component(name),
        None => process::find(name).is_some(),
    }
}

impl Tool {
    /// Whether it is there.
    pub(crate) fn present(&self) -> bool {
        let set = self.name == "chromium" && std::env::var_os("CHROMIUM").is_some();
        let mut found = self.programs.iter().filter_map(|program| process::find(program));
        set || found.any(|path| self.proof.is_empty() || succeeds(Command::new(path).args(self.proof)))
    }
}

/// Installs what is wanted and missing where that is possible, says what it does, and answers what is still
/// missing.
pub(crate) fn ensure(wanted: &BTreeSet<&str>) -> Vec<String> {
    let tools: Vec<&Tool> = TOOLS.iter().filter(|tool| wanted.contains(tool.name)).collect();
    let packages: Vec<&str> =
        tools.iter().filter(|tool| !tool.present()).flat_map(|tool| tool.packages).copied().collect();
    if !packages.is_empty()
        && let Some(mut apt) = apt()
    {
        println!("  installing {}", packages.join(" "));
        if let Err(error) = install(&mut apt, &packages) {
            println!("  {error}");
        }
    }
    let mut missing = Vec::new();
    for tool in tools {
        if tool.present() {
            println!("  {:<12} {}", tool.name, version(tool.programs[0]));
        } else {
            println!("  {:<12} MISSING, too old or not whole. To get it: {}", tool.name, tool.elsewhere);
            missing.push(tool.name.to_owned());
        }
    }
    let components = COMPONENTS.iter().filter(|name| wanted.contains(*name));
    missing.extend(components.filter(|name| !component(name)).map(|name| (*name).to_owned()));
    missing
}

/// Whether cargo-deny is installed.
pub(crate) fn deny() -> bool {
    process::find(CARGO_DENY).is_some()
        || succeeds(Command::new(workspace::cargo()).args(["deny", "--version"]))
}

/// Whether a part of the Rust toolchain is there.
fn has_component(name: &str) -> bool {
    let subcommand = if name == "rustfmt" { "fmt" } else { name };
    succeeds(Command::new(workspace::cargo()).args([subcommand, "--version"]))
}

/// Makes sure of a part of the Rust toolchain.
fn component(name: &str) -> bool {
    if has_component(name) {
        return true;
    }
    println!("  {name} is missing: rustup component add {name}");
    if process::find("rustup").is_some()
        && succeeds(Command::new("rustup").args(["component", "add", name]))
        && has_component(name)
    {
        return true;
    }
    println!("  {name:<12} MISSING. To get it: rustup component add {name}");
    false
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// apt-get as somebody who may install, or nothing.
fn apt() -> Option<Vec<String>> {
    process::find("apt-get")?;
    if rustix::process::geteuid().is_root() {
        return Some(vec!["apt-get".to_owned()]);
    }
    let sudo = process::find("sudo").is_some() && succeeds(Command::new("sudo").args(["-n", "true"]));
    sudo.then(|| ["sudo", "-n", "apt-get"].map(str::to_owned).to_vec())
}

fn install(apt: &mut [String], packages: &[&str]) -> Result<(), Failure> {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&apt[0]);
        command.args(&apt[1..]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        process::tee(&mut command)
    };
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(packages);
    if run(&arguments)?.success {
        return Ok(());
    }
    run(&["update", "-qq"])?;
    if run(&arguments)?.success { Ok(()) } else { Err("apt-get could not install it".to_owned()) }
}

fn version(program: &str) -> String {
    let flag = match program {
        "nginx" => "-v",
        "kcat" => "-V",
        _ => "--version",
    };
    let Some(path) = process::find(program) else { return String::new() };
    let Ok(output) = Command::new(path).arg(flag).stdin(Stdio::null()).output() else { return String::new() };
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_cannot_do_what_is_needed_counts_as_missing() {
        let check = |proof: &'static [&'static str]| {
            let tool = Tool { name: "sh", programs: &["sh"], proof, packages: &[], elsewhere: "" };
            tool.present()
        };
        assert!(check(&[]) && check(&["-c", "exit 0"]));
        assert!(!check(&["-c", "exit 1"]));
    }

    #[test]
    fn every_tool_says_how_to_get_it() {
        for tool in TOOLS {
            assert!(!tool.programs.is_empty() && !tool.packages.is_empty() && !tool.elsewhere.is_empty());
        }
    }
}
