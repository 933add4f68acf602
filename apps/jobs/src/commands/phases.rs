//! Which step of the whole a line such as `[3/9]` means, where a command counts more than once: one
//! build after another, or stages side by side. Pure.

/// How many stages are told apart; what comes after them is passed over.
const STAGES_MAX: usize = 64;

/// The stages of one command.
#[derive(Debug, Default)]
pub(super) struct Phases(Vec<Stage>);

#[derive(Debug)]
struct Stage {
    /// None once another count under its name has begun.
    name: Option<String>,
    /// The highest number that came.
    highest: u32,
    total: u32,
    /// What the first step is called: a count that begins again with another one is another count.
    first: String,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It begins: so many of all steps.
    New { number: u32, total: u32 },
    /// It runs; there are so many.
    Current { total: u32 },
    /// Later ones have begun.
    Past,
}

impl Phases {
    /// Takes the number of a step in its stage.
    pub(super) fn take(&mut self, stage: &str, index: u32, total: u32, name: &str) -> Place {
        let known = self.0.iter_mut().find(|known| known.name.as_deref() == Some(stage));
        let place = match known {
            Some(known) if known.begins_again(index, total, name) => {
                // What did not come will not.
                known.total = known.highest;
                known.name = None;
                None
            }
            known => known.map(|known| known.take(index, total)),
        };
        match place {
            Some(Some(true)) => self.new_place(),
            Some(Some(false)) => Place::Current { total: self.total() },
            Some(None) => Place::Past,
            None if self.0.len() >= STAGES_MAX => Place::Past,
            None => {
                let first = if index == 1 { name.to_owned() } else { String::new() };
                self.0.push(Stage { name: Some(stage.to_owned()), highest: index, total, first });
                self.new_place()
            }
        }
    }

    fn new_place(&self) -> Place {
        let number = self.0.iter().fold(0_u32, |sum, stage| sum.saturating_add(stage.highest));
        Place::New { number, total: self.total() }
    }

    fn total(&self) -> u32 {
        self.0.iter().fold(0, |sum, stage| sum.saturating_add(stage.total))
    }
}

impl Stage {
    fn begins_again(&self, index: u32, total: u32, name: &str) -> bool {
        let (another, further) = (self.first != name, self.highest > 1);
        index == 1 && (another && (further || total != self.total) || further && total != self.total)
    }

    /// Whether the step is new; none where a later one has begun.
    fn take(&mut self, index: u32, total: u32) -> Option<bool> {
        let new = index > self.highest;
        if index < self.highest {
            return None;
        }
        (self.highest, self.total) = (index, total);
        Some(new)
    }
}
