//! Reading history: from memory what is open, from the log what is in blocks.
//!
//! An hour is six blocks of the log and a day twenty-four: what costs is writing the answer, not finding it.

use std::collections::HashMap;

use anywire_log::{Channel, Cursor, Followed, Gap, Offset, Position, ReadError, ReadRequest};
use bytes::Bytes;

use crate::{
    decisions::Refusal,
    domain::{HostName, Sample, step_of},
    events::read_rows,
    projection::Host,
    series::{BlockPlace, Damaged, History, MINUTE_MS, Picked, Resolution, buckets, is_raw, raw},
    service::MonitorService,
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
    #[error(transparent)]
    Refused(#[from] Refusal),
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
    service: &MonitorService,
    name: &HostName,
    after: Option<Cursor>,
    max: usize,
) -> Result<Fresh, ReadHistoryError> {
    let log = &service.context.log;
    let position = after.map_or(Position::Oldest, Position::After);
    let (live, newest) = service.of_host(name, |host| (host.channels.live.clone(), host.newest.clone()))?;
    let mut follow = log.follow(&[live], position);
    // Where a caller that has everything stands: at the newest sample, not at the tail, so that its address
    // does not change.
    let newest = newest.map_or(Offset::ZERO, |newest| newest.offset);
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
                    // Whoever may publish can publish on this channel, too; what is no sample is not told as
                    // one.
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
    service: &MonitorService,
    name: &HostName,
    range: &Range,
    fields: &[String],
) -> Result<Found, ReadHistoryError> {
    let samples_kept_from = service.now().saturating_sub_unsigned(service.config.keep_samples_ms);
    let only_minutes = |host: &Host| host.history.only_minutes_tell(range.from, range.to, samples_kept_from);
    if range.step_ms >= MINUTE_MS || service.of_host(name, only_minutes)? {
        let step_ms = range.step_ms.max(MINUTE_MS);
        let names = names_of_minutes(fields);
        let picked = minutes(service, name, range, &names).await?;
        return Ok(found(fields, buckets(&picked, range.from, range.to, step_ms, 3), step_ms, true));
    }
    let picked = samples(service, name, range, fields).await?;
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
                    if part.is_empty() && extremes { step_of(field) / 10.0 } else { step_of(field) }
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
    service: &MonitorService,
    name: &HostName,
    range: &Range,
    names: &[String],
) -> Result<Picked, ReadHistoryError> {
    let (channel, blocks, memory) = service.of_host(name, |host| {
        let (blocks, memory) = cut(&host.history.samples, range, names);
        (host.channels.samples.clone(), blocks, memory)
    })?;
    let mut picked = read_blocks(service, &channel, &blocks, range, names).await?;
    picked.append(&memory);
    Ok(picked.in_order())
}

/// Minutes, with the one that is not over yet.
async fn minutes(
    service: &MonitorService,
    name: &HostName,
    range: &Range,
    names: &[String],
) -> Result<Picked, ReadHistoryError> {
    // A minute counts for its whole length: the first one may begin before the span.
    let range = Range { from: range.from.div_euclid(MINUTE_MS) * MINUTE_MS, ..*range };
    let (channel, blocks, memory) = service.of_host(name, |host| {
        let (blocks, mut memory) = cut(&host.history.minutes, &range, names);
        current_minute(&host.history, &range, names, &mut memory);
        (host.channels.minutes.clone(), blocks, memory)
    })?;
    let mut picked = read_blocks(service, &channel, &blocks, &range, names).await?;
    picked.append(&memory);
    Ok(picked.in_order())
}

/// Adds the minute that is not over yet, or was not closed yet; over one that was begun before the clock went
/// back it counts.
fn current_minute(history: &History, range: &Range, names: &[String], memory: &mut Picked) {
    let last = history.samples.last().unwrap_or_default();
    let minute = last.div_euclid(MINUTE_MS) * MINUTE_MS;
    let metrics: HashMap<String, f64> = history.minute_of(minute).into_iter().collect();
    if (range.from..range.to).contains(&minute) && !metrics.is_empty() {
        memory.push(minute, |at| metrics.get(&names[at]).map_or(f32::NAN, |value| *value as f32));
    }
}

/// The blocks a span needs, and what is in memory of it, at one moment.
fn cut(resolution: &Resolution, range: &Range, names: &[String]) -> (Vec<BlockPlace>, Picked) {
    let mut memory = Picked::new(names.len());
    for rows in resolution.in_memory() {
        memory.take(rows, names, range.from, range.to);
    }
    (resolution.blocks(range.from, range.to), memory)
}

async fn read_blocks(
    service: &MonitorService,
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
        let (batch, _gap) = service.context.log.read_behind(request).await?;
        for event in &batch.events {
            picked.take(&read_rows(&event.payload)?, names, range.from, range.to);
        }
        after = batch.through.max(after.next());
    }
    Ok(picked)
}
