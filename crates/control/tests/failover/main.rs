//! Failover of a managed cluster of real processes: what dies is replaced in time, what is handed over loses
//! nothing, and what comes back takes no write that it must not take.
//!
//! The short form is part of every test run. The long forms: `make targets`, `make partitions`, `make survivors`;
//! `FAILOVER_RUNS=20` (how often a primary loads), `HANDOVER_RUNS=20`, `HANG_RUNS=10`, and `ALONE_SECONDS=60` (how long the
//! control plane is dead). Only these hold bounds of time; what needs a machine that does not stall is tried again where it did, see `testkit::stalls`.
#![expect(clippy::unwrap_used, reason = "a fixture that cannot go on ends the test")]

mod fixture;

mod alone;
mod busy;
mod by_hand;
mod death;
mod first;
mod handover;
mod hang;
mod late;
mod link;
mod loading;
mod partition;
mod pool;
mod restart;
mod restore;
mod rotation;
mod several;
mod shown;
mod stale;
mod survivor;
