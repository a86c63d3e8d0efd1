//! The plain data of one worker: sessions, connections, buffers, limits. Nothing here knows the engine.

pub mod buffers;
pub(in crate::engine) mod creditors;
pub mod memory;
pub mod policy;
pub mod stream;

pub(in crate::engine) mod abandoned;
pub(in crate::engine) mod agenda;
pub(in crate::engine) mod backend;
pub(in crate::engine) mod batches;
pub(in crate::engine) mod connection_name;
pub(in crate::engine) mod departed;
pub(in crate::engine) mod fences;
pub(in crate::engine) mod gather;
pub(in crate::engine) mod ids;
pub(in crate::engine) mod lives;
pub(in crate::engine) mod misplaced;
pub(in crate::engine) mod node_kind;
pub(in crate::engine) mod nodes;
pub(in crate::engine) mod order;
pub(in crate::engine) mod pace;
pub(in crate::engine) mod random;
pub(in crate::engine) mod reached;
pub(in crate::engine) mod session;
pub(in crate::engine) mod slab;
pub(in crate::engine) mod slow;
