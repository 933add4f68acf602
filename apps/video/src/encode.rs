//! All scenes become one file that every browser plays.

use std::{fmt::Write as _, path::Path};

use serde::Deserialize;

use crate::{
    programs::{VideoError, ffmpeg, run},
    speech::Scene,
};

/// What came out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Made {
    pub(crate) duration_s: f64,
    pub(crate) size_bytes: u64,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// Encodes the clips in their order: H.264 and AAC, with the index at the front, so that it plays while it
/// loads.
pub(crate) fn encode(
    work: &Path,
    count: usize,
    whole_s: f64,
    into: &str,
    tell: impl FnMut(f64),
) -> Result<(), VideoError> {
    let list: String = (0..count).map(|index| format!("file {index}.mkv\n")).collect();
    std::fs::write(work.join("clips.txt"), list)?;
    let arguments = [
        "-f",
        "concat",
        "-safe",
        "0",
        "-i",
        "clips.txt",
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-crf",
        "21",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "aac",
        "-b:a",
        "128k",
        "-movflags",
        "+faststart",
        into,
    ];
    ffmpeg(work, &arguments, whole_s, tell)
}

#[derive(Deserialize)]
struct Probe {
    streams: Vec<Stream>,
    format: Format,
}

#[derive(Deserialize)]
struct Stream {
    codec_name: String,
    width: Option<u32>,
    height: Option<u32>,
}

#[derive(Deserialize)]
struct Format {
    duration: String,
    size: String,
}

/// Looks at the file as somebody else would.
pub(crate) fn probe(video: &Path) -> Result<Made, VideoError> {
    let (folder, name) =
        (video.parent().unwrap_or(Path::new(".")), video.file_name().unwrap_or_default().to_string_lossy());
    let arguments = [
        "-v",
        "error",
        "-show_entries",
        "format=duration,size:stream=codec_name,width,height",
        "-of",
        "json",
        &name,
    ];
    let found = run("ffprobe", folder, &arguments)?;
    read(&found).ok_or_else(|| {
        VideoError::Unusable(format!("ffprobe does not find an H.264 video with AAC sound: {}", found.trim()))
    })
}

fn read(found: &str) -> Option<Made> {
    let Probe { streams, format } = serde_json::from_str(found).ok()?;
    let of = |codec: &str| streams.iter().find(|stream| stream.codec_name == codec);
    let (picture, _voice) = (of("h264")?, of("aac")?);
    let duration_s: f64 = format.duration.parse().ok()?;
    Some(Made {
        duration_s: (duration_s * 100.0).round() / 100.0,
        size_bytes: format.size.parse().ok()?,
        width: picture.width?,
        height: picture.height?,
    })
}

/// The words with their times: WebVTT.
pub(crate) fn captions(scenes: &[Scene]) -> String {
    let mut text = "WEBVTT\n".to_owned();
    let mut at = 0.0;
    for scene in scenes {
        let end = at + scene.duration_s;
        let words = scene.text.replace('&', "&amp;").replace('<', "&lt;");
        // Writing to a String cannot fail.
        let _ok = write!(text, "\n{} --> {}\n{words}\n", clock(at), clock(end));
        at = end;
    }
    text
}

fn clock(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a video of seconds")]
    let millis = (seconds * 1000.0).round() as u64;
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    format!("{:02}:{:02}:{:02}.{:03}", minutes / 60, minutes % 60, rest / 1000, rest % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_follow_each_other() {
        let scene = |text: &str, duration_s| Scene { text: text.to_owned(), duration_s };
        let text = captions(&[scene("một <b> & hai", 61.5), scene("ba", 1.0)]);
        assert_eq!(
            text,
            "WEBVTT\n\n00:00:00.000 --> 00:01:01.500\nmột &lt;b> &amp; hai\n\n00:01:01.500 --> 00:01:02.500\nba\n"
        );
    }

    #[test]
    fn only_what_browsers_play_is_a_video() {
        let text = r#"{"streams":[{"codec_name":"h264","width":1280,"height":720},{"codec_name":"aac"}],"format":{"duration":"12.345","size":"99"}}"#;
        assert_eq!(read(text), Some(Made { duration_s: 12.35, size_bytes: 99, width: 1280, height: 720 }));
        assert_eq!(read(&text.replace("h264", "hevc")), None);
        assert_eq!(read(&text.replace("aac", "vorbis")), None);
    }
}
