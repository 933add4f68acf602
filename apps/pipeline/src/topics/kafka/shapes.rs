//! Whether topics are still what they were: partitions that came, topics that went or were made anew under
//! their names.
//!
//! A topic made anew has other records under the same offsets. It is known by its first record, which is
//! younger than the one that was the first before, by ends that went back, and by having been away.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anywire_log::{Clock as _, SystemClock};
use parking_lot::Mutex;

use crate::topics::{Notice, Partition, Record, Shape, TopicName};

/// For how long a group that holds a partition has time to go back to its beginning. Later somebody else has
/// read it from there.
const FROM_START_FOR: Duration = Duration::from_secs(60);

/// What is known of topics, and what of it is told.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// How many partitions each topic had when it was last seen; zero while it is away.
    counts: BTreeMap<TopicName, u32>,
    seen: BTreeMap<Partition, Seen>,
    notices: BTreeMap<TopicName, Notice>,
    /// Made anew since somebody last asked.
    anew: BTreeSet<TopicName>,
    /// When each was made anew, and the partitions a group has gone back in since.
    from_start: BTreeMap<TopicName, (Instant, BTreeSet<(String, u32)>)>,
}

/// A partition as it was last seen.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    begin: u64,
    end: u64,
    /// The offset and time of a record that was the first one.
    first: Option<(u64, i64)>,
}

impl Shapes {
    /// Compares what the broker has of our topics with what it had; `wanted` is how many partitions a topic
    /// gets that is made.
    pub(super) fn found(&self, names: &[TopicName], wanted: u32, found: &BTreeMap<TopicName, u32>) {
        let mut known = self.known.lock();
        for name in names {
            let before = known.counts.get(name).copied();
            let now = found.get(name).copied();
            match (before, now) {
                (None, Some(now)) if now != wanted => {
                    known.tell(name, Shape::PartitionsDiffer { set: wanted, now });
                }
                (Some(1..), None) => known.tell(name, Shape::Gone),
                (Some(0), Some(_)) => known.made_anew(name),
                (Some(before), Some(now)) if now > before => {
                    known.tell(name, Shape::PartitionsAdded { before, now });
                }
                (Some(before), Some(now)) if now < before => known.made_anew(name),
                _ => {}
            }
            if before.is_some() || now.is_some() {
                known.counts.insert(name.clone(), now.unwrap_or(0));
            }
        }
    }

    /// Takes note of where a partition begins and ends. What went back belongs to a topic made anew.
    pub(super) fn reaches(&self, partition: &Partition, begin: u64, end: u64) {
        let mut known = self.known.lock();
        let before = known.seen.get(partition).copied().unwrap_or_default();
        if end < before.end || begin < before.begin {
            known.made_anew(&partition.topic);
        }
        let seen = known.seen.entry(partition.clone()).or_default();
        (seen.begin, seen.end) = (begin, end);
    }

    /// Takes note of the first record of a partition.
    pub(super) fn first(&self, record: &Record) {
        let time = record.time.as_millis();
        if time > 0 {
            let mut known = self.known.lock();
            known.seen.entry(record.place.partition.clone()).or_default().first =
                Some((record.place.offset, time));
        }
    }

    /// The partitions that have records of which none is known to be the first, with where they begin.
    pub(super) fn without_a_first(&self, partitions: &[Partition]) -> Vec<(Partition, u64)> {
        let known = self.known.lock();
        let seen = partitions.iter().filter_map(|partition| Some((partition, known.seen.get(partition)?)));
        let missing = seen.filter(|(_, seen)| seen.first.is_none() && seen.begin < seen.end);
        missing.map(|(partition, seen)| (partition.clone(), seen.begin)).collect()
    }

    /// The partitions whose first record is known, with its time.
    pub(super) fn with_a_first(&self, partitions: &[Partition]) -> Vec<(Partition, i64)> {
        let known = self.known.lock();
        let first = |partition: &Partition| known.seen.get(partition)?.first;
        partitions.iter().filter_map(|one| Some((one.clone(), first(one)?.1))).collect()
    }

    /// The offset of the first record that is younger than the one that was the first. Where it is not behind
    /// that one, that one is gone and its topic another.
    pub(super) fn younger_begins(&self, partition: &Partition, offset: u64) {
        let mut known = self.known.lock();
        let first = known.seen.get(partition).and_then(|seen| seen.first);
        if first.is_some_and(|(first, _)| offset <= first) {
            known.made_anew(&partition.topic);
        }
    }

    /// A partition that somebody reads without a break went back.
    pub(super) fn went_back(&self, topic: &TopicName) {
        self.known.lock().made_anew(topic);
    }

