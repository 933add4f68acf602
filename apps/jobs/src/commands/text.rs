//! Texts that have to fit a place.

pub use anywire_video::cut_words as cut;
