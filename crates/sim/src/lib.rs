//! Whole managed clusters under virtual time.
//!
//! What decides is real: the keeper of each proxy, `reconcile`, leases and `apply`. What is imitated: nodes, the workers
//! of proxies, the shells of coordinators and brokers, the network, and the clocks of machines.
//!
//! ```text
//!   seed ─▶ faults ─▶ World: coordinators ⇄ brokers ⇄ one store
//!                        ⇅ messages late, lost, doubled, out of order
//!                     proxies (keepers) ⇄ nodes ⇄ nodes
//!                        │
//!                     Checks: each invariant in a file of its own
//! ```
//! A seed repeats a world exactly. Each checker is proved by a rule that does not hold ([`Planted`]).
//!
//! What it does not show: a virtual machine that its host stops has no clock that runs on (see
//! [`Planted::ClocksStandStill`]); what workers do within one turn (the engine has plans of its own); slots that move.
#![forbid(unsafe_code)]

mod check;
mod clock;
mod coordinator;
mod dice;
mod event;
mod fault;
mod healing;
mod network;
mod node;
mod out;
mod planted;
mod proxy;
mod setup;
mod violation;
mod world;

pub use check::Checks;
pub use clock::TrueUs;
pub use dice::Dice;
pub use event::Process;
pub use fault::{Fault, break_things};
pub use healing::heals;
pub use network::Network;
pub use planted::Planted;
pub use setup::Setup;
pub use violation::{Invariant, Violation};
pub use world::World;

/// A random world that was played to its end.
///
/// # Panics
/// When a world does not come up although every rule holds.
#[must_use]
pub fn play(setup: Setup, seed: u64) -> World {
    let mut world = World::new(setup, seed);
    let faults = world.dice.between(1, 8);
    break_things(&mut world, faults);
    heals(&mut world);
    world.take_stock();
    world
}
