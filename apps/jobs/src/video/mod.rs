//! A video from a message: written, spoken, drawn, encoded, with a word about each step on standard output.
//!
//! ```text
//! script ▶ speech (espeak-ng) ▶ frames (ffmpeg, a clip a scene) ▶ encode (ffmpeg: H.264, AAC, fast start) ▶ publish (ffprobe)
//! ```
//! It is a program like any other that the server runs as a command: it speaks JSON lines and leaves files. What it starts is ended with it.
//!
//! Knows: the order of the steps and their shares. Does not know: jobs, the server.

mod encode;
mod frames;
mod programs;
mod script;
mod speech;

use std::{
    ffi::OsString,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use programs::VideoError;
use script::{Language, Script};

/// The steps, in order.
pub(crate) const STEPS: [&str; 5] = ["script", "speech", "frames", "encode", "publish"];
/// Where each step begins, in percent of the whole. The shares are about the time they take.
const BEGINS: [f64; 6] = [0.0, 2.0, 8.0, 55.0, 97.0, 100.0];
/// A percentage is said this often at most.
const SAY_EVERY: Duration = Duration::from_millis(100);
/// What the video is called.
const VIDEO: &str = "video.mp4";
/// What its captions are called.
const CAPTIONS: &str = "captions.vtt";

/// `make-video --language=auto|en|vi --message=TEXT`
pub(crate) fn make(arguments: Vec<OsString>) -> ExitCode {
    let option = |name: &str| {
        let texts = arguments.iter().filter_map(|argument| argument.to_str());
        texts.filter_map(|text| text.strip_prefix(name)).next().map(str::to_owned)
    };
    let Some(message) = option("--message=").filter(|message| !message.trim().is_empty()) else {
        eprintln!("make-video --language=auto|en|vi --message=TEXT");
        return ExitCode::from(2);
    };
    let language = Language::parse(&option("--language=").unwrap_or_default());
    let mut making = Making::new();
    match making.video(&message, language) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            making.say(&json!({ "error": error.to_string() }));
            ExitCode::FAILURE
        }
    }
}

/// One part of the video.
#[derive(Debug)]
struct Scene {
    text: String,
    /// How long it is shown, in seconds.
    duration_s: f64,
}

struct Making {
    /// Where files are left, and how they are reached.
    files: PathBuf,
    files_url: String,
    step: usize,
    said: Instant,
}

impl Making {
    fn new() -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        Self {
            files: variable("ANYWIRE_FILES").unwrap_or_else(|| ".".to_owned()).into(),
            files_url: variable("ANYWIRE_FILES_URL").unwrap_or_default(),
            step: 0,
            said: Instant::now(),
        }
    }

    fn video(&mut self, message: &str, language: Option<Language>) -> Result<(), VideoError> {
        self.begin(0);
        programs::check()?;
        let script = script::write(message, language);
        self.say(&json!({ "message": script.title, "metadata": { "language": script.language.code() } }));
        // A folder in the folder: nothing in it is offered for download.
        let work = self.files.join("work");
        std::fs::create_dir_all(&work)?;
        let scenes = self.speak(&work, &script)?;
        self.draw(&work, &scenes)?;
        self.encode(&work, &scenes)?;
        self.publish(&work, &script, &scenes)
    }

    fn speak(&mut self, work: &Path, script: &Script) -> Result<Vec<Scene>, VideoError> {
        self.begin(1);
        let mut scenes = Vec::new();
        for (index, text) in script.scenes.iter().enumerate() {
            self.part(index, script.scenes.len(), text);
            let duration_s = speech::speak(work, index, text, script.language)?;
            self.note(&format!("scene {}, {duration_s:.1} s: {text}", index + 1));
            scenes.push(Scene { text: text.clone(), duration_s });
        }
        Ok(scenes)
    }

    fn draw(&mut self, work: &Path, scenes: &[Scene]) -> Result<(), VideoError> {
        self.begin(2);
        let font = programs::font()?;
        for (index, scene) in scenes.iter().enumerate() {
            let place = frames::Place { index, count: scenes.len() };
            frames::draw(work, &font, scene, place, |share| {
                #[expect(clippy::cast_precision_loss, reason = "a few scenes")]
                self.share((index as f64 + share) / scenes.len() as f64);
            })?;
            let preview = format!("preview-{}.jpg", index + 1);
            frames::preview(work, index, scene, &self.files.join(&preview))?;
            let url = format!("{}/{preview}", self.files_url);
            self.say(&json!({ "artefact": preview, "message": scene.text, "metadata": { "preview": url } }));
        }
        Ok(())
    }

    fn encode(&mut self, work: &Path, scenes: &[Scene]) -> Result<(), VideoError> {
        self.begin(3);
        let whole_s: f64 = scenes.iter().map(|scene| scene.duration_s).sum();
        encode::encode(work, scenes.len(), whole_s, VIDEO, |share| self.share(share))
    }

    fn publish(&mut self, work: &Path, script: &Script, scenes: &[Scene]) -> Result<(), VideoError> {
        self.begin(4);
        let made = encode::probe(&work.join(VIDEO))?;
        // Into sight only when it is whole and known to be one.
        std::fs::rename(work.join(VIDEO), self.files.join(VIDEO))?;
        std::fs::write(self.files.join(CAPTIONS), encode::captions(scenes))?;
        std::fs::remove_dir_all(work)?;
        self.note(&format!("{VIDEO}: {:.1} s, {} bytes", made.duration_s, made.size_bytes));
        let url = |name: &str| format!("{}/{name}", self.files_url);
        let video = json!({
            "url": url(VIDEO), "duration_s": made.duration_s, "size_bytes": made.size_bytes, "width": made.width,
            "height": made.height, "captions_url": url(CAPTIONS), "language": script.language.code(),
        });
        self.say(&json!({ "percent": 100, "artefact": VIDEO, "result": { "video": video } }));
        Ok(())
    }

    fn begin(&mut self, step: usize) {
        self.step = step;
        self.say(&json!({ "step": STEPS[step], "percent": BEGINS[step], "total_steps": STEPS.len() }));
    }

    /// One of many things a step does.
    fn part(&mut self, index: usize, count: usize, text: &str) {
        #[expect(clippy::cast_precision_loss, reason = "a few scenes")]
        let share = index as f64 / count as f64;
        self.say(&json!({ "percent": self.percent(share), "message": text }));
    }

    /// How much of the step is done, 0 to 1.
    fn share(&mut self, share: f64) {
        if self.said.elapsed() >= SAY_EVERY {
            self.say(&json!({ "percent": self.percent(share) }));
        }
    }

    fn percent(&self, share: f64) -> f64 {
        let (begin, end) = (BEGINS[self.step], BEGINS[self.step + 1]);
        ((begin + (end - begin) * share.clamp(0.0, 1.0)) * 10.0).round() / 10.0
    }

    /// A line for the log: nothing is wrong, so it is no line of standard error.
    fn note(&self, line: &str) {
        let _gone = writeln!(std::io::stdout(), "{line}");
    }

    fn say(&mut self, words: &Value) {
        self.said = Instant::now();
        let mut out = std::io::stdout().lock();
        // Nobody may be listening: then we are about to be ended.
        let _gone = writeln!(out, "{words}").and_then(|()| out.flush());
    }
}
