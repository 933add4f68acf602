//! The steps from a message to a video, in their order.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    encode,
    font::Font,
    frames,
    programs::{self, VideoError},
    progress::{Progress, ProgressReporter},
    script::{self, Language, Script},
    speech::{self, Scene},
};

/// The steps, in order.
pub const STEPS: [&str; 5] = ["script", "speech", "frames", "encode", "publish"];
/// Where each step begins, in percent of the whole. The shares are about the time they take.
const BEGINS: [f64; 6] = [0.0, 2.0, 8.0, 55.0, 97.0, 100.0];
/// A percentage is reported this often at most.
const REPORT_EVERY: Duration = Duration::from_millis(100);
/// What the video is called.
const VIDEO: &str = "video.mp4";
/// What its captions are called.
const CAPTIONS: &str = "captions.vtt";

/// Where the files of a video go.
#[derive(Debug, Clone)]
pub struct Target {
    /// The folder.
    pub files: PathBuf,
    /// The address under which others reach it.
    pub files_url: String,
}

/// Makes the video of a message; without a language the message decides.
///
/// # Errors
/// [`VideoError`] names the program, the font or the file that is in the way.
pub fn produce(
    message: &str,
    language: Option<Language>,
    target: Target,
    reporter: &mut dyn ProgressReporter,
) -> Result<(), VideoError> {
    let Target { files, files_url } = target;
    Production { files, files_url, step: 0, reported: Instant::now(), reporter }.run(message, language)
}

struct Production<'a> {
    files: PathBuf,
    files_url: String,
    step: usize,
    /// When something was last reported.
    reported: Instant,
    reporter: &'a mut dyn ProgressReporter,
}

impl Production<'_> {
    fn run(&mut self, message: &str, language: Option<Language>) -> Result<(), VideoError> {
        self.begin(0);
        programs::check()?;
        let script = script::write(message, language);
        let metadata = Some(json!({ "language": script.language.code() }));
        self.report(&Progress { message: Some(&script.title), metadata, ..Progress::default() });
        self.say_what_is_missing(&script)?;
        // A folder in the folder: nothing in it is offered for download.
        let work = self.files.join("work");
        std::fs::create_dir_all(&work)?;
        let scenes = self.speak(&work, &script)?;
        self.draw(&work, &scenes)?;
        self.encode(&work, &scenes)?;
        self.publish(&work, &script, &scenes)
    }

    /// Signs that nobody will see are said, by the log and in the state, before anything is made with them.
    fn say_what_is_missing(&mut self, script: &Script) -> Result<(), VideoError> {
        let font = Font::for_text(&script.scenes.concat())?;
        let missing: String = font.missing(&script.scenes.concat()).into_iter().collect();
        if !missing.is_empty() {
            let name = font.name();
            self.reporter.log(&format!(
                "the font {name} has no signs for {missing}: they show as boxes; install a font that has them on the \
                 server (Debian: apt install fonts-noto-cjk) and retry"
            ));
        }
        if !script.left_out.is_empty() {
            self.reporter.log(&format!("left out, since no font draws it: {}", script.left_out));
        }
        let unseen: String = [missing, script.left_out.clone()].concat();
        if !unseen.is_empty() {
            let metadata = Some(json!({ "missing_glyphs": unseen }));
            self.report(&Progress { metadata, ..Progress::default() });
        }
        Ok(())
    }

    fn speak(&mut self, work: &Path, script: &Script) -> Result<Vec<Scene>, VideoError> {
        self.begin(1);
        let mut scenes = Vec::new();
        for (index, text) in script.scenes.iter().enumerate() {
            self.part(index, script.scenes.len(), text);
            let duration_s = speech::speak(work, index, text, script.language)?;
            self.reporter.log(&format!("scene {}, {duration_s:.1} s: {text}", index + 1));
            scenes.push(Scene { text: text.clone(), duration_s });
        }
        Ok(scenes)
    }

    fn draw(&mut self, work: &Path, scenes: &[Scene]) -> Result<(), VideoError> {
        self.begin(2);
        let font = Font::for_text(&scenes.iter().map(|scene| scene.text.as_str()).collect::<String>())?;
        for (index, scene) in scenes.iter().enumerate() {
            let place = frames::Place { index, count: scenes.len() };
            frames::draw(work, &font, scene, place, |share| {
                #[expect(clippy::cast_precision_loss, reason = "a few scenes")]
                self.share((index as f64 + share) / scenes.len() as f64);
            })?;
            let preview = format!("preview-{}.jpg", index + 1);
            frames::preview(work, index, scene, &self.files.join(&preview))?;
            let metadata = Some(json!({ "preview": format!("{}/{preview}", self.files_url) }));
            let message = Some(scene.text.as_str());
            self.report(&Progress { artefact: Some(&preview), message, metadata, ..Progress::default() });
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
        self.reporter.log(&format!("{VIDEO}: {:.1} s, {} bytes", made.duration_s, made.size_bytes));
        let url = |name: &str| format!("{}/{name}", self.files_url);
        let result = Some(json!({ "video": {
            "url": url(VIDEO), "duration_s": made.duration_s, "size_bytes": made.size_bytes, "width": made.width,
            "height": made.height, "captions_url": url(CAPTIONS), "language": script.language.code(),
        } }));
        let percent = Some(100.0);
        self.report(&Progress { percent, artefact: Some(VIDEO), result, ..Progress::default() });
        Ok(())
    }

    fn begin(&mut self, step: usize) {
        self.step = step;
        self.report(&Progress {
            step: Some(STEPS[step]),
            percent: Some(BEGINS[step]),
            total_steps: Some(STEPS.len()),
            ..Progress::default()
        });
    }

    /// Begins one of many things that a step does.
    fn part(&mut self, index: usize, count: usize, text: &str) {
        #[expect(clippy::cast_precision_loss, reason = "a few scenes")]
        let share = index as f64 / count as f64;
        let percent = Some(self.percent(share));
        self.report(&Progress { percent, message: Some(text), ..Progress::default() });
    }

    /// How much of the step is done, 0 to 1.
    fn share(&mut self, share: f64) {
        if self.reported.elapsed() >= REPORT_EVERY {
            let percent = Some(self.percent(share));
            self.report(&Progress { percent, ..Progress::default() });
        }
    }

    fn percent(&self, share: f64) -> f64 {
        let (begin, end) = (BEGINS[self.step], BEGINS[self.step + 1]);
        ((begin + (end - begin) * share.clamp(0.0, 1.0)) * 10.0).round() / 10.0
    }

    fn report(&mut self, progress: &Progress<'_>) {
        self.reported = Instant::now();
        self.reporter.report(progress);
    }
}
