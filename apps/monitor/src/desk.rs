//! The desk: samples come in, go into the log, and change what is known of their host.
//!
//! Knows: the log, hosts, whose turn it is. Does not know: HTTP, where samples come from.
//!
//! Invariants:
//! - What is in memory is what the log holds: a sample counts when it is committed.
//! - Samples of one host are taken in the order of their times; one that is not newer than the last is a repetition.

use std::{collections::BTreeMap, sync::Arc};

use anywire_app::AppContext;
use anywire_log::{
    AppendError, Batch, Channel, Event, Follow, Followed, Gap, Log, Offset, Position, Publication, ReadError,
    Timestamp,
};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use crate::{
    MonitorConfig, StartError,
    alerts::Alerts,
    domain::{HostName, Sample},
    events::{
        BRIEF_MS, HostChannels, MINUTES_PREFIX, PERFORMANCE_CHANNEL, PERFORMANCE_PREFIX, SAMPLES_PREFIX,
        block_event, brief_event, read_head, read_rows, sample_event, sample_json,
    },
    series::{MINUTE_MS, Series, Track},
};

/// How far a host's clock may be off before its times are moved to ours.
const CLOCK_SKEW_MS: i64 = 2000;
/// How many channels are looked through for hosts at the start.
const CHANNELS_MAX: usize = 100_000;

/// The newest sample of a host.
#[derive(Debug, Clone)]
pub(crate) struct Newest {
    /// As it was published.
    pub(crate) json: Bytes,
    pub(crate) sample: Arc<Sample>,
    pub(crate) offset: Offset,
}

/// One host.
pub(crate) struct Host {
    pub(crate) name: HostName,
    pub(crate) own: bool,
    pub(crate) channels: HostChannels,
    pub(crate) state: Mutex<HostState>,
    /// Whoever writes samples of this host: one after the other.
    writing: tokio::sync::Mutex<()>,
}

/// What is known of a host.
pub(crate) struct HostState {
    pub(crate) newest: Option<Newest>,
    pub(crate) series: Series,
    /// By how much its times are moved, in milliseconds.
    shift_ms: i64,
}

/// Why samples were not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    /// One host more than allowed.
    #[error(
        "{hosts} hosts report already, the limit (monitor.hosts_max); forget one with DELETE /api/performance/hosts/<host>"
    )]
    TooManyHosts {
        /// How many there are.
        hosts: usize,
    },
    /// The name of this server.
    #[error("{host} is the name of this server itself; report under another one (--host)")]
    OwnName {
        /// The name.
        host: HostName,
    },
    /// The host is not known.
    #[error("no host {host:?} has reported; GET /api/performance/hosts lists those that have")]
    Unknown {
        /// The name.
        host: String,
    },
    /// The log refused.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The log could not forget.
    #[error(transparent)]
    Trim(#[from] anywire_log::TrimError),
}

/// How a batch of samples was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub(crate) accepted: usize,
    pub(crate) repeated: usize,
    pub(crate) newest: Offset,
}

/// All hosts.
pub(crate) struct Desk {
    pub(crate) context: AppContext,
    pub(crate) config: MonitorConfig,
    pub(crate) own: HostName,
    pub(crate) alerts: Alerts,
    hosts: RwLock<BTreeMap<HostName, Arc<Host>>>,
}

impl Desk {
    /// Rebuilds everything from the log.
    pub(crate) async fn open(
        context: AppContext,
        config: MonitorConfig,
        own: HostName,
    ) -> Result<Arc<Self>, StartError> {
        let alerts = Alerts::open(&context, &config).await?;
        let desk = Self { context, config, own, alerts, hosts: RwLock::default() };
        for name in desk.found_hosts() {
            let host = desk.host_or_new(&name, true)?;
            desk.rebuild(&host).await?;
            desk.write_blocks(&host).await.map_err(StartError::Append)?;
        }
        Ok(Arc::new(desk))
    }

    fn log(&self) -> &Arc<Log> {
        &self.context.log
    }

    /// Hosts with anything in the log.
    fn found_hosts(&self) -> Vec<HostName> {
        let mut names = Vec::new();
        for prefix in [PERFORMANCE_PREFIX, SAMPLES_PREFIX, MINUTES_PREFIX] {
            let channels = self.log().engine().channels(prefix, CHANNELS_MAX);
            let texts = channels.iter().filter_map(|(channel, _)| channel.as_str().strip_prefix(prefix));
            // The brief streams have a colon in their names, and no host has.
            names.extend(texts.filter_map(|text| HostName::new(text).ok()));
        }
        let own = self.log().engine().channels(PERFORMANCE_CHANNEL, 1);
        if own.iter().any(|(channel, _)| channel.as_str() == PERFORMANCE_CHANNEL) {
            names.push(self.own.clone());
        }
        names.sort();
        names.dedup();
        names
    }

