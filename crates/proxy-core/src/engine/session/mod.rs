//! A client's connection from its beginning to its end.

mod lifecycle;
mod memory;
mod strays;
mod waiting;
