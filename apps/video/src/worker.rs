//! The program that makes a video: its arguments, its environment, its exit status.

use std::{ffi::OsString, process::ExitCode};

use crate::{
    produce::{Target, produce},
    progress::{JsonLines, Progress, ProgressReporter},
    script::Language,
};

/// `make-video --language=auto|en|vi --message=TEXT`. Files go to the folder `ANYWIRE_FILES`, which others
/// reach at `ANYWIRE_FILES_URL`.
#[must_use]
pub fn make_video(arguments: Vec<OsString>) -> ExitCode {
    let option = |name: &str| {
        let texts = arguments.iter().filter_map(|argument| argument.to_str());
        texts.filter_map(|text| text.strip_prefix(name)).next().map(str::to_owned)
    };
    let Some(message) = option("--message=").filter(|message| !message.trim().is_empty()) else {
        eprintln!("make-video --language=auto|en|vi --message=TEXT");
        return ExitCode::from(2);
    };
    let language = Language::parse(&option("--language=").unwrap_or_default());
    let variable = |name: &str| std::env::var(name).ok();
    let target = Target {
        files: variable("ANYWIRE_FILES").unwrap_or_else(|| ".".to_owned()).into(),
        files_url: variable("ANYWIRE_FILES_URL").unwrap_or_default(),
    };
    let mut reporter = JsonLines;
    match produce(&message, language, target, &mut reporter) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            reporter.report(&Progress { error: Some(&error.to_string()), ..Progress::default() });
            ExitCode::FAILURE
        }
    }
}
