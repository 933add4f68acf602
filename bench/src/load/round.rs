//! One round: so many messages, so many of them in flight, each to reach every subscriber once and in order.
//!
//! A message is in flight from its publication until the last subscriber has it *and* the server has
//! answered. A slot is the right to have one in flight; it is free again when both are true.
//!
//! Messages that are in flight together have no order until the server gives them one: the first subscriber
//! to get its n-th message says what everybody's n-th message is.

use crate::stats::Histogram;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// A round in which nothing arrives for so long has lost something.
const STALL: Duration = Duration::from_secs(60);

/// A message that a subscriber has got.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delivery {
    pub(crate) number: u64,
    /// How many this subscriber had got before in this round.
    pub(crate) position: usize,
    pub(crate) at: Instant,
}

/// A round's figures.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct RoundResult {
    pub(crate) messages: u64,
    pub(crate) deliveries: u64,
    pub(crate) seconds: f64,
    /// From publishing to each receipt.
    pub(crate) latency: Histogram,
    /// Deliveries that did not come.
    pub(crate) missed: u64,
    /// Deliveries out of place: repeated, or in another order than other subscribers got them.
    pub(crate) misplaced: u64,
    /// Subscribers the server has closed so far.
    pub(crate) closed: u64,
    /// Processor time of the load generator.
    pub(crate) load_cpu_ns: u64,
}

#[derive(Debug, Clone, Copy)]
struct Message {
    slot: usize,
    published: Instant,
    remaining: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    answered: bool,
    delivered: bool,
}

#[derive(Debug)]
pub(crate) struct Round {
    first: u64,
    count: usize,
    subscribers: usize,
    messages: Vec<Message>,
    /// The messages in the order the server gave them.
    order: Vec<u64>,
    slots: Vec<Slot>,
    done: usize,
    started: Instant,
    last_progress: Instant,
    cpu_ns_before: u64,
    result: RoundResult,
}

impl Round {
    pub(crate) fn new(
        first: u64,
        count: usize,
        in_flight: usize,
        subscribers: usize,
        cpu_ns_before: u64,
    ) -> Self {
        let now = Instant::now();
        Self {
            first,
            count,
            subscribers,
            messages: Vec::with_capacity(count),
            order: Vec::with_capacity(count),
            slots: vec![Slot::default(); in_flight],
            done: 0,
            started: now,
            last_progress: now,
            cpu_ns_before,
            result: RoundResult { messages: count as u64, ..RoundResult::default() },
        }
    }

    /// The number of the next message, now in flight in `slot`. `None`: all are published.
    pub(crate) fn take(&mut self, slot: usize) -> Option<u64> {
        if self.messages.len() == self.count {
            return None;
        }
        self.slots[slot] = Slot { answered: false, delivered: self.subscribers == 0 };
        self.messages.push(Message { slot, published: Instant::now(), remaining: self.subscribers });
        Some(self.first + self.messages.len() as u64 - 1)
    }

    /// The server has answered for the message in `slot`. True: the slot is free.
    pub(crate) fn answered(&mut self, slot: usize) -> bool {
        self.slots[slot].answered = true;
        self.free(slot)
    }

    /// A subscriber has got a message. The slot it frees, if any.
    pub(crate) fn delivered(&mut self, delivery: Delivery) -> Option<usize> {
        self.place(delivery);
        let message =
            self.messages.get_mut(usize::try_from(delivery.number.checked_sub(self.first)?).ok()?)?;
        message.remaining = message.remaining.saturating_sub(1);
        self.result.deliveries += 1;
        self.result.latency.record(delivery.at.saturating_duration_since(message.published));
        let (slot, remaining) = (message.slot, message.remaining);
        self.last_progress = delivery.at;
        if remaining > 0 {
            return None;
        }
        self.slots[slot].delivered = true;
        self.free(slot).then_some(slot)
    }

    fn place(&mut self, delivery: Delivery) {
        match self.order.get(delivery.position) {
            Some(number) => self.result.misplaced += u64::from(*number != delivery.number),
            // In an order with few messages in flight a repetition is near the end.
            None if self.order.iter().rev().take(64).any(|number| *number == delivery.number) => {
                self.result.misplaced += 1
            }
            None => self.order.push(delivery.number),
        }
    }

    fn free(&mut self, slot: usize) -> bool {
        let free = self.slots[slot].answered && self.slots[slot].delivered;
        self.done += usize::from(free);
        free
    }

    pub(crate) fn complete(&self) -> bool {
        self.done == self.count
    }

    pub(crate) fn stalled(&self) -> bool {
        self.last_progress.elapsed() > STALL
    }

    /// The figures of a round that is over.
    pub(crate) fn result(mut self, closed: usize, cpu_ns: u64) -> RoundResult {
        self.result.seconds = self.last_progress.duration_since(self.started).as_secs_f64();
        let wanted = (self.count * self.subscribers) as u64;
        self.result.missed = self.result.missed.max(wanted.saturating_sub(self.result.deliveries));
        self.result.closed = closed as u64;
        self.result.load_cpu_ns = cpu_ns.saturating_sub(self.cpu_ns_before);
        self.result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(number: u64, position: usize) -> Delivery {
        Delivery { number, position, at: Instant::now() }
    }

    #[test]
    fn a_slot_is_free_when_all_have_the_message_and_the_server_has_answered() {
        let mut round = Round::new(5, 2, 1, 2, 0);
        assert_eq!(round.take(0), Some(5));
        assert_eq!(round.delivered(delivery(5, 0)), None);
        assert_eq!(round.delivered(delivery(5, 0)), None);
        assert!(round.answered(0));
        assert_eq!(round.take(0), Some(6));
        assert!(!round.answered(0));
        assert_eq!(round.delivered(delivery(6, 1)), None);
        assert_eq!(round.delivered(delivery(6, 1)), Some(0));
        assert!(round.complete());
        assert_eq!(round.take(0), None);
        let result = round.result(0, 0);
        assert_eq!((result.deliveries, result.missed, result.misplaced), (4, 0, 0));
    }

    /// The result of a round of `count` messages, all in flight at once, with these deliveries.
    fn round_with(count: usize, subscribers: usize, deliveries: &[(u64, usize)]) -> RoundResult {
        let mut round = Round::new(1, count, count, subscribers, 0);
        for slot in 0..count {
            round.take(slot);
        }
        for (number, position) in deliveries {
            round.delivered(delivery(*number, *position));
        }
        round.result(0, 0)
    }

    #[test]
    fn any_order_is_right_as_long_as_all_get_the_same() {
        assert_eq!(round_with(2, 2, &[(2, 0), (1, 1), (2, 0), (1, 1)]).misplaced, 0);
        assert_eq!(round_with(2, 2, &[(2, 0), (1, 1), (1, 0), (2, 1)]).misplaced, 2);
    }

    #[test]
    fn what_comes_twice_or_not_at_all_is_counted() {
        assert_eq!(round_with(3, 1, &[(1, 0), (1, 1), (3, 2)]).misplaced, 1);
        let result = round_with(3, 1, &[(2, 0)]);
        assert_eq!((result.deliveries, result.missed, result.misplaced), (1, 2, 0));
    }
}
