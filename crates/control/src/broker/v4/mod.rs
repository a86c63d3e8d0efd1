//! The calls that are this project's own: events, jobs, health, dry runs, planned failover, and what coordinators
//! need.

pub(super) mod events;
pub(super) mod failover;
pub(super) mod health;
pub(super) mod jobs;
pub(super) mod observations;
pub(super) mod plan;
pub(super) mod replace;
pub(super) mod review;
pub(super) mod state;
