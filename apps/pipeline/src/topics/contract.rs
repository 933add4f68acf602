//! What every implementation of [`Topics`] must do: one suite, run by each of them.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;

use super::{Member, NewRecord, Partition, Place, ProduceError, Record, TopicName, Topics};

/// The topic that must be there, with this many partitions.
pub(super) const TOPIC: &str = "contract";
pub(super) const PARTITIONS: u32 = 3;

/// A limit that only a hang reaches.
const PATIENCE: Duration = Duration::from_secs(120);
const WAIT: Duration = Duration::from_millis(200);

fn topic() -> TopicName {
    TopicName::new(TOPIC).expect("a name")
}

fn record(key: Option<&str>, value: &str) -> NewRecord {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    NewRecord { key: key.map(bytes), headers: Vec::new(), value: Some(bytes(value)) }
}

/// Polls until a condition holds over all that came.
async fn poll_until(member: &mut dyn Member, mut enough: impl FnMut(&[Record]) -> bool) -> Vec<Record> {
    let mut found = Vec::new();
    let polling = async {
        while !enough(&found) {
            found.extend(member.poll(100, WAIT).await.expect("polled"));
        }
    };
    tokio::time::timeout(PATIENCE, polling).await.expect("the records come");
    found
}

async fn poll_count(member: &mut dyn Member, count: usize) -> Vec<Record> {
    poll_until(member, |found| found.len() >= count).await
}

fn after_all(records: &[Record]) -> Vec<Place> {
    let mut places: std::collections::BTreeMap<Partition, u64> = std::collections::BTreeMap::new();
    for record in records {
        let next = places.entry(record.place.partition.clone()).or_default();
        *next = (*next).max(record.place.offset + 1);
    }
    places.into_iter().map(|(partition, offset)| Place { partition, offset }).collect()
}

fn values(records: &[Record]) -> BTreeSet<Bytes> {
    records.iter().filter_map(|record| record.content.value.clone()).collect()
}

/// A record keeps its bytes, its offset means it, and records of one key stay in order in one partition.
pub(super) async fn records_keep_their_bytes_and_order(topics: &dyn Topics) {
    let odd = NewRecord {
        key: Some(Bytes::from_static(b"k\x00\xff")),
        headers: vec![
            ("h".to_owned(), Some(Bytes::from_static(b"\xff\x00"))),
            ("h".to_owned(), Some(Bytes::new())),
            ("h".to_owned(), None),
        ],
        value: Some(Bytes::from_static(b"\r\n\x00\xfe")),
    };
    let tombstone = NewRecord { value: None, ..odd.clone() };
    let produced = vec![odd.clone(), tombstone.clone(), odd.clone()];
    let places = topics.produce(&topic(), produced.clone()).await.expect("produced");
    assert!(
        places
            .windows(2)
            .all(|pair| pair[0].partition == pair[1].partition && pair[0].offset < pair[1].offset)
    );
    for (place, content) in places.iter().zip(&produced) {
        let read = topics.read(place).await.expect("read").expect("it is there");
        assert_eq!((&read.place, &read.content), (place, content));
    }
    let beyond = Place { offset: places[2].offset + 1, ..places[2].clone() };
    assert_eq!(topics.read(&beyond).await.expect("read"), None);
    let mut member = topics.join("order", "a", &[topic()]).expect("joined");
    let found = poll_until(&mut *member, |found| {
        found.iter().filter(|record| record.place.partition == places[0].partition).count() >= 3
    })
    .await;
    let found: Vec<Record> = found.into_iter().filter(|record| places.contains(&record.place)).collect();
    assert_eq!(found.iter().map(|record| record.content.clone()).collect::<Vec<_>>(), produced);
    member.leave().await;
}

/// Nothing is produced to a topic that is not there.
pub(super) async fn an_unknown_topic_is_named(topics: &dyn Topics) {
    let name = TopicName::new("nowhere").expect("a name");
    let error = topics.produce(&name, vec![record(None, "x")]).await.expect_err("unknown");
    assert!(matches!(&error, ProduceError::UnknownTopic { .. }), "{error}");
    assert!(error.to_string().contains("nowhere"), "{error}");
}

