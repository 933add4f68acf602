//! Decisions without a log: `given(state, events).when(decision).then(["channel event", …])`.

use anywire_log::{Event, Offset, Publication, Timestamp};

use super::T0;
use crate::{Decision, Projection};

/// A state after the events that are given.
pub struct Given<P> {
    state: P,
    events: u64,
}

/// A state that begins so, and to which these events happened, one after the other.
pub fn given<P: Projection>(state: P, events: impl IntoIterator<Item = Publication>) -> Given<P> {
    Given { state, events: 0 }.and(events)
}

impl<P: Projection> Given<P> {
    /// These events happen too.
    #[must_use]
    pub fn and(mut self, events: impl IntoIterator<Item = Publication>) -> Self {
        for publication in events {
            self.events += 1;
            self.state.apply(&Event::new(Offset::new(self.events), Timestamp::from_millis(T0), publication));
        }
        self.state.settled(Offset::new(self.events));
        self
    }

    /// The state.
    pub fn state(&self) -> &P {
        &self.state
    }

    /// A decision is made on it.
    pub fn when<A, R>(self, decide: impl FnOnce(&P) -> Result<Decision<A>, R>) -> When<P, A, R> {
        let decided = decide(&self.state);
        When { given: self, decided }
    }
}

/// What was decided.
pub struct When<P, A, R> {
    given: Given<P>,
    decided: Result<Decision<A>, R>,
}

impl<P: Projection, A, R: std::fmt::Debug> When<P, A, R> {
    /// The events of the decision, each as its channel and its name; they happen. Returns the state after
    /// them, and the decision's answer.
    ///
    /// # Panics
    /// If others were decided, or the decision was refused.
    #[track_caller]
    pub fn then<'a>(self, expected: impl IntoIterator<Item = &'a str>) -> (Given<P>, A) {
        let decision = self.decided.expect("the decision is refused");
        let (publications, answer) = decision.into_parts();
        let names = publications.iter().map(|one| format!("{} {}", one.channel, one.name.as_str()));
        let names: Vec<String> = names.collect();
        assert_eq!(names, expected.into_iter().collect::<Vec<_>>(), "the events of the decision");
        (self.given.and(publications), answer)
    }

    /// The refusal.
    ///
    /// # Panics
    /// If it was not refused.
    #[track_caller]
    pub fn refused(self) -> R {
        match self.decided {
            Err(refusal) => refusal,
            Ok(_) => panic!("the decision is not refused"),
        }
    }
}
