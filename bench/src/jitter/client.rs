//! A client: connected, killed, away, back with what it knows of its place, over and over.

use super::connection::Connection;
use super::contender::Contender;
use super::counters::ClientCounters;
use super::notice::{Notice, Position};
use super::way::Way;
use crate::stats::Random;
use crate::wire::mark;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// Between two attempts to connect while nobody listens.
const RETRY: Duration = Duration::from_millis(100);
/// Between the first connections of two clients: a herd at the start is not what is measured.
const STAGGER: Duration = Duration::from_millis(1);

/// Where the run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Clients connect; nothing is published, nobody is killed.
    Connecting,
    Running,
    /// Everything is published: nobody is killed any more, all catch up.
    Draining,
    Over,
}

/// What all clients do.
#[derive(Debug, Clone)]
pub(crate) struct Habits {
    pub(crate) server: Contender,
    pub(crate) clients: usize,
    pub(crate) messages: u64,
    pub(crate) way: Way,
    pub(crate) switch: bool,
    pub(crate) lives: Duration,
    pub(crate) away: Duration,
    pub(crate) seed: u64,
}

/// What clients and the publisher tell each other.
#[derive(Debug)]
pub(crate) struct Shared {
    address: String,
    phase: watch::Sender<Phase>,
    published: AtomicU64,
    ready: AtomicUsize,
    finished: AtomicUsize,
    last_error: Mutex<String>,
}

impl Shared {
    pub(crate) fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            phase: watch::Sender::new(Phase::Connecting),
            published: AtomicU64::new(0),
            ready: AtomicUsize::new(0),
            finished: AtomicUsize::new(0),
            last_error: Mutex::default(),
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// The server has acknowledged this message and all before it.
    pub(crate) fn published(&self, message: u64) {
        self.published.store(message, Ordering::Release);
    }

    /// Clients that have a connection and know their place for the first time.
    pub(crate) fn ready(&self) -> usize {
        self.ready.load(Ordering::Acquire)
    }

    /// Clients that have got everything.
    pub(crate) fn finished(&self) -> usize {
        self.finished.load(Ordering::Acquire)
    }

    /// Why a connection could not be opened, for when none can.
    pub(crate) fn last_error(&self) -> String {
        self.last_error.lock().expect("no holder panics").clone()
    }
}

/// Runs all clients until the run is over; returns what each got.
pub(crate) async fn run_all(habits: Habits, shared: Arc<Shared>) -> Vec<ClientCounters> {
    let habits = Arc::new(habits);
    let mut tasks = Vec::with_capacity(habits.clients);
    for index in 0..habits.clients {
        let client = Client::new(index, Arc::clone(&habits), Arc::clone(&shared));
        tasks.push(tokio::spawn(client.live()));
        sleep(STAGGER).await;
    }
    let mut counters = Vec::with_capacity(tasks.len());
    for task in tasks {
        // A client that panicked got nothing: it shows.
        counters.push(task.await.unwrap_or_else(|_| ClientCounters::new(habits.messages)));
    }
    counters
}

struct Client {
    habits: Arc<Habits>,
    shared: Arc<Shared>,
    phase: watch::Receiver<Phase>,
    random: Random,
    /// Of transports, apart from the one of times: those are the same at every server, however many it
    /// speaks.
    choices: Random,
    way: Way,
    position: Position,
    counters: ClientCounters,
    finished: bool,
    replay: Option<Replay>,
}

/// A reconnection that has not caught up yet.
#[derive(Debug, Clone, Copy)]
struct Replay {
    started: Instant,
    after: u64,
    target: u64,
}

/// Why a connection ended.
enum End {
    Killed,
    /// It could not be opened.
    Failed(std::io::Error),
    /// The server ended it.
    Lost(std::io::Error),
    Over,
}

impl Client {
    fn new(index: usize, habits: Arc<Habits>, shared: Arc<Shared>) -> Self {
        let seed = habits.seed.wrapping_mul(1_000_003).wrapping_add(index as u64);
        let (random, mut choices) = (Random::new(seed), Random::new(!seed));
        let ways = habits.server.ways();
        let way = if habits.switch { ways[choices.below(ways.len())] } else { habits.way };
        let (phase, counters) = (shared.phase.subscribe(), ClientCounters::new(habits.messages));
        let position = Position::default();
        Self {
            habits,
            shared,
            phase,
            random,
            choices,
            way,
            position,
            counters,
            finished: false,
            replay: None,
        }
    }

    async fn live(mut self) -> ClientCounters {
        self.come_and_go().await;
        if self.replay.is_some() {
            self.counters.replayed(self.way, None);
        }
        self.counters
    }

    async fn come_and_go(&mut self) {
        loop {
            match self.connect_and_read().await {
                End::Over => return,
                End::Killed => {
                    self.counters.killed += 1;
                    sleep(self.around(self.habits.away)).await;
                }
                End::Failed(error) => {
                    self.note(&error);
                    sleep(RETRY).await;
                }
                End::Lost(error) => {
                    self.note(&error);
                    self.counters.lost += u64::from(!self.position.is_unknown());
                    sleep(RETRY).await;
                }
            }
            if *self.phase.borrow() == Phase::Over {
                return;
            }
            self.prepare_return();
        }
    }

    fn prepare_return(&mut self) {
        if self.habits.switch && self.replay.is_none() {
            let ways = self.habits.server.ways();
            let at = ways.iter().position(|way| *way == self.way).unwrap_or(0);
            self.way = ways[(at + 1 + self.choices.below(ways.len() - 1)) % ways.len()];
        }
        // A reconnection that failed goes on counting from its first attempt.
        let target = self.shared.published.load(Ordering::Acquire);
        if !self.position.is_unknown() && self.replay.is_none() && !self.counters.has_reached(target) {
            let (started, after) = (Instant::now(), self.counters.last());
            self.replay = Some(Replay { started, after, target });
        }
    }