    async fn rebuild(&self, host: &Host) -> Result<(), ReadError> {
        let log = self.log();
        self.each(&mut log.follow(std::slice::from_ref(&host.channels.minutes), Position::Oldest), |event| {
            if let Some(head) = read_head(&event.payload) {
                host.state.lock().series.minutes.found(event.offset, head);
            }
        })
        .await?;
        self.each(&mut log.follow(std::slice::from_ref(&host.channels.samples), Position::Oldest), |event| {
            let Some(head) = read_head(&event.payload) else { return };
            let series = &mut host.state.lock().series;
            series.samples.found(event.offset, head);
            // Blocks before the last hour of minutes are covered by it.
            if series.minutes.last().is_none_or(|last| head.last >= last + MINUTE_MS)
                && let Ok(rows) = read_rows(&event.payload)
            {
                series.minutes_from(&rows);
            }
        })
        .await?;
        let through = host.state.lock().series.samples.through();
        let position =
            if through == Offset::ZERO { Position::Oldest } else { Position::After(log.cursor(through)) };
        self.each(&mut log.follow(std::slice::from_ref(&host.channels.live), position), |event| {
            if let Ok(sample) = serde_json::from_slice::<Sample>(event.payload.as_bytes()) {
                host.state.lock().take(event.payload.as_bytes().clone(), sample, event.offset);
            }
        })
        .await
    }

    /// Gives every event there is. A gap is time that retention took: a hole.
    async fn each(&self, follow: &mut Follow, mut take: impl FnMut(&Event)) -> Result<(), ReadError> {
        while let Some(found) = follow.ready().await? {
            match found {
                Followed::Events(events) => events.iter().for_each(|event| take(event)),
                Followed::Gap(Gap { .. }) => {}
            }
        }
        Ok(())
    }

    /// A host that is known.
    pub(crate) fn host(&self, name: &str) -> Result<Arc<Host>, RecordError> {
        let found = HostName::new(name).ok().and_then(|name| self.hosts.read().get(&name).cloned());
        found.ok_or_else(|| RecordError::Unknown { host: name.chars().take(80).collect() })
    }

    pub(crate) fn hosts(&self) -> Vec<Arc<Host>> {
        self.hosts.read().values().cloned().collect()
    }

    fn host_or_new(&self, name: &HostName, found: bool) -> Result<Arc<Host>, RecordError> {
        if let Some(host) = self.hosts.read().get(name) {
            return Ok(Arc::clone(host));
        }
        let mut hosts = self.hosts.write();
        // What the log already holds is shown even if the limit was lowered meanwhile.
        if hosts.len() >= self.config.hosts_max && !found && *name != self.own {
            return Err(RecordError::TooManyHosts { hosts: hosts.len() });
        }
        let own = *name == self.own;
        let failed = |_| RecordError::Unknown { host: name.to_string() };
        let host = Arc::new(Host {
            name: name.clone(),
            own,
            channels: HostChannels::new(name, own).map_err(failed)?,
            state: Mutex::new(HostState::new(self.config.figures_max)),
            writing: tokio::sync::Mutex::default(),
        });
        Ok(Arc::clone(hosts.entry(name.clone()).or_insert(host)))
    }

    /// Takes samples of another host, in order; `sent_at` is what its clock showed when it sent them.
    pub(crate) async fn report(
        &self,
        name: &HostName,
        mut samples: Vec<Sample>,
        sent_at: i64,
    ) -> Result<Recorded, RecordError> {
        if *name == self.own && self.config.collect {
            return Err(RecordError::OwnName { host: name.clone() });
        }
        let host = self.host_or_new(name, false)?;
        let skew = self.context.clock.now().as_millis().saturating_sub(sent_at);
        let shift = host.state.lock().shift(skew);
        samples.iter_mut().for_each(|sample| sample.time = sample.time.saturating_add(shift));
        self.record(name, samples).await
    }

    /// Writes samples of a host that are new.
    pub(crate) async fn record(
        &self,
        name: &HostName,
        samples: Vec<Sample>,
    ) -> Result<Recorded, RecordError> {
        let host = self.host_or_new(name, false)?;
        let _turn = host.writing.lock().await;
        let mut last = host.last();
        let count = samples.len();
        let mut fresh = Vec::with_capacity(count);
        for sample in samples {
            if last.is_none_or(|last| sample.time > last) {
                last = Some(sample.time);
                fresh.push(sample);
            }
        }
        let mut newest = host.newest_offset();
        if !fresh.is_empty() {
            newest = self.append(&host, &fresh).await?;
            self.alerts.look(self, &host.name, &fresh).await;
        }
        self.write_blocks(&host).await?;
        Ok(Recorded { accepted: fresh.len(), repeated: count - fresh.len(), newest })
    }

