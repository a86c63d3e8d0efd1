//! A proxy's half of failover, without IO: leases, fences, roles, attachment, health.
//!
//! The same code runs in the proxy, driven by its control thread, and in the simulation.
//!
//! ```text
//!   UMCTL ────────────┐                          ┌──▶ workers: views, fences
//!   visits to nodes ──┼─▶ handle(now, Event) ────┼──▶ nodes: visits, roles, questions for their replicas
//!   workers, clock ───┘      Keeper              └──▶ callers: answers
//! ```
//!
//! **Contract.** The shell calls [`Keeper::handle`] with each [`Event`] and does every [`Action`] that comes back, in
//! their order, and tells the end of those that have one. It calls with [`Event::Tick`] when [`Keeper::wakes_at`] has come
//! and nothing else has happened. It may tell the end of an action late, twice or never, as long as it visits a node
//! again after [`VISIT_LIMIT`] at the latest; what is not awaited any more is passed over. `now` is a clock that never
//! steps back and runs on while the machine sleeps: a paused machine must not think that it still has a lease.
//!
//! Words that mean something exact here:
//! - A replica is **attached** if it is the one that the metadata names and, asked at its address, has said itself, within
//!   [`model::ATTACHED_FOR_MS`], that it follows the primary and has all that the primary had when that was asked.
//! - It is **detached** if, asked after the order, it says that it replicates nobody: the epoch of that order is told as
//!   its `role_epoch`.
//! - A node was **looked at** if an answer came. Silence proves nothing.
//! - A node is **busy** if it says so, or is silent and its process was seen to work a moment ago.
//!
//! **Invariant:** nothing is served without a lease or an attached replica, once any coordinator has said that it grants
//! leases. **Invariant:** an epoch is told only when primaries that lost their slots have stopped and all nodes that answer
//! were looked at after it was in force.
#![forbid(unsafe_code)]

mod acknowledgement;
mod attachments;
mod cleaning;
mod heartbeats;
mod keeper;
mod lease;
mod life;
mod metadata;
mod nodes;
mod port;
mod readiness;
mod report;
mod role;
mod settling;
mod status;
mod turn;
mod visit_fault;

use std::time::Duration;

pub use acknowledgement::{StreamPlace, replica_count};
pub use keeper::{Keeper, Start};
pub use life::ProcessSeen;
pub use metadata::{Metadata, Refusal};
pub use nodes::Health;
pub use port::{Action, Answer, Caller, Event, LeaseGrant, Purpose, Ticket};
pub use readiness::Readiness;
pub use role::{DesiredRole, Order};
pub use status::{NodeLink, NodeProcess, NodeRole, NodeStatus};
pub use visit_fault::VisitFault;

/// A node that has not answered a visit for this long does not answer.
pub const VISIT_LIMIT: Duration = Duration::from_secs(1);
