//! What is known of each write: to which shard it went, whether a client has its OK, whether the named replica has it.

use std::collections::BTreeMap;

/// One write.
#[derive(Clone, Copy, Debug)]
struct Write {
    shard: usize,
    is_acknowledged: bool,
    is_replicated: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Writes(BTreeMap<u64, Write>);

impl Writes {
    /// A client sends one.
    pub(crate) fn sent(&mut self, write: u64, shard: usize) {
        self.0.insert(write, Write { shard, is_acknowledged: false, is_replicated: false });
    }

    /// A client has its OK; the shard.
    pub(crate) fn acknowledged(&mut self, write: u64) -> usize {
        let known = self.0.get_mut(&write).expect("it was sent");
        known.is_acknowledged = true;
        known.shard
    }

    /// The replica that the metadata names has them.
    pub(crate) fn replicated(&mut self, writes: &[u64]) {
        for write in writes {
            if let Some(known) = self.0.get_mut(write) {
                known.is_replicated = true;
            }
        }
    }

    /// The acknowledged writes of a shard, each with whether the replica has it.
    pub(crate) fn of(&self, shard: usize) -> impl Iterator<Item = (u64, bool)> {
        let acknowledged = self.0.iter().filter(move |(_, held)| held.shard == shard && held.is_acknowledged);
        acknowledged.map(|(write, held)| (*write, held.is_replicated))
    }
}
