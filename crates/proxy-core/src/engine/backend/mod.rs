//! A connection to a node from its beginning to its end.

mod abandoned;
mod connections;
mod failures;
mod greetings;
mod leaving;
mod peers;
mod processes;
mod reading;
mod sending;
