//! Who holds which partition in each group of embedded topics.
//!
//! A partition changes hands in two steps, so that nobody gets it while another works on it: the one that
//! shall not keep it lets go between two polls, then the one that shall have it takes it.

use std::collections::{BTreeMap, HashMap};

use crate::topics::Partition;

/// All groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: HashMap<String, Group>,
}

#[derive(Debug, Default)]
struct Group {
    /// The members by name, with what each wants to read.
    members: BTreeMap<String, Vec<Partition>>,
    owners: HashMap<Partition, String>,
}

impl Groups {
    /// A member comes. False when the name is taken.
    pub(super) fn join(&mut self, group: &str, name: &str, wants: Vec<Partition>) -> bool {
        let group = self.groups.entry(group.to_owned()).or_default();
        if group.members.contains_key(name) {
            return false;
        }
        group.members.insert(name.to_owned(), wants);
        true
    }

    /// A member goes, and lets go of everything.
    pub(super) fn leave(&mut self, group: &str, name: &str) {
        let Some(members) = self.groups.get_mut(group) else { return };
        members.members.remove(name);
        members.owners.retain(|_, owner| owner != name);
        if members.members.is_empty() {
            self.groups.remove(group);
        }
    }

    /// A member lets go of what it shall not keep, takes what is free, and is told what it holds now and
    /// whether somebody waits.
    pub(super) fn settle(&mut self, group: &str, name: &str) -> (Vec<Partition>, bool) {
        let Some(group) = self.groups.get_mut(group) else { return (Vec::new(), false) };
        let shares = group.shares();
        let mine = |partition: &Partition| shares.get(partition).is_some_and(|owner| owner == name);
        let before = group.owners.len();
        group.owners.retain(|partition, owner| owner != name || mine(partition));
        let let_go = group.owners.len() < before;
        for partition in shares.keys().filter(|partition| mine(partition)) {
            group.owners.entry(partition.clone()).or_insert_with(|| name.to_owned());
        }
        let held = group.owners.iter().filter(|(_, owner)| *owner == name);
        let mut held: Vec<Partition> = held.map(|(partition, _)| partition.clone()).collect();
        held.sort();
        (held, let_go)
    }
}

impl Group {
    /// Who shall have what: partitions in turn over the members that want them, in the order of their names.
    fn shares(&self) -> HashMap<Partition, String> {
        let mut wanted: BTreeMap<&Partition, Vec<&String>> = BTreeMap::new();
        for (name, wants) in &self.members {
            for partition in wants {
                wanted.entry(partition).or_default().push(name);
            }
        }
        let turns = wanted.into_iter().enumerate();
        turns
            .map(|(turn, (partition, names))| (partition.clone(), names[turn % names.len()].clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topics::TopicName;

    fn partitions(count: u32) -> Vec<Partition> {
        let topic = TopicName::new("t").expect("a name");
        (0..count).map(|number| Partition { topic: topic.clone(), number }).collect()
    }

    #[test]
    fn a_partition_waits_for_its_holder_to_let_go() {
        let mut groups = Groups::default();
        assert!(groups.join("g", "a", partitions(2)));
        assert_eq!(groups.settle("g", "a"), (partitions(2), false));
        assert!(groups.join("g", "b", partitions(2)));
        assert!(groups.settle("g", "b").0.is_empty(), "a still works on both");
        let (held, let_go) = groups.settle("g", "a");
        assert_eq!((held.len(), let_go), (1, true));
        assert_eq!(groups.settle("g", "b").0.len(), 1);
        groups.leave("g", "a");
        assert_eq!(groups.settle("g", "b").0, partitions(2));
    }

    #[test]
    fn a_name_is_taken_once() {
        let mut groups = Groups::default();
        assert!(groups.join("g", "a", partitions(1)));
        assert!(!groups.join("g", "a", partitions(1)));
        assert!(groups.join("other", "a", partitions(1)));
    }
}
