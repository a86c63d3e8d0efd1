//! What a coordinator can do.

use model::{Address, Epoch, RunId};

use crate::command::Command;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send the command to the broker.
    Apply(Command),
    /// Give the proxy its roles and, when it has accepted them, its view: those of [`crate::desired_view`], by the
    /// state that was looked at. With FORCE in the roles, nodes that restarted are to take their roles with what
    /// they have; without, a primary that restarted stays out of service.
    Push {
        /// The proxy.
        proxy: Address,
        /// Its process that was seen to need it, and no other: one that has just started has forgotten what it had, and
        /// would take anything. None where the proxy is of a version that does not tell.
        process: Option<RunId>,
        /// Where the roles are sent with FORCE: for which processes, or for any where none is named.
        makes_do: Option<Vec<RunId>>,
        /// Whether slots are without service until it has them: it is not to wait for pushes that are not urgent.
        is_urgent: bool,
    },
    /// Have the proxy empty its nodes, which it may do only while it has the empty view of that epoch; when
    /// it has, send [`Command::ProxyCleaned`].
    Clean {
        /// The proxy.
        proxy: Address,
        /// Its process that was seen to have that view, and no other; as for a push.
        process: Option<RunId>,
        /// The epoch of its empty view.
        epoch: Epoch,
    },
}
