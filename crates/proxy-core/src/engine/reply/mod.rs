//! What becomes of a reply: from a node's bytes to its place among those of its session.

mod deliver;
mod own;
