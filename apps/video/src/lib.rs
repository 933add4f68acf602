//! A video from a message: written, spoken, drawn and encoded by programs of the system, with a report of
//! each step.
//!
//! ```text
//! script ▶ speech (espeak-ng) ▶ frames (ffmpeg, a clip a scene)
//!        ▶ encode (ffmpeg: H.264, AAC, fast start) ▶ publish (ffprobe)
//! ```
//! As a program ([`make_video`]) it is one like any other that a server runs as a command: it writes JSON
//! lines and leaves files. What it starts is ended with it.

mod encode;
mod font;
mod frames;
mod layout;
mod produce;
mod programs;
mod progress;
mod script;
mod speech;
mod text;
mod worker;

pub use produce::{STEPS, Target, produce};
pub use programs::VideoError;
pub use progress::{JsonLines, Progress, ProgressReporter};
pub use script::Language;
pub use text::cut_words;
pub use worker::make_video;
