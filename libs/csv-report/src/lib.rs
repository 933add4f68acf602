//! CSV files as people have them: who reads one row by row, and a report of it, step by step: each step is a
//! function over the file that needs bounded memory however long the file is.
//!
//! ```text
//! checksum    the file's SHA-256                                one pass over bytes: [`checksum`]
//! dialect     encoding, delimiter, quote, header                a sample, and one pass: [`detect`]
//! parse       how many rows, what is wrong with which           one pass: [`parse()`]
//! validate    what each column holds                            one pass: [`validate`]
//! statistics  count, spread, top values, correlations, series   one pass: [`statistics()`]
//! charts      SVG of what statistics found                      memory only: [`charts`]
//! render      one HTML page with everything in it               memory only: [`render`]
//! ```
//! Each reading of a file can be changed by its [`Reading`]; an [`Outline`] is the report as plain values.
//!
//! Invariants:
//! - What the file holds is text on the page, never markup.
//! - What is estimated is labelled so.

mod bytes;
mod chart;
mod decimal;
mod decode;
mod dialect;
mod encoding;
mod faults;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod inspect;
mod kinds;
mod numbers;
mod outline;
mod page;
mod reading;
mod rows;
mod series;
mod source;
mod statistics;
mod step;
mod tally;
mod value;
mod words;

pub use bytes::checksum;
pub use chart::{Charts, charts};
pub use dialect::{Dialect, detect};
pub use faults::{FaultKind, Faults, OfKind, Place};
pub use inspect::{Limits, Shape, Undivided, Uneven, Unnamed, parse};
pub use kinds::{Column, validate};
pub use outline::{Outline, OutlineColumn};
pub use page::{Facts, choose_language, offer_form, page, render};
pub use reading::{
    CHOSEN_COLUMNS_MAX, COLUMN_KINDS, COLUMN_OPTION, OPTIONS, Reading, ReadingError, ReadingOption,
};
pub use rows::Row;
pub use source::Source;
pub use statistics::{Statistics, statistics};
pub use step::{StepError, Ticker};
