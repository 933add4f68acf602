//! A voice for each scene.

use std::path::Path;

use crate::{
    programs::{VideoError, run},
    script::Language,
};

/// One part of the video.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) text: String,
    /// How long it is shown, in seconds.
    pub(crate) duration_s: f64,
}

/// Silence before and after the words of a scene, in seconds.
pub(crate) const BEFORE_S: f64 = 0.3;
const AFTER_S: f64 = 0.5;
/// The frames of a second.
pub(crate) const FRAME_RATE: f64 = 25.0;

/// Speaks a text into `<index>.wav`; how long its scene is, in seconds: whole frames.
pub(crate) fn speak(work: &Path, index: usize, text: &str, language: Language) -> Result<f64, VideoError> {
    let (voice, speed) = match language {
        Language::English => ("en-us", "155"),
        Language::Vietnamese => ("vi", "145"),
    };
    let (words, wave) = (format!("{index}.txt"), format!("{index}.wav"));
    // By file: a text is no argument.
    std::fs::write(work.join(&words), text)?;
    run("espeak-ng", work, &["-v", voice, "-s", speed, "-f", &words, "-w", &wave])?;
    let spoken_s = seconds(&std::fs::read(work.join(&wave))?);
    let spoken_s = spoken_s
        .ok_or_else(|| VideoError::Unusable("espeak-ng wrote no sound that can be read".to_owned()))?;
    Ok(((BEFORE_S + spoken_s + AFTER_S) * FRAME_RATE).ceil() / FRAME_RATE)
}

/// RIFF: `fmt ` tells the bytes a second, `data` how many there are.
fn seconds(wave: &[u8]) -> Option<f64> {
    let number = |at: usize| Some(u32::from_le_bytes(wave.get(at..at + 4)?.try_into().ok()?));
    let mut at = 12;
    let mut rate = None;
    loop {
        let (name, length) = (wave.get(at..at + 4)?, number(at + 4)?);
        match name {
            b"fmt " => rate = number(at + 16),
            b"data" => {
                let bytes = (wave.len() - at - 8).min(usize::try_from(length).ok()?);
                #[expect(clippy::cast_precision_loss, reason = "a sound of seconds")]
                return rate.filter(|rate| *rate > 0).map(|rate| bytes as f64 / f64::from(rate));
            }
            _ => {}
        }
        at += 8 + usize::try_from(length).ok()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_sound_is_read_from_its_header() {
        let mut wave = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
        wave.extend(22050_u32.to_le_bytes());
        wave.extend(44100_u32.to_le_bytes());
        wave.extend([2, 0, 16, 0]);
        wave.extend(b"data");
        wave.extend(22050_u32.to_le_bytes());
        wave.extend(vec![0; 22050]);
        assert_eq!(seconds(&wave), Some(0.5));
        for cut in 0..44 {
            assert_eq!(seconds(&wave[..cut]), None, "{cut}");
        }
    }
}
