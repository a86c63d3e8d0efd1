//! The engine through its public face: clients, nodes and a clock played without sockets, any piece of any
//! stream at any time. What must hold for every interleaving is a property; what a single case shows is a table.
#![allow(clippy::unwrap_used, reason = "a test stops where its own preparation fails")]

mod abandoned;
mod barrier;
mod client;
mod commands;
mod fences;
mod flow;
mod garbage;
mod limits;
mod link_ends;
mod links;
mod lulls;
mod node;
mod nodes;
mod order;
mod pair;
mod plan;
mod proof;
mod replies;
mod sockets;
mod streaming;
mod stress;
mod time;
mod turns;
mod views;
mod wild;
mod world;
