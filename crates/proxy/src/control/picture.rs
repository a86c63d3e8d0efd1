//! What the control thread shows to those who only look: the questions' thread, HTTP and the metrics.

use std::sync::Arc;

use keeper::Readiness;
use model::{Address, Epoch, SetRepl, View};
use proxy_core::engine::Shared;
use proxy_core::settings::Settings;

use super::node_status::NodeSeen;

/// One moment of the control thread.
#[derive(Clone)]
pub(super) struct Picture {
    /// The epoch of the view that is in force.
    pub(super) epoch: Epoch,
    /// The epoch of the roles that are in force.
    pub(super) roles_epoch: Epoch,
    /// Whether clients are served.
    pub(super) readiness: Readiness,
    /// Whether the proxy is about to end.
    pub(super) draining: bool,
    /// What the workers were given last.
    pub(super) shared: Shared,
    /// As configured, with what was changed since.
    pub(super) settings: Arc<Settings>,
    /// The view that was accepted last.
    pub(super) view: Option<Arc<View>>,
    /// The roles that were accepted last.
    pub(super) roles: Option<Arc<SetRepl>>,
    /// The nodes beside this proxy.
    pub(super) nodes: Vec<(Address, NodeSeen)>,
    /// Those of them that own slots; all of them where none does.
    pub(super) primaries: Vec<Address>,
}

impl Picture {
    /// Before anything is known.
    pub(super) fn new(shared: Shared) -> Picture {
        Picture {
            epoch: Epoch::default(),
            roles_epoch: Epoch::default(),
            readiness: Readiness::NoCluster,
            draining: false,
            settings: shared.settings.clone(),
            shared,
            view: None,
            roles: None,
            nodes: Vec::new(),
            primaries: Vec::new(),
        }
    }

    /// Whether clients of a cluster are served and go on to be.
    pub(super) fn is_ready(&self) -> bool {
        self.readiness.is_ready() && !self.draining
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Picture").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}
