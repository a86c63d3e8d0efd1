//! The broker: the HTTP API in front of the metadata.
//!
//! Handlers read a snapshot or hand a command to the metadata; none decides anything, and none keeps anything.

mod access;
mod actor;
mod app;
mod asking;
mod condition;
mod crowd;
mod error;
mod input;
mod inspection;
mod late;
mod limits;
mod metrics;
mod migration_speed;
mod open;
mod recovery;
mod replicas;
mod review;
mod server;
mod shapes;
mod shared;
mod v3;
mod v4;

pub use app::document;
pub use open::open_metadata;
pub use server::{bind, run, serve};
