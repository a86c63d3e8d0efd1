//! What all handlers are given.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use control_core::{Command, Reply};
use service::config::Secret;
use service::metrics::Metrics;

use super::access::DeniedCommands;
use super::actor;
use super::error::ApiError;
use super::late;
use super::migration_speed::MigrationSpeed;
use super::replicas::Copies;
use crate::config::ReviewPolicy;
use crate::store::{ChangeError, Metadata};

/// What handlers read.
#[derive(Debug)]
pub(super) struct Broker {
    pub(super) metadata: Metadata,
    pub(super) proxy_password: Option<Secret>,
    pub(super) metrics: Metrics,
    pub(super) speed: Arc<Mutex<MigrationSpeed>>,
    pub(super) review_policy: ReviewPolicy,
    pub(super) denied: Arc<DeniedCommands>,
    pub(super) copies: Arc<Copies>,
}

/// How handlers are given it.
pub(super) type Shared = State<Arc<Broker>>;

/// What a call answers that only changes something: an empty body.
pub(super) type Done = Result<(), ApiError>;

impl Broker {
    /// Makes a change whose reply says nothing.
    pub(super) async fn change(&self, command: Command) -> Done {
        self.apply(command).await?;
        Ok(())
    }

    /// Makes a change, with the caller in its event.
    pub(super) async fn apply(&self, command: Command) -> Result<Reply, ChangeError> {
        self.metadata.change_asked(command, actor::current(), late::asked()).await
    }
}
