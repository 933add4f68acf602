//! `kill -9` under load: what was told is there, no offset means two things, the epoch stays.
//!
//! The test runs itself as a child that publishes until it is killed and writes down what its follower is
//! told. A follower is told before an append is answered, so this covers every acknowledged event and every
//! event that a reader may have seen. `ANYWIRE_CRASH_ROUNDS` says how often (default 8).

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anywire_log::{
    Batch, Channel, Engine, Event, Follower, Offset, Payload, SystemClock,
    contract::{self, Witness},
};
use anywire_store::{EmbeddedConfig, EmbeddedEngine};

const CHILD: &str = "ANYWIRE_CRASH_CHILD";
const KEPT: [&str; 3] = ["kept_a", "kept_b", "trimmed_c"];
const FEW: &str = "few_d";
const EPHEMERAL: &str = "memory_e";

fn open(directory: &Path) -> EmbeddedEngine {
    let mut config = EmbeddedConfig::new(directory);
    config.segment_bytes_max = 256 << 10;
    config.preallocate_bytes = 64 << 10;
    EmbeddedEngine::open(config, contract::rules(), Arc::new(SystemClock)).expect("it opens after a crash")
}

fn hash(payload: &Payload) -> u64 {
    foldhash::fast::FixedState::with_seed(1).hash_one(payload.as_bytes())
}

fn random(below: u64) -> u64 {
    RandomState::new().hash_one(0) % below
}

/// Writes down what it is told.
struct Scribe;

impl Follower for Scribe {
    fn committed(&self, events: &[Arc<Event>], _through: Offset) {
        let line =
            |event: &Arc<Event>| format!("E {} {} {}\n", event.offset, event.channel, hash(&event.payload));
        say(&events.iter().map(line).collect::<String>());
    }

    fn trimmed(&self, _channel: &Channel, _through: Offset) {}
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).expect("the parent reads");
}

/// Publishes until it is killed.
async fn publish_forever(directory: &Path) {
    let engine = Arc::new(open(directory));
    let through = engine.follow(Arc::new(Scribe));
    say(&format!("\nO {} {through}\n", engine.epoch()));
    let tasks: Vec<_> = (0..8).map(|number| tokio::spawn(publish(Arc::clone(&engine), number))).collect();
    for task in tasks {
        task.await.expect("a publisher runs until it is killed");
    }
}

async fn publish(engine: Arc<EmbeddedEngine>, number: u64) {
    let channels = [KEPT[0], KEPT[1], KEPT[2], FEW, EPHEMERAL];
    for serial in 0_u64.. {
        let mut publications = Vec::new();
        let only_ephemeral = random(4) == 0;
        for place in 0..=random(20) {
            let channel = if only_ephemeral { EPHEMERAL } else { channels[random(5) as usize] };
            let filler = "x".repeat(random(400) as usize);
            let data =
                format!("\"{}-{number}-{serial}-{place} {} {filler}\"", std::process::id(), random(u64::MAX));
            publications.push(contract::publication(channel, &data));
        }
        let appended = engine.append(Batch::new(publications)).await.expect("an append succeeds");
        say(&format!("A {} {}\n", appended.first, appended.last()));
        if random(200) == 0 {
            let through = Offset::new(appended.first.get().saturating_sub(random(500)));
            say(&format!("T {through}\n"));
            engine.trim(Channel::new(KEPT[2]).expect("a name"), through).await.expect("a trim succeeds");
            say(&format!("D {through}\n"));
            engine.enforce_retention(anywire_log::Clock::now(&SystemClock));
        }
    }
}

/// What is known of the log from everybody who was told anything.
#[derive(Default)]
struct Known {
    epoch: Option<String>,
    events: HashMap<u64, (String, u64)>,
    /// The greatest offset told of.
    last: u64,
    /// Up to where somebody asked to trim, and up to where that was answered.
    trim_asked: u64,
    trim_done: u64,
}

impl Known {
    fn learn(&mut self, offset: u64, channel: &str, hash: u64) {
        let before = self.events.insert(offset, (channel.to_owned(), hash));
        let same = before.is_none_or(|before| before == (channel.to_owned(), hash));
        assert!(same, "offset {offset} means two things");
        self.last = self.last.max(offset);
    }

