//! A member of a group of embedded topics.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anywire_log::{BoxFuture, Offset};

use super::shared::{Commit, Shared};
use crate::topics::{Member, Partition, Place, Record, TopicsError};

pub(super) struct EmbeddedMember {
    shared: Arc<Shared>,
    group: String,
    name: String,
    held: Vec<Partition>,
    /// Where this member stands in each partition it holds.
    cursors: HashMap<Partition, Cursor>,
    /// With which partition the next poll begins: none of them waits for another for ever.
    turn: usize,
}

/// Where a member stands in a partition.
struct Cursor {
    /// The offset of the next record, and the place of the log after which it comes.
    next: Commit,
    /// For every record read and not committed yet: the place of the log it was found at.
    read: std::collections::VecDeque<(u64, Offset)>,
}

impl EmbeddedMember {
    pub(super) fn join(
        shared: Arc<Shared>,
        group: &str,
        name: &str,
        wants: Vec<Partition>,
    ) -> Result<Self, TopicsError> {
        if !shared.groups.lock().join(group, name, wants) {
            return Err(TopicsError::NameTaken { group: group.to_owned(), name: name.to_owned() });
        }
        shared.wake();
        let (group, name) = (group.to_owned(), name.to_owned());
        Ok(Self { shared, group, name, held: Vec::new(), cursors: HashMap::new(), turn: 0 })
    }

    /// Lets partitions go and takes others. True when something changed.
    fn settle(&mut self) -> bool {
        let (held, let_go) = self.shared.groups.lock().settle(&self.group, &self.name);
        if let_go {
            self.shared.wake();
        }
        self.cursors.retain(|partition, _| held.contains(partition));
        let changed = held != self.held;
        self.held = held;
        changed
    }

    async fn find(&mut self, partition: &Partition) -> Result<(), TopicsError> {
        if self.cursors.contains_key(partition) {
            return Ok(());
        }
        // Who never committed begins with the oldest record.
        let next = match self.shared.commit_of(&self.group, partition).await? {
            Some(commit) => commit,
            None => Commit { offset: 0, log: self.shared.seek(partition, 0).await?.get() },
        };
        self.cursors.insert(partition.clone(), Cursor { next, read: std::collections::VecDeque::new() });
        Ok(())
    }

    /// What there is, without waiting.
    async fn ready(&mut self, records_max: usize) -> Result<Vec<Record>, TopicsError> {
        let mut records = Vec::new();
        self.turn = self.turn.wrapping_add(1);
        for step in 0..self.held.len() {
            let partition = self.held[(self.turn + step) % self.held.len()].clone();
            self.find(&partition).await?;
            let Some(cursor) = self.cursors.get_mut(&partition) else { continue };
            let room = records_max.saturating_sub(records.len());
            if room == 0 || cursor.next.offset >= self.shared.end(&partition) {
                continue;
            }
            for (at, record) in self.shared.read_after(&partition, Offset::new(cursor.next.log), room).await?
            {
                cursor.next = Commit { offset: record.place.offset + 1, log: at.get() };
                cursor.read.push_back((record.place.offset, at));
                records.push(record);
            }
        }
        Ok(records)
    }

    async fn wait(&mut self, records_max: usize, wait: Duration) -> Result<Vec<Record>, TopicsError> {
        let deadline = tokio::time::Instant::now() + wait;
        let mut grown = self.shared.grown.subscribe();
        loop {
            grown.mark_unchanged();
            let changed = self.settle();
            let records = self.ready(records_max).await?;
            let over = tokio::time::Instant::now() >= deadline;
            if changed || !records.is_empty() || over {
                return Ok(records);
            }
            // Its sender lives as long as `shared`.
            let _news = tokio::time::timeout_at(deadline, grown.changed()).await;
        }
    }

    /// The commits that these places stand for.
    fn commits(&mut self, places: Vec<Place>) -> Vec<(Partition, Commit)> {
        let mut commits = Vec::new();
        for Place { partition, offset } in places {
            let Some(cursor) = self.cursors.get_mut(&partition) else { continue };
            let mut last = None;
            while let Some((_, at)) = cursor.read.pop_front_if(|(read, _)| *read < offset) {
                last = Some(at);
            }
            commits.extend(last.map(|at| (partition, Commit { offset, log: at.get() })));
        }
        commits
    }
}

impl Member for EmbeddedMember {
    fn poll(
        &mut self,
        records_max: usize,
        wait: Duration,
    ) -> BoxFuture<'_, Result<Vec<Record>, TopicsError>> {
        Box::pin(self.wait(records_max, wait))
    }

    fn heartbeat(&mut self) -> BoxFuture<'_, Result<(), TopicsError>> {
        // Members live in this process: nobody takes anything from one that works.
        Box::pin(std::future::ready(Ok(())))
    }

    fn holds(&self) -> Vec<Partition> {
        self.held.clone()
    }

    fn commit(&mut self, places: Vec<Place>) -> BoxFuture<'_, Result<(), TopicsError>> {
        let commits = self.commits(places);
        Box::pin(async move { self.shared.commit(&self.group, commits).await })
    }

    fn leave(self: Box<Self>) -> BoxFuture<'static, ()> {
        // Dropping does it.
        Box::pin(std::future::ready(()))
    }
}

impl Drop for EmbeddedMember {
    fn drop(&mut self) {
        self.shared.groups.lock().leave(&self.group, &self.name);
        self.shared.wake();
    }
}
