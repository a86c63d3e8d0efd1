//! No two primaries of one shard acknowledge writes at one time.
//!
//! An acknowledgement is late if another node has acknowledged a write of that shard by a newer view before. What lies
//! between them does not matter: the client whose OK comes then may have read, by the new primary, that its write is not
//! there.

use model::{Address, Epoch};

use crate::clock::TrueUs;
use crate::violation::{Invariant, Violation};

/// Who acknowledged last, by shard.
#[derive(Debug)]
pub(crate) struct OneWriter(Vec<Option<(Epoch, Address)>>);

impl OneWriter {
    /// Nobody has.
    pub(crate) fn new(shards: usize) -> Self {
        Self(vec![None; shards])
    }

    /// A node has acknowledged a write that was taken by the view of that epoch.
    pub(crate) fn acknowledged(
        &mut self,
        shard: usize,
        epoch: Epoch,
        node: &Address,
        now: TrueUs,
    ) -> Option<Violation> {
        match &mut self.0[shard] {
            Some((newest, last)) if last != node && epoch <= *newest => {
                let what = format!(
                    "shard {shard}: {node} acknowledges by epoch {epoch}, after {last} did by epoch {newest}"
                );
                Some(Violation { invariant: Invariant::OneWriter, at: now, what })
            }
            Some((newest, last)) => {
                if epoch >= *newest {
                    (*newest, *last) = (epoch, node.clone());
                }
                None
            }
            none => {
                *none = Some((epoch, node.clone()));
                None
            }
        }
    }
}
