//! The broker and its stores, over HTTP, on real files and a real etcd.
//!
//! The HTTP client here is reqwest with plain JSON, not the project's own client, so that shapes are seen as
//! others see them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod condition;
mod copies;
mod crash;
mod denied;
mod document;
mod errors;
mod failover;
mod fixture;
mod garbage;
mod going_back;
mod idle;
mod reading;
mod secure;
mod shared;
mod size;
mod surface;
mod walk;
