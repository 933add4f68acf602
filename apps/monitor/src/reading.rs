//! Reading history: from memory what is open, from the log what is in blocks.
//!
//! Knows: which blocks a span needs, and how they are read. Does not know: HTTP, how rows look on the wire.
//!
//! An hour is six blocks of the log and a day twenty-four: what costs is writing the answer, not finding it.

use anywire_log::{Channel, Cursor, Followed, Gap, Offset, Position, ReadError, ReadRequest};
use bytes::Bytes;

use crate::{
    desk::{Desk, Host, HostState},
    domain::{Sample, resolution},
    events::read_rows,
    history::{Picked, buckets, is_raw, raw},
    rows::Damaged,
    series::{BlockPlace, MINUTE_MS, Track},
};

/// How much of the log one read brings at most.
const READ_BYTES_MAX: usize = 4 << 20;

/// Why history could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadHistoryError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Damaged(#[from] Damaged),
}

/// A span and how fine it is wanted, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) step_ms: i64,
    pub(crate) interval_ms: i64,
}

/// Rows as they are answered.
pub(crate) struct Found {
    pub(crate) names: Vec<String>,
    /// The step in which each column is kept.
    pub(crate) steps: Vec<f64>,
    pub(crate) rows: Picked,
    pub(crate) step_ms: i64,
}

/// Samples since a cursor, whole.
pub(crate) struct Fresh {
    pub(crate) samples: Vec<Bytes>,
    pub(crate) through: Offset,
    pub(crate) more: bool,
    pub(crate) gap: Option<Gap>,
}

/// The samples that came after a cursor; from the oldest kept one without.
pub(crate) async fn samples_after(
    desk: &Desk,
    host: &Host,
    after: Option<Cursor>,
    max: usize,
) -> Result<Fresh, ReadHistoryError> {
    let log = &desk.context.log;
    let position = after.map_or(Position::Oldest, Position::After);
    let mut follow = log.follow(std::slice::from_ref(&host.channels.live), position);
    // Where a caller that has everything stands: at the newest sample, not at the tail, so that its address does not change.
    let newest = host.newest().map_or(Offset::ZERO, |newest| newest.offset);
    let standing =
        after.filter(|after| after.epoch == log.epoch()).map_or(Offset::ZERO, |after| after.offset);
    let mut fresh = Fresh {
        samples: Vec::new(),
        through: newest.max(standing.min(log.tail_offset())),
        more: false,
        gap: None,
    };
    while let Some(found) = follow.ready().await? {
        match found {
            Followed::Gap(gap) => fresh.gap = Some(gap),
            Followed::Events(events) => {
                for event in events {
                    if fresh.samples.len() == max {
                        fresh.more = true;
                        return Ok(fresh);
                    }
                    fresh.through = event.offset;
                    // Whoever may publish can publish on this channel, too; what is no sample is not told as one.
                    let sample = serde_json::from_slice::<Sample>(event.payload.as_bytes());
                    if sample.is_ok_and(|sample| sample.check().is_ok()) {
                        fresh.samples.push(event.payload.as_bytes().clone());
                    }
                }
            }
        }
    }
    Ok(fresh)
}

/// Rows of figures over a span.
pub(crate) async fn rows(
    desk: &Desk,
    host: &Host,
    range: &Range,
    fields: &[String],
) -> Result<Found, ReadHistoryError> {
    if range.step_ms >= MINUTE_MS || host.state.lock().series.only_minutes_tell(range.from, range.to) {
        let step_ms = range.step_ms.max(MINUTE_MS);
        let names = names_of_minutes(fields);
        let picked = minutes(desk, host, range, &names).await?;
        return Ok(found(fields, buckets(&picked, range.from, range.to, step_ms, 3), step_ms, true));
    }
    let picked = samples(desk, host, range, fields).await?;
    if is_raw(range.step_ms, range.interval_ms) {
        return Ok(found(fields, raw(&picked, range.interval_ms), range.interval_ms, false));
    }
    Ok(found(fields, buckets(&picked, range.from, range.to, range.step_ms, 1), range.step_ms, true))
}

