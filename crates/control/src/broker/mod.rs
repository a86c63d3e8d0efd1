//! The broker: the HTTP API in front of the metadata.
//!
//! Handlers read a snapshot or hand a command to the metadata; none decides anything, and none keeps anything.

mod access;
mod app;
mod asking;
mod condition;
mod error;
mod input;
mod limits;
mod metrics;
mod open;
mod pace;
mod recovery;
mod replicas;
mod server;
mod shapes;
mod v3;
mod v4;

use std::sync::{Arc, Mutex};

use axum::extract::State;
use control_core::Command;
use service::config::Secret;
use service::metrics::Metrics;

use crate::store::Metadata;
use error::ApiError;
use pace::Pace;

pub use app::document;
pub use open::open_metadata;
pub use server::{bind, run, serve};

/// What handlers read.
#[derive(Debug)]
struct Broker {
    metadata: Metadata,
    proxy_password: Option<Secret>,
    metrics: Metrics,
    pace: Arc<Mutex<Pace>>,
}

/// How handlers are given it.
type Shared = State<Arc<Broker>>;

/// What a call answers that only changes something: an empty body.
type Done = Result<(), ApiError>;

impl Broker {
    /// Makes a change whose reply says nothing.
    async fn change(&self, command: Command) -> Done {
        self.metadata.change(command).await?;
        Ok(())
    }
}
