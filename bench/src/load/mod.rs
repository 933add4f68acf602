//! The load generator: a process of its own that holds the subscribers of one server, publishes, and checks
//! every delivery.
//!
//! One thread, one epoll, one shared read buffer; a connection costs it a socket and some dozen bytes. It is
//! told what to do on standard input (`run <messages> <in flight>`) and answers on standard output, one JSON
//! object a line.

mod dialect;
mod opening;
mod options;
mod publisher;
mod round;
mod subscriber;

use crate::failure::{Context, Failure, Outcome};
use crate::machine;
use crate::process::Processes;
use dialect::Dialect;
pub(crate) use options::Options;
use publisher::Publisher;
use round::Round;
pub(crate) use round::RoundResult;
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::time::Instant;
use subscriber::{Subscriber, View};

/// Room for what one read brings, beside what an earlier one left.
const READ_BYTES: usize = 64 << 10;
/// An answer to a poll holds at most 1 MiB of payload and its envelopes.
const BUFFER_BYTES: usize = 4 << 20;
const EVENTS_MAX: usize = 1024;
/// Keys of epoll events: subscribers from zero up, these from the end down.
const STDIN: u64 = u64::MAX;
const PUBLISHERS: u64 = 1 << 32;

/// What the load generator says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Report {
    /// All subscribers are connected.
    Ready { seconds: f64 },
    /// A round is over.
    Round(RoundResult),
    /// It cannot go on.
    Failed(String),
}

/// Runs until standard input ends.
pub(crate) fn run(options: Options) -> Outcome<()> {
    let outcome = Load::connect(options).and_then(|mut load| load.serve());
    if let Err(failure) = &outcome {
        send(&Report::Failed(failure.to_string()))?;
    }
    outcome
}

fn send(report: &Report) -> Outcome<()> {
    let line = serde_json::to_string(report).context("cannot write a report")?;
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}").and_then(|()| output.flush()).context("nobody reads the reports")
}

struct Load {
    dialect: Dialect,
    epoll: OwnedFd,
    subscribers: Vec<Subscriber>,
    closed: usize,
    publishers: Vec<Publisher>,
    round: Option<Round>,
    next_number: u64,
    buffer: Vec<u8>,
    commands: Vec<u8>,
    input_ended: bool,
}

impl Load {
    fn connect(options: Options) -> Outcome<Self> {
        machine::allow_connections(options.subscribers)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).context("cannot create an epoll")?;
        let started = Instant::now();
        let dialect = Dialect::new(&options);
        let mut subscribers = Vec::with_capacity(options.subscribers);
        for index in 0..options.subscribers {
            let subscriber = opening::subscribe(&dialect).context(format_args!("subscriber {index}"))?;
            watch(&epoll, subscriber.stream(), index as u64)?;
            subscribers.push(subscriber);
        }
        watch(&epoll, std::io::stdin(), STDIN)?;
        send(&Report::Ready { seconds: started.elapsed().as_secs_f64() })?;
        Ok(Self {
            dialect,
            epoll,
            subscribers,
            closed: 0,
            publishers: Vec::new(),
            round: None,
            next_number: 1,
            buffer: vec![0; BUFFER_BYTES],
            commands: Vec::new(),
            input_ended: false,
        })
    }

    fn serve(&mut self) -> Outcome<()> {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        let tick = Timespec { tv_sec: 1, tv_nsec: 0 };
        while !self.input_ended {
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&tick)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("cannot wait for sockets"),
            }
            for event in &events {
                self.on_event(event.data.u64())?;
            }
            self.finish_round()?;
        }
        Ok(())
    }

    fn on_event(&mut self, key: u64) -> Outcome<()> {
        match key {
            STDIN => self.read_commands(),
            PUBLISHERS.. => self.read_answer((key - PUBLISHERS) as usize),
            _ => self.read_subscriber(key as usize),
        }
    }

    fn read_commands(&mut self) -> Outcome<()> {
        let mut bytes = [0; 256];
        let read = rustix::io::read(std::io::stdin(), &mut bytes).context("cannot read commands")?;
        self.input_ended = read == 0;
        self.commands.extend(&bytes[..read]);
        while let Some(end) = memchr::memchr(b'\n', &self.commands) {
            let line: Vec<u8> = self.commands.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line).into_owned();
            let words: Vec<&str> = line.split_whitespace().collect();
            let (messages, in_flight) =
                parse_run(&words).ok_or_else(|| Failure::new(format!("what is {line:?}?")))?;
            self.begin_round(messages, in_flight)?;
        }
        Ok(())
    }

    fn begin_round(&mut self, messages: usize, in_flight: usize) -> Outcome<()> {
        while self.publishers.len() < self.dialect.publishers_for(in_flight) {
            let publisher = opening::publisher(&self.dialect)?;
            watch(&self.epoll, publisher.stream(), PUBLISHERS + self.publishers.len() as u64)?;
            self.publishers.push(publisher);
        }
        self.subscribers.iter_mut().for_each(Subscriber::begin);
        let open = self.subscribers.len() - self.closed;
        self.round = Some(Round::new(
            self.next_number,
            messages,
            in_flight.min(messages),
            open,
            Processes::own().cpu_ns(),
        ));
        self.next_number += messages as u64;
        (0..in_flight.min(messages)).try_for_each(|slot| self.publish(slot))
    }

    /// Publishes the next message in a slot that is free.
    fn publish(&mut self, slot: usize) -> Outcome<()> {
        let Some(round) = &mut self.round else { return Ok(()) };
        let Some(number) = round.take(slot) else { return Ok(()) };
        let publisher = slot.min(self.publishers.len() - 1);
        self.publishers[publisher].publish(slot, &self.dialect.publication(number))?;
        if self.publishers[publisher].answers() || !round.answered(slot) {
            return Ok(());
        }
        self.publish(slot)
    }

    fn read_answer(&mut self, index: usize) -> Outcome<()> {
        let Some(slot) = self.publishers[index].read()? else { return Ok(()) };
        let free = self.round.as_mut().is_some_and(|round| round.answered(slot));
        if free { self.publish(slot) } else { Ok(()) }
    }

    fn read_subscriber(&mut self, index: usize) -> Outcome<()> {
        let mut freed = Vec::new();
        let mut view = View::new(&self.dialect, &mut self.buffer, READ_BYTES, Instant::now());
        let open = self.subscribers[index].read(&mut view, |delivery| {
            if let Some(slot) = self.round.as_mut().and_then(|round| round.delivered(delivery)) {
                freed.push(slot);
            }
        });
        if !open {
            self.closed += 1;
            // A closed socket stays readable for ever; not watching it any more is enough.
            let _ = epoll::delete(&self.epoll, self.subscribers[index].stream());
        }
        freed.into_iter().try_for_each(|slot| self.publish(slot))
    }

    fn finish_round(&mut self) -> Outcome<()> {
        let over = self.round.as_ref().is_some_and(|round| round.complete() || round.stalled());
        match self.round.take_if(|_| over) {
            Some(round) => send(&Report::Round(round.result(self.closed, Processes::own().cpu_ns()))),
            None => Ok(()),
        }
    }
}

fn watch(epoll: &OwnedFd, socket: impl rustix::fd::AsFd, key: u64) -> Outcome<()> {
    epoll::add(epoll, socket, epoll::EventData::new_u64(key), epoll::EventFlags::IN)
        .context("cannot watch a socket")
}

fn parse_run(words: &[&str]) -> Option<(usize, usize)> {
    match words {
        ["run", messages, in_flight] => Some((messages.parse().ok()?, in_flight.parse().ok()?)),
        _ => None,
    }
}