fn found(fields: &[String], rows: Picked, step_ms: i64, extremes: bool) -> Found {
    let parts: &[&str] = if extremes { &["", ".min", ".max"] } else { &[""] };
    let each = || fields.iter().flat_map(|field| parts.iter().map(move |part| (field, part)));
    Found {
        names: each().map(|(field, part)| format!("{field}{part}")).collect(),
        // A mean is finer than what it is made of, but nobody needs more than one digit more.
        steps: each()
            .map(
                |(field, part)| {
                    if part.is_empty() && extremes { resolution(field) / 10.0 } else { resolution(field) }
                },
            )
            .collect(),
        rows,
        step_ms,
    }
}

fn names_of_minutes(fields: &[String]) -> Vec<String> {
    fields.iter().flat_map(|field| [field.clone(), format!("{field}<"), format!("{field}>")]).collect()
}

async fn samples(
    desk: &Desk,
    host: &Host,
    range: &Range,
    names: &[String],
) -> Result<Picked, ReadHistoryError> {
    let (blocks, memory) = cut(host, range, names, |state| &state.series.samples);
    let mut picked = read_blocks(desk, &host.channels.samples, &blocks, range, names).await?;
    append(&mut picked, &memory);
    Ok(picked)
}

/// Minutes, with the one that is not over yet.
async fn minutes(
    desk: &Desk,
    host: &Host,
    range: &Range,
    names: &[String],
) -> Result<Picked, ReadHistoryError> {
    // A minute counts for its whole length: the first one may begin before the span.
    let range = Range { from: range.from.div_euclid(MINUTE_MS) * MINUTE_MS, ..*range };
    let (blocks, mut memory) = cut(host, &range, names, |state| &state.series.minutes);
    {
        let series = &host.state.lock().series;
        let last = series.samples.last().unwrap_or_default();
        let minute = last.div_euclid(MINUTE_MS) * MINUTE_MS;
        if (range.from..range.to).contains(&minute) && series.minutes.last().is_none_or(|done| done < minute)
        {
            let figures: std::collections::HashMap<String, f64> =
                series.minute_of(minute).into_iter().collect();
            memory.push(minute, |at| figures.get(&names[at]).map_or(f32::NAN, |value| *value as f32));
        }
    }
    let mut picked = read_blocks(desk, &host.channels.minutes, &blocks, &range, names).await?;
    append(&mut picked, &memory);
    Ok(picked)
}

/// The blocks a span needs, and what is in memory of it, at one moment.
fn cut(
    host: &Host,
    range: &Range,
    names: &[String],
    track: fn(&HostState) -> &Track,
) -> (Vec<BlockPlace>, Picked) {
    let state = host.state.lock();
    let track = track(&state);
    let mut memory = Picked::new(names.len());
    for rows in track.in_memory() {
        memory.take(rows, names, range.from, range.to);
    }
    (track.blocks(range.from, range.to), memory)
}

fn append(picked: &mut Picked, memory: &Picked) {
    for (row, time) in memory.times.iter().enumerate() {
        picked.push(*time, |column| memory.columns[column][row]);
    }
}

async fn read_blocks(
    desk: &Desk,
    channel: &Channel,
    blocks: &[BlockPlace],
    range: &Range,
    names: &[String],
) -> Result<Picked, ReadHistoryError> {
    let mut picked = Picked::new(names.len());
    let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else { return Ok(picked) };
    let mut after = first.offset.previous();
    while after < last.offset {
        let request = ReadRequest {
            channels: vec![channel.clone()],
            after,
            through: last.offset,
            events_max: 64,
            bytes_max: READ_BYTES_MAX,
        };
        // A gap is history that retention took meanwhile: a hole like any other.
        let (batch, _gap) = desk.context.log.read_behind(request).await?;
        for event in &batch.events {
            picked.take(&read_rows(&event.payload)?, names, range.from, range.to);
        }
        after = batch.through.max(after.next());
    }
    Ok(picked)
}
