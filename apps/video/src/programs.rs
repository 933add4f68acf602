//! The programs a video needs, and what goes wrong with them.

use std::{
    io::{self, BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Command, Stdio},
};

use crate::text::cut;

/// What is needed: the program, and the package that has it.
const NEEDED: [(&str, &str); 3] = [("espeak-ng", "espeak-ng"), ("ffmpeg", "ffmpeg"), ("ffprobe", "ffmpeg")];

/// How much of what a program said stands in the message.
const WORDS_MAX: usize = 600;

/// Why there is no video.
#[derive(Debug, thiserror::Error)]
pub enum VideoError {
    /// Programs are not there.
    #[error("{0}")]
    Missing(String),
    /// No font is there.
    #[error(
        "no font for the captions is installed; install one on the server (Debian: apt install fonts-dejavu-core) and retry"
    )]
    NoFont,
    /// A program did not do it.
    #[error("{program} failed ({status}): {words}")]
    Failed {
        /// Its name.
        program: &'static str,
        /// How it ended.
        status: String,
        /// What it said.
        words: String,
    },
    /// What came out is not what was wanted.
    #[error("{0}")]
    Unusable(String),
    /// A file could not be read or written.
    #[error("a file of the video could not be read or written: {0}; see the server's disk")]
    Io(#[from] io::Error),
}

/// All of them are there, or those that are not are named at once.
pub(crate) fn check() -> Result<(), VideoError> {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let there =
        |program: &str| std::env::split_paths(&search).any(|folder| is_executable(&folder.join(program)));
    let absent: Vec<_> = NEEDED.iter().filter(|(program, _)| !there(program)).collect();
    match absent.as_slice() {
        [] => Ok(()),
        [(program, _)] => Err(VideoError::Missing(missing(program))),
        several => {
            let names: Vec<&str> = several.iter().map(|(program, _)| *program).collect();
            let mut packages: Vec<&str> = several.iter().map(|(_, package)| *package).collect();
            packages.dedup();
            Err(VideoError::Missing(format!(
                "the programs {} are not installed; install them on the server (Debian: apt install {}) and retry",
                names.join(", "),
                packages.join(" ")
            )))
        }
    }
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// What a person needs to hear when a program is not there.
fn missing(program: &str) -> String {
    let package = NEEDED.iter().find(|(name, _)| *name == program).map_or(program, |(_, package)| package);
    format!(
        "the program {program} is not installed; install it on the server (Debian: apt install {package}) and retry"
    )
}

/// Runs a program in a folder and gives what it wrote.
pub(crate) fn run(program: &'static str, folder: &Path, arguments: &[&str]) -> Result<String, VideoError> {
    let mut command = Command::new(program);
    let output = command.args(arguments).current_dir(folder).stdin(Stdio::null()).output();
    let output = output.map_err(|error| not_started(program, &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(failed(program, &output.status.to_string(), &String::from_utf8_lossy(&output.stderr)))
}

/// Runs ffmpeg in a folder; what it has done so far is told as a share of `whole_s` seconds.
pub(crate) fn ffmpeg(
    folder: &Path,
    arguments: &[&str],
    whole_s: f64,
    mut tell: impl FnMut(f64),
) -> Result<(), VideoError> {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-nostats", "-progress", "pipe:1", "-y"]);
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| not_started("ffmpeg", &error))?;
    let (progress, mut words) = match (child.stdout.take(), child.stderr.take()) {
        (Some(out), Some(err)) => (out, err),
        _ => return Err(VideoError::Unusable("ffmpeg has no output".to_owned())),
    };
    // Both pipes are read at once: a full one would stop it.
    let said = std::thread::spawn(move || {
        let mut said = Vec::new();
        let _end = words.by_ref().take(64 << 10).read_to_end(&mut said);
        let _rest = io::copy(&mut words, &mut io::sink());
        String::from_utf8_lossy(&said).into_owned()
    });
    for line in BufReader::new(progress).lines().map_while(Result::ok) {
        let done_us = line.strip_prefix("out_time_us=").and_then(|value| value.parse::<f64>().ok());
        if let Some(done_us) = done_us.filter(|_| whole_s > 0.0) {
            tell((done_us / 1e6 / whole_s).clamp(0.0, 1.0));
        }
    }
    let status = child.wait()?;
    let said = said.join().unwrap_or_default();
    if status.success() { Ok(()) } else { Err(failed("ffmpeg", &status.to_string(), &said)) }
}

fn not_started(program: &'static str, error: &io::Error) -> VideoError {
    if error.kind() == io::ErrorKind::NotFound {
        return VideoError::Missing(missing(program));
    }
    VideoError::Failed { program, status: "not started".to_owned(), words: error.to_string() }
}

fn failed(program: &'static str, status: &str, words: &str) -> VideoError {
    let words = words.trim();
    let words = if words.is_empty() { "it said nothing" } else { words };
    VideoError::Failed { program, status: status.to_owned(), words: cut(words, WORDS_MAX) }
}