    /// Of the partitions that a member of a group holds, those to be read from the beginning: the others are
    /// done with, or not made anew.
    pub(super) fn due_from_start(&self, group: &str, held: &[Partition]) -> Vec<Partition> {
        let mut known = self.known.lock();
        if known.from_start.is_empty() {
            return Vec::new();
        }
        known.from_start.retain(|_, (at, _)| at.elapsed() < FROM_START_FOR);
        let due = |partition: &&Partition| {
            let found = known.from_start.get(&partition.topic);
            found.is_some_and(|(_, done)| !done.contains(&(group.to_owned(), partition.number)))
        };
        held.iter().filter(due).cloned().collect()
    }

    /// A member of a group went back to the beginning of a partition.
    pub(super) fn is_read_from_start(&self, group: &str, partition: &Partition) {
        if let Some((_, done)) = self.known.lock().from_start.get_mut(&partition.topic) {
            done.insert((group.to_owned(), partition.number));
        }
    }

    /// The topics that were made anew since the last call.
    pub(super) fn take_anew(&self) -> Vec<TopicName> {
        std::mem::take(&mut self.known.lock().anew).into_iter().collect()
    }

    /// What changed last about each topic.
    pub(super) fn notices(&self) -> Vec<Notice> {
        self.known.lock().notices.values().cloned().collect()
    }
}

impl Known {
    fn tell(&mut self, topic: &TopicName, shape: Shape) {
        tracing::warn!(%topic, "{shape}");
        let notice = Notice { topic: topic.clone(), shape, since: SystemClock.now() };
        self.notices.insert(topic.clone(), notice);
    }

    fn made_anew(&mut self, topic: &TopicName) {
        self.seen.retain(|partition, _| partition.topic != *topic);
        self.anew.insert(topic.clone());
        self.from_start.insert(topic.clone(), (Instant::now(), BTreeSet::new()));
        self.tell(topic, Shape::Anew);
    }
}

#[cfg(test)]
mod tests {
    use anywire_log::Timestamp;

    use super::*;
    use crate::topics::{NewRecord, Place};

    fn topic() -> TopicName {
        TopicName::new("orders").expect("a name")
    }

    fn partition(number: u32) -> Partition {
        Partition { topic: topic(), number }
    }

    fn found(shapes: &Shapes, count: Option<u32>) -> Option<Shape> {
        let found = count.map(|count| (topic(), count)).into_iter().collect();
        shapes.found(&[topic()], 3, &found);
        shapes.notices().first().map(|notice| notice.shape)
    }

    fn first(shapes: &Shapes, offset: u64, time: i64) {
        let place = Place { partition: partition(0), offset };
        shapes.first(&Record { place, time: Timestamp::from_millis(time), content: NewRecord::default() });
    }

    #[test]
    fn partitions_that_come_and_topics_that_go_and_come_again_are_told() {
        let shapes = Shapes::default();
        assert_eq!(found(&shapes, None), None, "it is about to be made");
        assert_eq!(found(&shapes, Some(3)), None);
        assert_eq!(found(&shapes, Some(4)), Some(Shape::PartitionsAdded { before: 3, now: 4 }));
        assert_eq!(shapes.take_anew(), []);
        assert_eq!(found(&shapes, None), Some(Shape::Gone));
        assert_eq!(found(&shapes, Some(4)), Some(Shape::Anew));
        assert_eq!((shapes.take_anew(), shapes.take_anew()), (vec![topic()], Vec::new()));
        let other = Shapes::default();
        assert_eq!(found(&other, Some(8)), Some(Shape::PartitionsDiffer { set: 3, now: 8 }));
    }

    #[test]
    fn a_topic_is_another_when_its_end_went_back_or_its_first_record_is_younger() {
        let shapes = Shapes::default();
        shapes.reaches(&partition(0), 0, 9);
        first(&shapes, 0, 1000);
        // Retention and growth are none of that.
        shapes.reaches(&partition(0), 5, 20);
        shapes.younger_begins(&partition(0), 6);
        assert_eq!(shapes.take_anew(), []);
        shapes.younger_begins(&partition(0), 0);
        assert_eq!(shapes.take_anew(), [topic()]);
        assert_eq!(shapes.with_a_first(&[partition(0)]), [], "nothing is known of the new one yet");
        shapes.reaches(&partition(0), 0, 30);
        assert_eq!(shapes.without_a_first(&[partition(0)]), [(partition(0), 0)]);
        shapes.reaches(&partition(0), 0, 2);
        assert_eq!(shapes.take_anew(), [topic()]);
    }

    #[test]
    fn each_group_goes_back_once_in_each_partition_of_a_topic_made_anew() {
        let shapes = Shapes::default();
        let held = [partition(0), partition(1)];
        assert_eq!(shapes.due_from_start("g", &held), []);
        shapes.went_back(&topic());
        assert_eq!(shapes.due_from_start("g", &held), held);
        shapes.is_read_from_start("g", &partition(0));
        assert_eq!(shapes.due_from_start("g", &held), [partition(1)]);
        assert_eq!(shapes.due_from_start("other", &held), held);
        shapes.went_back(&topic());
        assert_eq!(shapes.due_from_start("g", &held), held, "it was made anew once more");
    }
}
