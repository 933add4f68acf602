//! The moving pictures of each scene: its words come in over a slowly turning ground, the voice shows as a
//! wave, a bar tells how far it is.

use std::{fmt::Write as _, path::Path};

use crate::{
    font::Font,
    layout::{self, Block},
    programs::{VideoError, ffmpeg, run},
    speech::{BEFORE_S, FRAME_RATE, Scene},
};

/// The size of the video.
pub(crate) const WIDTH: u32 = 1280;
pub(crate) const HEIGHT: u32 = 720;
/// Where the middle of the words is.
const WORDS_MIDDLE: f64 = 290.0;
/// How wide the words may be: the frame without its margins.
const WORDS_WIDTH: f64 = 1160.0;
/// From line to line, in sizes of the letters.
const LINE: f64 = 1.4;
/// Grounds, one after the other.
const GROUNDS: [(&str, &str); 4] =
    [("0x0b1f3a", "0x1d4f91"), ("0x10263b", "0x0f6b6b"), ("0x241a3d", "0x5b3a8c"), ("0x1c2b22", "0x2f7a4d")];
const LIGHT: &str = "0x9ad4ff";

/// Which scene of how many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) index: usize,
    pub(crate) count: usize,
}

/// Draws a scene into `<index>.mkv`, with its voice.
pub(crate) fn draw(
    work: &Path,
    font: &Font,
    scene: &Scene,
    place: Place,
    tell: impl FnMut(f64),
) -> Result<(), VideoError> {
    let index = place.index;
    let block = layout::block(&scene.text, WORDS_WIDTH, |text| font.width(text));
    // Words are read from files: in a filter they would have to be quoted three times.
    for (number, line) in block.lines.iter().enumerate() {
        std::fs::write(work.join(format!("{index}-{number}.txt")), line)?;
    }
    std::fs::write(work.join(format!("{index}-place.txt")), format!("{} / {}", index + 1, place.count))?;
    let graph = graph(font.path(), scene, place, &block);
    std::fs::write(work.join(format!("{index}.graph")), graph)?;
    let (wave, graph, clip) = (format!("{index}.wav"), format!("{index}.graph"), format!("{index}.mkv"));
    let duration = format!("{:.2}", scene.duration_s);
    let arguments = [
        "-i",
        &wave,
        "-filter_complex_script",
        &graph,
        "-map",
        "[picture]",
        "-map",
        "[voice]",
        "-t",
        &duration,
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-crf",
        "10",
        "-c:a",
        "pcm_s16le",
        "-ar",
        "44100",
        &clip,
    ];
    ffmpeg(work, &arguments, scene.duration_s, tell)
}

/// One frame out of the middle of a scene.
pub(crate) fn preview(work: &Path, index: usize, scene: &Scene, into: &Path) -> Result<(), VideoError> {
    let (clip, middle) = (format!("{index}.mkv"), format!("{:.2}", scene.duration_s / 2.0));
    let into = into.to_string_lossy();
    let arguments = [
        "-nostdin",
        "-loglevel",
        "error",
        "-y",
        "-ss",
        &middle,
        "-i",
        &clip,
        "-frames:v",
        "1",
        "-vf",
        "scale=640:-2",
        "-q:v",
        "4",
        &into,
    ];
    run("ffmpeg", work, &arguments).map(|_| ())
}

fn graph(font: &Path, scene: &Scene, place: Place, block: &Block) -> String {
    let Place { index, .. } = place;
    let (duration, font) = (scene.duration_s, font.display());
    let (dark, bright) = GROUNDS[index % GROUNDS.len()];
    let before_ms = (BEFORE_S * 1000.0).round();
    let mut graph = format!(
        "[0:a]adelay={before_ms}:all=1,apad=whole_dur={duration:.2},asplit[voice][heard];\n\
         gradients=s={WIDTH}x{HEIGHT}:r={FRAME_RATE}:d={duration:.2}:c0={dark}:c1={bright}:x0=0:y0=0:x1={WIDTH}:y1={HEIGHT}:speed=0.02[ground];\n\
         [heard]showwaves=s=1120x120:mode=cline:rate={FRAME_RATE}:colors={LIGHT},format=rgba[wave];\n\
         color=c={LIGHT}:s={WIDTH}x8:r={FRAME_RATE}:d={duration:.2}[bar];\n\
         [ground][wave]overlay=80:530:eof_action=pass[one];\n\
         [one][bar]overlay=x='-w+w*t/{duration:.2}':y={}:eof_action=pass,\n",
        HEIGHT - 8
    );
    let (lines, size) = (&block.lines, block.size);
    let step = f64::from(size) * LINE;
    #[expect(clippy::cast_precision_loss, reason = "a few lines")]
    let top = WORDS_MIDDLE - step * lines.len() as f64 / 2.0;
    for number in 0..lines.len() {
        #[expect(clippy::cast_precision_loss, reason = "a few lines")]
        let (y, late) = (top + step * number as f64, 0.1 + 0.12 * number as f64);
        let come = format!("min(max(t-{late:.2}\\,0)/0.5\\,1)");
        // Writing to a String cannot fail.
        let _ok = writeln!(
            graph,
            "drawtext=fontfile={font}:textfile={index}-{number}.txt:expansion=none:fontsize={size}:fontcolor=white:\
             x=(w-tw)/2:y='{y:.0}+36*(1-{come})':alpha='{come}',"
        );
    }
    let _ok = write!(
        graph,
        "drawtext=fontfile={font}:textfile={index}-place.txt:expansion=none:fontsize=26:fontcolor=white@0.7:x=60:y=48,format=yuv420p[picture]"
    );
    graph
}
