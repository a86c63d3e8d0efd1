//! Repair, played out against real keepers and imitated nodes: what each fault costs, and that never two nodes
//! serve one slot.
#![allow(clippy::unwrap_used, reason = "a test stops where its own preparation fails")]

mod births;
mod coordinator;
mod deaths;
mod faults;
mod memory;
mod node;
mod orders;
mod process;
mod random;
mod replicas;
mod silence;
mod world;