    async fn connect_and_read(&mut self) -> End {
        let mut phase = self.phase.clone();
        let over = async move { drop(phase.wait_for(|phase| *phase == Phase::Over).await) };
        tokio::select! {
            end = self.read_until_killed() => end,
            () = over => End::Over,
        }
    }

    async fn read_until_killed(&mut self) -> End {
        let server = self.habits.server;
        let opened = Connection::open(server, self.way, &self.shared.address, &self.position);
        let mut connection = match opened.await {
            Ok(connection) => connection,
            Err(error) => return End::Failed(error),
        };
        let mut phase = self.phase.clone();
        let life = self.around(self.habits.lives);
        let killed = async move {
            // Clocks start together with the messages; while all catch up nobody is killed.
            let _ = phase.wait_for(|phase| *phase != Phase::Connecting).await;
            sleep_until(Instant::now() + life).await;
            if *phase.borrow() == Phase::Draining {
                std::future::pending::<()>().await;
            }
        };
        tokio::pin!(killed);
        loop {
            tokio::select! {
                notices = connection.next() => match notices {
                    Ok(notices) => notices.into_iter().for_each(|notice| self.take(notice)),
                    Err(error) => return End::Lost(error),
                },
                () = &mut killed => return End::Killed,
            }
        }
    }

    fn take(&mut self, notice: Notice) {
        match notice {
            Notice::Gap => self.counters.gaps += 1,
            Notice::Cursor(cursor) => self.stand(|position| position.cursor = Some(cursor)),
            Notice::Session(session) => self.join(session),
            Notice::Event { data, cursor } => {
                mark::scan(data.as_bytes(), |message| self.counters.received(message));
                self.stand(|position| position.cursor = Some(cursor));
            }
        }
        if let Some(replay) = self.replay.take_if(|replay| self.counters.has_reached(replay.target)) {
            let whole = self.counters.has_all(replay.after, replay.target);
            self.counters.replayed(self.way, whole.then(|| replay.started.elapsed()));
        }
        if !self.finished && self.counters.has_reached(self.habits.messages) {
            self.finished = true;
            self.shared.finished.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Another session than before is how a client of Socket.IO learns that something may be gone
    /// (`recovered` is false).
    fn join(&mut self, session: String) {
        let recovered = self.position.session.as_ref().is_none_or(|known| *known == session);
        self.counters.gaps += u64::from(!recovered);
        self.stand(|position| position.session = Some(session));
    }

    fn stand(&mut self, change: impl FnOnce(&mut Position)) {
        let first = self.position.is_unknown();
        change(&mut self.position);
        if first {
            self.shared.ready.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn note(&self, error: &std::io::Error) {
        *self.shared.last_error.lock().expect("no holder panics") =
            format!("{} ({})", error, self.way.name());
    }

    /// Half to one and a half times as long.
    fn around(&mut self, mean: Duration) -> Duration {
        self.random.between(mean / 2, mean + mean / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(server: Contender) -> Client {
        let habits = Habits {
            server,
            clients: 1,
            messages: 3,
            way: Way::Socketio,
            switch: true,
            lives: Duration::from_secs(15),
            away: Duration::from_secs(2),
            seed: 1,
        };
        Client::new(0, Arc::new(habits), Arc::new(Shared::new("")))
    }

    fn event(message: u64, offset: &str) -> Notice {
        Notice::Event { data: mark::payload(message, 12), cursor: offset.into() }
    }

    #[test]
    fn a_session_that_was_not_recovered_is_a_gap_and_its_replay_incomplete() {
        let mut client = client(Contender::Socketio);
        [Notice::Session("p-1".into()), event(1, "o-1")].into_iter().for_each(|notice| client.take(notice));
        assert_eq!((client.shared.ready(), client.counters.gaps), (1, 0));
        client.shared.published(2);
        client.prepare_return();
        [Notice::Session("p-2".into()), event(3, "o-3")].into_iter().for_each(|notice| client.take(notice));
        let position = Position { cursor: Some("o-3".into()), session: Some("p-2".into()) };
        assert_eq!((client.counters.gaps, &client.position), (1, &position));
        assert_eq!(client.counters.replays(), [None]);
    }

    #[test]
    fn a_session_that_was_recovered_is_none() {
        let mut client = client(Contender::Socketio);
        [Notice::Session("p-1".into()), event(1, "o-1")].into_iter().for_each(|notice| client.take(notice));
        client.shared.published(2);
        client.prepare_return();
        // Node sends what was missed before it says which session it is.
        [event(2, "o-2"), Notice::Session("p-1".into())].into_iter().for_each(|notice| client.take(notice));
        assert_eq!(client.counters.gaps, 0);
        assert!(matches!(client.counters.replays()[..], [Some(_)]));
    }

    #[test]
    fn clients_move_among_the_transports_of_their_server_at_the_same_times() {
        let (mut own, mut other) = (client(Contender::Anywire), client(Contender::Socketio));
        for _ in 0..50 {
            let before = other.way;
            [&mut own, &mut other].into_iter().for_each(Client::prepare_return);
            assert!(other.way != before && Contender::Socketio.ways().contains(&other.way));
            assert_eq!(own.around(Duration::from_secs(15)), other.around(Duration::from_secs(15)));
        }
    }
}
