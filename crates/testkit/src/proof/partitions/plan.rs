//! Which partitions there are to be.

use super::kind::Kind;

/// Which partitions there are to be.
#[derive(Clone, Debug)]
pub struct PartitionsPlan {
    /// How many.
    pub runs: usize,
    /// How many clusters are tried side by side.
    pub lanes: usize,
    /// Decides what is left open by the kind: when something hangs, and for how long.
    pub seed: u64,
    /// The kinds, which take turns.
    pub kinds: Vec<Kind>,
    /// To whom clients write.
    pub writes_to: WritesTo,
}

/// To whom clients write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WritesTo {
    /// The old primary's proxy.
    Proxy,
    /// The old primary itself, behind its proxy's back: what a proxy would let through that looks at no lease. Late
    /// writes must be found then.
    Node,
}
