//! What the control thread shows to those who only look: the admin HTTP server and its metrics.

use std::sync::Arc;

use model::{Address, Epoch};
use proxy_core::command::CommandTable;

use super::nodes::Health;

/// One moment of the control thread.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    /// The epoch of the view that is in force.
    pub(super) epoch: Epoch,
    /// The epoch of the roles that are in force.
    pub(super) roles_epoch: Epoch,
    /// Whether clients are served.
    pub(super) ready: bool,
    /// Whether the proxy is about to end.
    pub(super) draining: bool,
    /// For the names of commands.
    pub(super) table: Arc<CommandTable>,
    /// The nodes beside this proxy.
    pub(super) nodes: Vec<(Address, Health)>,
}

impl Picture {
    /// Before anything is known.
    pub(super) fn new(table: Arc<CommandTable>) -> Picture {
        Picture {
            epoch: Epoch::default(),
            roles_epoch: Epoch::default(),
            ready: false,
            draining: false,
            table,
            nodes: Vec::new(),
        }
    }
}