    async fn append(&self, host: &Host, samples: &[Sample]) -> Result<Offset, AppendError> {
        let texts: Vec<Bytes> = samples.iter().map(sample_json).collect();
        let mut publications: Vec<Publication> =
            texts.iter().filter_map(|json| sample_event(&host.channels.live, json.clone())).collect();
        // Of several samples the newest is enough for those who want one every five seconds.
        let before = host.last().unwrap_or_default().div_euclid(BRIEF_MS);
        let newest = samples.last().filter(|sample| sample.time.div_euclid(BRIEF_MS) > before);
        publications.extend(newest.and_then(|sample| brief_event(&host.channels.brief, sample)));
        let appended = self.log().append(Batch::new(publications)).await?;
        let mut state = host.state.lock();
        let mut last = Offset::ZERO;
        for ((sample, json), offset) in samples.iter().zip(texts).zip(appended.offsets()) {
            state.take(json, sample.clone(), offset);
            last = offset;
        }
        Ok(last)
    }

    /// Puts full blocks into the log. What fails stays and is tried again with the next sample.
    async fn write_blocks(&self, host: &Host) -> Result<(), AppendError> {
        self.write_track(host, &host.channels.samples, |state| &mut state.series.samples).await?;
        self.write_track(host, &host.channels.minutes, |state| &mut state.series.minutes).await
    }

    async fn write_track(
        &self,
        host: &Host,
        channel: &Channel,
        track: fn(&mut HostState) -> &mut Track,
    ) -> Result<(), AppendError> {
        loop {
            let waiting = track(&mut host.state.lock()).waiting().cloned();
            let Some(event) = waiting.and_then(|block| block_event(channel, &block.rows, block.through))
            else {
                return Ok(());
            };
            let appended = self.log().append(Batch::one(event)).await?;
            track(&mut host.state.lock()).written(appended.first);
        }
    }

    /// Once in a while: blocks of silent hosts are closed, and what retention took is forgotten.
    pub(crate) async fn tidy(&self, now: Timestamp) {
        let before = |keep_ms: u64| now.minus_millis(keep_ms).as_millis();
        for host in self.hosts() {
            let _turn = host.writing.lock().await;
            {
                let series = &mut host.state.lock().series;
                series.pass(now.as_millis());
                series
                    .forget_before(before(self.config.keep_samples_ms), before(self.config.keep_minutes_ms));
            }
            if let Err(error) = self.write_blocks(&host).await {
                tracing::warn!(host = %host.name, %error, "history could not be written; it is tried again");
            }
        }
    }

    /// Forgets a host and its history.
    pub(crate) async fn forget(&self, name: &str) -> Result<(), RecordError> {
        let host = self.host(name)?;
        let _turn = host.writing.lock().await;
        let log = self.log();
        for channel in
            [&host.channels.live, &host.channels.brief, &host.channels.samples, &host.channels.minutes]
        {
            log.trim(channel.clone(), log.newest(channel)).await?;
        }
        self.alerts.forget(self, &host.name).await;
        self.hosts.write().remove(&host.name);
        Ok(())
    }
}

impl Host {
    fn last(&self) -> Option<i64> {
        self.state.lock().series.samples.last()
    }

    fn newest_offset(&self) -> Offset {
        self.state.lock().newest.as_ref().map_or(Offset::ZERO, |newest| newest.offset)
    }

    pub(crate) fn newest(&self) -> Option<Newest> {
        self.state.lock().newest.clone()
    }

    /// The names of its figures that begin with `prefix`, as the newest sample has them.
    pub(crate) fn figure_names(&self, prefix: &str) -> Vec<String> {
        let Some(newest) = self.newest() else { return Vec::new() };
        newest
            .sample
            .figures()
            .map(|(name, _)| name.into_owned())
            .filter(|name| name.starts_with(prefix))
            .collect()
    }

    /// Since when anything is known of it.
    pub(crate) fn oldest(&self) -> Option<i64> {
        let series = &self.state.lock().series;
        series.minutes.oldest().or_else(|| series.samples.oldest())
    }
}

impl HostState {
    fn new(figures_max: usize) -> Self {
        Self { newest: None, series: Series::new(figures_max), shift_ms: 0 }
    }

    /// By how much its times are moved, now that its clock seems to be so far behind ours. What the way here adds trembles: a shift that still
    /// fits stays, or a clock at the edge of what is let pass would jump to and fro, and samples would seem to be repetitions.
    fn shift(&mut self, skew: i64) -> i64 {
        if skew.saturating_sub(self.shift_ms).saturating_abs() > CLOCK_SKEW_MS {
            self.shift_ms = if skew.saturating_abs() > CLOCK_SKEW_MS { skew } else { 0 };
        }
        self.shift_ms
    }

    fn take(&mut self, json: Bytes, sample: Sample, offset: Offset) {
        if self.series.push(sample.time, sample.figures(), offset) {
            self.newest = Some(Newest { json, sample: Arc::new(sample), offset });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_at_the_edge_of_what_is_let_pass_does_not_move_samples_to_and_fro() {
        let mut state = HostState::new(40);
        let shifts = [10, 1990, 2010, 1990, 2100, 900, 5, -4000].map(|skew| state.shift(skew));
        assert_eq!(shifts, [0, 0, 2010, 2010, 2010, 2010, 0, -4000]);
    }
}
