//! What jobs take in memory, about: clients give their texts, so that all of them together need a limit.

use super::{CommandSpec, Job, Step, Upload};

/// A job without its texts, with its places in the lists of jobs.
const JOB_BYTES: usize = 1024;
/// Beside a text: its length, what the allocator adds, its place in a list.
const TEXT_BYTES: usize = 32;

impl Job {
    /// What it takes in memory, in bytes. Cost: O(steps and members).
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let step = |step: &Step| size_of::<Step>() + TEXT_BYTES + step.name.len();
        let error = self.error.as_ref().map_or(0, |error| error.message.len() + text(error.step.as_ref()));
        JOB_BYTES
            + self.title.len()
            + self.steps.iter().map(step).sum::<usize>()
            + text(self.message.as_ref())
            + self.metadata.memory_bytes()
            + self.result.as_ref().map_or(0, |result| result.get().len())
            + error
            + self.upload.as_ref().map_or(0, Upload::memory_bytes)
            + self.spec.as_ref().map_or(0, CommandSpec::memory_bytes)
            + self.artefacts.iter().map(|file| 2 * TEXT_BYTES + file.name.len()).sum::<usize>()
    }
}

impl Upload {
    fn memory_bytes(&self) -> usize {
        self.filename.len() + self.metadata.len() + texts(&self.part_addresses) + 16 * self.parts.len()
    }
}

impl CommandSpec {
    fn memory_bytes(&self) -> usize {
        match self {
            Self::Configured { name, parameters } => {
                name.len()
                    + parameters
                        .iter()
                        .map(|(name, value)| 2 * TEXT_BYTES + name.len() + value.len())
                        .sum::<usize>()
            }
            Self::AdHoc { argv, pattern, .. } => texts(argv) + text(pattern.as_ref()),
            Self::Remote { argv } => texts(argv),
        }
    }
}

fn text(text: Option<&String>) -> usize {
    text.map_or(0, String::len)
}

fn texts(texts: &[String]) -> usize {
    texts.iter().map(|text| TEXT_BYTES + text.len()).sum()
}
