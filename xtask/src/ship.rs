//! `cargo xtask ship`: the program as it is shipped. Optimized across crates and stripped; its debug lines
//! lie beside it.

use std::{fs, path::Path, process::Command};

use crate::{Failure, process::Group, workspace};

/// The program, in `target/shipped/`.
const PROGRAM: &str = "anywire";

/// Builds it, and what measures it if that is wanted: in one command, since another choice of packages would
/// build half anew.
pub(crate) fn build(with_bench: bool) -> Result<(), Failure> {
    let mut cargo = Command::new(workspace::cargo());
    cargo.args(["build", "--release", "--bins", "-p", "anywire"]).current_dir(workspace::root());
    if with_bench {
        cargo.args(["-p", "anywire-bench"]);
    }
    finish(&mut cargo)?;
    let (built, shipped) = (workspace::built("release", PROGRAM), workspace::shipped(PROGRAM));
    let folder = shipped.parent().ok_or("the shipped program has no folder")?;
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    if cfg!(target_os = "linux") {
        split(&built, &shipped)?;
    } else {
        copy(&built, &shipped)?;
    }
    println!("{}, {}", shipped.display(), size(&shipped));
    Ok(())
}

/// Divides a program into what runs and `NAME.debug`, which debuggers and backtraces find by the name that
/// the program keeps.
fn split(built: &Path, shipped: &Path) -> Result<(), Failure> {
    let debug = shipped.with_extension("debug");
    let objcopy = |arguments: &[&str], from: &Path, to: &Path| {
        finish(Command::new("objcopy").args(arguments).arg(from).arg(to))
    };
    objcopy(&["--only-keep-debug", "--compress-debug-sections"], built, &debug)?;
    let link = format!("--add-gnu-debuglink={}", debug.display());
    objcopy(&["--strip-all", &link], built, shipped)?;
    println!("{}, {}; {}, {}", built.display(), size(built), debug.display(), size(&debug));
    Ok(())
}

fn copy(built: &Path, shipped: &Path) -> Result<(), Failure> {
    fs::copy(built, shipped).map(|_| ()).map_err(|error| format!("{}: {error}", shipped.display()))
}

fn size(file: &Path) -> String {
    let bytes = fs::metadata(file).map_or(0, |data| data.len());
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

fn finish(command: &mut Command) -> Result<(), Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = Group::start(command)?.wait(|| ())?;
    if status.success() { Ok(()) } else { Err(format!("{program} failed ({status})")) }
}
