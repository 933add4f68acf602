//! A channel's runs, oldest first. The first stands in its place: nearly every channel of a log that has very
//! many of them has one, and a list of its own for it would cost more than it does.
//!
//! Invariant: where there is no first there is no rest.

use std::collections::VecDeque;

/// Runs, oldest first.
#[derive(Debug)]
pub(crate) struct Runs<Run> {
    first: Option<Run>,
    /// Nothing is allocated while there is none.
    #[expect(clippy::box_collection, reason = "a list takes 32 bytes also where it is empty")]
    rest: Option<Box<VecDeque<Run>>>,
}

impl<Run> Default for Runs<Run> {
    fn default() -> Self {
        Self { first: None, rest: None }
    }
}

impl<Run> Runs<Run> {
    fn rest(&self) -> &VecDeque<Run> {
        self.rest.as_deref().unwrap_or(const { &VecDeque::new() })
    }

    pub(crate) fn front(&self) -> Option<&Run> {
        self.first.as_ref()
    }

    pub(crate) fn front_mut(&mut self) -> Option<&mut Run> {
        self.first.as_mut()
    }

    pub(crate) fn back(&self) -> Option<&Run> {
        self.rest().back().or(self.first.as_ref())
    }

    pub(crate) fn back_mut(&mut self) -> Option<&mut Run> {
        let rest = self.rest.as_mut().and_then(|rest| rest.back_mut());
        rest.or(self.first.as_mut())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Run> {
        self.first.iter().chain(self.rest())
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Run> {
        self.first.iter_mut().chain(self.rest.iter_mut().flat_map(|rest| rest.iter_mut()))
    }

    pub(crate) fn get(&self, at: usize) -> Option<&Run> {
        if at == 0 { self.first.as_ref() } else { self.rest().get(at - 1) }
    }

    /// Those from a place on. Cost: that of those that are looked at.
    pub(crate) fn from(&self, at: usize) -> impl Iterator<Item = &Run> {
        let (first, rest) = if at == 0 { (self.first.iter(), 0) } else { (None.iter(), at - 1) };
        first.chain(self.rest().range(rest.min(self.rest().len())..))
    }

    /// The first place whose run does not satisfy `before`, which holds for a first part of them.
    pub(crate) fn partition_point(&self, before: impl Fn(&Run) -> bool) -> usize {
        match &self.first {
            Some(first) if before(first) => 1 + self.rest().partition_point(before),
            _ => 0,
        }
    }

    pub(crate) fn push_back(&mut self, run: Run) {
        match &self.first {
            None => self.first = Some(run),
            Some(_) => self.rest.get_or_insert_default().push_back(run),
        }
    }

    pub(crate) fn pop_front(&mut self) -> Option<Run> {
        self.remove(0)
    }

    pub(crate) fn remove(&mut self, at: usize) -> Option<Run> {
        let Some(rest) = &mut self.rest else {
            return if at == 0 { self.first.take() } else { None };
        };
        let removed = match at {
            0 => std::mem::replace(&mut self.first, rest.pop_front()),
            _ => rest.remove(at - 1),
        };
        if rest.is_empty() {
            self.rest = None;
        }
        removed
    }

    /// Puts a run at a place, of which there is one before or behind.
    pub(crate) fn insert(&mut self, at: usize, run: Run) {
        let (at, run) = match at {
            0 => match self.first.replace(run) {
                None => return,
                Some(first) => (0, first),
            },
            _ => (at - 1, run),
        };
        self.rest.get_or_insert_default().insert(at, run);
    }
}
