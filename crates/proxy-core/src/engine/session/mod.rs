//! A client's connection from its beginning to its end.

mod lifecycle;
mod memory;
pub(in crate::engine) mod strays;
mod waiting;
