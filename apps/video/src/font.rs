//! The font of the captions: how wide its letters are, and which signs it does not have.

use std::path::{Path, PathBuf};

use ttf_parser::Face;

use crate::programs::VideoError;

/// Fonts that are looked for: those with Vietnamese letters, the best first, then those with signs of
/// East Asia.
const FONTS: [&str; 11] = [
    "/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf",
    "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans-Bold.ttf",
    "/usr/share/fonts/TTF/DejaVuSans-Bold.ttf",
    "/usr/share/fonts/truetype/noto/NotoSans-Bold.ttf",
    "/usr/share/fonts/noto/NotoSans-Bold.ttf",
    "/usr/share/fonts/truetype/liberation/LiberationSans-Bold.ttf",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Bold.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Bold.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Bold.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
];

/// A font file.
#[derive(Debug)]
pub(crate) struct Font {
    path: PathBuf,
    data: Vec<u8>,
}

impl Font {
    /// Of the fonts that are installed the one that lacks the fewest signs of a text.
    pub(crate) fn for_text(text: &str) -> Result<Self, VideoError> {
        let installed = FONTS.iter().filter_map(|path| Self::open(Path::new(path)));
        installed.min_by_key(|font| font.missing(text).len()).ok_or(VideoError::NoFont)
    }

    fn open(path: &Path) -> Option<Self> {
        let data = std::fs::read(path).ok()?;
        Face::parse(&data, 0).ok()?;
        Some(Self { path: path.to_owned(), data })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The name of its file.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// How wide a text is in letters of size 1. What it lacks is shown as a box.
    pub(crate) fn width(&self, text: &str) -> f64 {
        let Ok(face) = Face::parse(&self.data, 0) else { return 0.0 };
        let advance = |sign: char| face.glyph_hor_advance(face.glyph_index(sign).unwrap_or_default());
        let units: u32 = text.chars().map(|sign| u32::from(advance(sign).unwrap_or_default())).sum();
        f64::from(units) / f64::from(face.units_per_em())
    }

    /// The signs of a text that it lacks, each once.
    pub(crate) fn missing(&self, text: &str) -> Vec<char> {
        let Ok(face) = Face::parse(&self.data, 0) else { return Vec::new() };
        let mut missing: Vec<char> = Vec::new();
        for sign in text.chars().filter(|sign| !sign.is_whitespace()) {
            if face.glyph_index(sign).is_none() && !missing.contains(&sign) {
                missing.push(sign);
            }
        }
        missing
    }
}