    fn read(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().expect("a number");
        match words[0] {
            "O" => {
                assert_eq!(self.epoch.get_or_insert_with(|| words[1].to_owned()), words[1], "another epoch");
                assert!(number(2) >= self.last, "the tail went back to {} from {}", number(2), self.last);
            }
            "E" => self.learn(number(1), words[2], number(3)),
            "A" => {
                for offset in number(1)..=number(2) {
                    assert!(self.events.contains_key(&offset), "{offset} was answered before it was told");
                }
            }
            "T" => self.trim_asked = self.trim_asked.max(number(1)),
            "D" => self.trim_done = self.trim_done.max(number(1)),
            _ => {}
        }
    }

    /// Compares what is known with what a log holds.
    async fn check(&mut self, engine: &EmbeddedEngine) {
        assert_eq!(self.epoch.as_deref(), Some(engine.epoch().to_string().as_str()));
        for name in KEPT.iter().chain([&FEW]) {
            let batch = contract::read_all(engine, &[name], 0).await;
            let trimmed = batch.trimmed.first().map_or(0, |(_, through)| through.get());
            let limit = match *name {
                FEW => u64::MAX,
                "trimmed_c" => self.trim_asked,
                _ => 0,
            };
            assert!(trimmed <= limit, "{name} lost {trimmed}, more than was asked for");
            let held: HashMap<u64, u64> =
                batch.events.iter().map(|event| (event.offset.get(), hash(&event.payload))).collect();
            for (offset, (channel, hash)) in self.events.iter().filter(|(_, (channel, _))| channel == name) {
                match held.get(offset) {
                    Some(found) => assert_eq!(found, hash, "{channel} {offset} has another content"),
                    None => assert!(
                        *offset <= trimmed,
                        "{channel} lost {offset} and says it lost up to {trimmed}"
                    ),
                }
            }
            if *name == "trimmed_c" {
                assert!(held.keys().all(|offset| *offset > self.trim_done), "what was trimmed is back");
            }
            if *name == FEW {
                assert!(held.len() <= 3, "retention holds");
            }
            held.iter().for_each(|(offset, hash)| self.learn(*offset, name, *hash));
        }
        let ephemeral = engine.channel_state(&Channel::new(EPHEMERAL).expect("a name")).expect("it knows");
        assert!(ephemeral.trimmed_through.get() >= self.last, "what was ephemeral is gone, and that is said");
    }
}

/// Starts a child, kills it after a while, and learns what it said.
fn round(directory: &Path, known: &mut Known) {
    let mut child = Command::new(std::env::current_exe().expect("this test's file"))
        .args(["--exact", "what_was_told_survives_kill_9", "--nocapture"])
        .env(CHILD, directory)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let (opened, when_opened) = std::sync::mpsc::channel();
    let out = BufReader::new(child.stdout.take().expect("a pipe"));
    let reader = std::thread::spawn(move || {
        let mut lines = Vec::new();
        for line in out.split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8(line).expect("text");
            if line.starts_with("O ") {
                let _parent_may_have_gone = opened.send(());
            }
            lines.push(line);
        }
        // The last line may be cut off anywhere.
        lines.pop();
        lines
    });
    when_opened.recv_timeout(Duration::from_secs(60)).expect("the child opens the log");
    std::thread::sleep(Duration::from_millis(random(400)));
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    for line in reader.join().expect("the reader ends well") {
        known.read(&line);
    }
}

#[test]
fn what_was_told_survives_kill_9() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if let Some(directory) = std::env::var_os(CHILD) {
        return runtime.block_on(publish_forever(Path::new(&directory)));
    }
    let rounds =
        std::env::var("ANYWIRE_CRASH_ROUNDS").map_or(8, |text| text.parse().expect("a number of rounds"));
    let directory = tempfile::tempdir().expect("a directory");
    let mut known = Known::default();
    for _ in 0..rounds {
        round(directory.path(), &mut known);
        // On a copy, so that the next child finds what the crash left.
        let copy = tempfile::tempdir().expect("a directory");
        for entry in std::fs::read_dir(directory.path()).expect("it can be listed") {
            let path = entry.expect("it can be listed").path();
            std::fs::copy(&path, copy.path().join(path.file_name().expect("a name")))
                .expect("it can be copied");
        }
        let engine = open(copy.path());
        engine.follow(Arc::new(Witness::default()));
        runtime.block_on(known.check(&engine));
    }
    assert!(known.events.len() > 100, "the children published: {}", known.events.len());
    println!("{rounds} rounds, {} events", known.events.len());
}
