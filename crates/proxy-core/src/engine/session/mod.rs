//! A client's connection from its beginning to its end.

mod clients;
mod lifecycle;
mod memory;
mod waiting;

pub(in crate::engine) use self::clients::Clients;