/// What was committed does not come again, what was not does.
pub(super) async fn what_was_not_committed_comes_again(topics: &dyn Topics) {
    let mut member = topics.join("again", "a", &[topic()]).expect("joined");
    let places =
        topics.produce(&topic(), (0..30).map(|n| record(None, &format!("again {n}"))).collect()).await;
    let ours: BTreeSet<Place> = places.expect("produced").into_iter().collect();
    let all_ours =
        |found: &[Record]| found.iter().filter(|record| ours.contains(&record.place)).count() >= 30;
    let first = poll_until(&mut *member, all_ours).await;
    let mut done = after_all(&first);
    // One partition is committed without its last record.
    let short = done.last_mut().expect("records in a partition");
    short.offset -= 1;
    let open = short.clone();
    member.commit(done).await.expect("committed");
    member.leave().await;
    let mut member = topics.join("again", "a", &[topic()]).expect("joined again");
    let second = poll_count(&mut *member, 1).await;
    assert_eq!((second.len(), &second[0].place), (1, &open));
    let lags = topics.lag("again", &[topic()]).await.expect("measured");
    let lag = lags.iter().find(|lag| lag.partition == open.partition).expect("the partition");
    assert_eq!((lag.records(), lag.committed), (Some(1), Some(open.offset)));
    assert_eq!(lag.oldest, Some(second[0].time));
    member.leave().await;
}

/// A group that never committed has no lag, which is not a lag of everything.
pub(super) async fn who_never_committed_has_no_lag(topics: &dyn Topics) {
    topics.produce(&topic(), vec![record(None, "x")]).await.expect("produced");
    let lags = topics.lag("nobody", &[topic()]).await.expect("measured");
    assert_eq!(lags.len(), PARTITIONS as usize);
    assert!(lags.iter().all(|lag| lag.records().is_none() && lag.oldest.is_none()), "{lags:?}");
    assert!(lags.iter().map(|lag| lag.end).sum::<u64>() > 0);
}

/// Members share the partitions; who leaves gives them to the others; nothing is lost on the way.
pub(super) async fn members_share_and_hand_over(topics: &dyn Topics) {
    let mut a = topics.join("share", "a", &[topic()]).expect("joined");
    let settled = poll_until_holding(&mut *a, PARTITIONS as usize).await;
    a.commit(after_all(&settled)).await.expect("committed");
    let mut b = topics.join("share", "b", &[topic()]).expect("joined");
    let sharing = async {
        // What comes meanwhile belongs to other tests; it is committed, so that nobody waits for it.
        while b.holds().is_empty() || a.holds().len() == PARTITIONS as usize {
            for member in [&mut a, &mut b] {
                let found = member.poll(100, WAIT).await.expect("polled");
                member.commit(after_all(&found)).await.expect("committed");
            }
        }
    };
    tokio::time::timeout(PATIENCE, sharing).await.expect("the partitions are shared");
    let (mut held, others) = (a.holds(), b.holds());
    assert!(!held.is_empty() && !others.is_empty());
    held.extend(others);
    held.sort();
    held.dedup();
    assert_eq!(held.len(), PARTITIONS as usize, "each belongs to one of them");
    let produced = (0..60).map(|n| record(Some(&format!("{n}")), &format!("share {n}"))).collect();
    let places = topics.produce(&topic(), produced).await.expect("produced");
    a.leave().await;
    let found = poll_until(&mut *b, |found| {
        places.iter().all(|place| found.iter().any(|record| record.place == *place))
    })
    .await;
    assert!(values(&found).len() >= 60);
    assert_eq!(b.holds().len(), PARTITIONS as usize);
    b.leave().await;
}

async fn poll_until_holding(member: &mut dyn Member, count: usize) -> Vec<Record> {
    let mut found = Vec::new();
    let polling = async {
        while member.holds().len() < count {
            found.extend(member.poll(100, WAIT).await.expect("polled"));
        }
    };
    tokio::time::timeout(PATIENCE, polling).await.expect("partitions come");
    found
}
