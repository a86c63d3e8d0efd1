//! The names of what a worker has. Each outlives what it names and finds nothing then.

use super::slab::{Key, Place};

/// Names a session of a worker. A later session never has the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(Place);

impl SessionId {
    /// Its index, for tables beside the engine: no two sessions have the same at a time.
    #[inline]
    #[must_use]
    pub fn index(self) -> usize {
        self.0.index()
    }

    /// The whole name in 63 bits.
    #[inline]
    #[must_use]
    pub fn number(self) -> u64 {
        self.0.number()
    }
}

impl Key for SessionId {
    fn new(place: Place) -> Self {
        SessionId(place)
    }

    fn place(self) -> Place {
        self.0
    }
}

/// Names a connection of a worker to a node. A later connection never has the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BackendId(Place);

impl BackendId {
    /// Its index, for tables beside the engine: no two backends have the same at a time.
    #[inline]
    #[must_use]
    pub fn index(self) -> usize {
        self.0.index()
    }

    /// The whole name in 63 bits.
    #[inline]
    #[must_use]
    pub fn number(self) -> u64 {
        self.0.number()
    }
}

impl Key for BackendId {
    fn new(place: Place) -> Self {
        BackendId(place)
    }

    fn place(self) -> Place {
        self.0
    }
}

/// Names a node of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct NodeKey(Place);

impl Key for NodeKey {
    fn new(place: Place) -> Self {
        NodeKey(place)
    }

    fn place(self) -> Place {
        self.0
    }
}
