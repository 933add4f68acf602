//! History of one host: metrics by time, in memory and in blocks of the log.

mod buckets;
mod history;
mod time_series;

pub(crate) use buckets::{Picked, ROWS_MAX, buckets, is_raw, raw, step_for, write_rows};
pub(crate) use history::{BlockHead, BlockPlace, History, MINUTE_MS, Resolution};
pub(crate) use time_series::{Damaged, TimeSeries, rounded};
