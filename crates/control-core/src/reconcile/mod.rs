//! What a coordinator has to do, from what the metadata says and what it has seen.
//!
//! Called again and again with fresh arguments. Each call looks at everything anew and returns only what is
//! to be done now; nothing is remembered between calls but what is in [`Observed`]. An action that fails,
//! or that another coordinator did first, is simply not wanted any more at the next call.

mod detection;
mod pushes;
mod repair;
mod replicas;
mod upkeep;

use model::{Address, ClusterName, Epoch};

use crate::command::Command;
use crate::diagnose::{
    NodeCondition, ProxyCondition, node_condition, node_health, proxy_condition, proxy_health,
};
use crate::observed::Observed;
use crate::state::{Chunk, Half, State};
use crate::time::TimeMs;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send the command to the broker.
    Apply(Command),
    /// Give the proxy its roles and, when it has accepted them, its view: those of [`crate::desired_view`], by the
    /// state that was looked at. With FORCE in the roles, nodes that started anew are to take their roles with what
    /// they have; without, a primary that started anew stays out of service.
    Push {
        /// The proxy.
        proxy: Address,
        /// Whether the roles are sent with FORCE.
        makes_do: bool,
        /// Whether slots are without service until it has them: it is not to wait for pushes that are not urgent.
        is_urgent: bool,
    },
    /// Have the proxy empty its nodes, which it may do only while it has the empty view of that epoch; when
    /// it has, send [`Command::ProxyCleaned`].
    Clean {
        /// The proxy.
        proxy: Address,
        /// The epoch of its empty view.
        epoch: Epoch,
    },
}

/// What there is to do now, the urgent first.
#[must_use]
pub fn reconcile(state: &State, observed: &Observed, now: TimeMs) -> Vec<Action> {
    let watch = Watch { state, observed, now };
    let mut actions = Vec::new();
    detection::detect(&watch, &mut actions);
    repair::repair(&watch, &mut actions);
    pushes::push(&watch, &mut actions);
    replicas::follow(&watch, &mut actions);
    upkeep::keep_up(&watch, &mut actions);
    let ends_an_outage =
        |action: &Action| matches!(action, Action::Apply(command) if command.ends_an_outage());
    actions.sort_by_key(|action| !ends_an_outage(action));
    actions
}

#[cfg(test)]
mod tests;

/// What is looked at.
struct Watch<'a> {
    state: &'a State,
    observed: &'a Observed,
    now: TimeMs,
}

impl Watch<'_> {
    fn proxy(&self, proxy: &Address) -> ProxyCondition {
        proxy_condition(self.observed, proxy, self.now)
    }

    fn is_alive(&self, proxy: &Address) -> bool {
        self.proxy(proxy) == ProxyCondition::Alive
    }

    /// Whether what is known of a proxy is newer than something that another coordinator has decided and this one first
    /// saw at `seen`. That one may have known more: only what was asked later can prove it wrong.
    fn is_newer(&self, proxy: &Address, seen: TimeMs) -> bool {
        let asked = self.observed.proxies.get(proxy).and_then(|observation| observation.asked);
        asked.is_some_and(|asked| asked > seen)
    }

    fn primary(&self, chunk: &Chunk, shard: Half) -> NodeCondition {
        node_condition(self.observed, chunk.primary_proxy(shard), chunk.primary(shard), self.now)
    }

    /// The cluster that a proxy serves.
    fn cluster_of(&self, proxy: &Address) -> Option<&ClusterName> {
        self.state.proxies.get(proxy)?.cluster.as_ref()
    }

    fn replica(&self, chunk: &Chunk, shard: Half) -> NodeCondition {
        node_condition(self.observed, chunk.replica_proxy(shard), chunk.replica(shard), self.now)
    }

    /// Whether the replica of a primary acknowledges now, by its proxy. A link over which nothing gets through any more looks
    /// whole for seconds; a handover over it would stop writes in vain.
    fn is_attached(&self, chunk: &Chunk, shard: Half) -> bool {
        let health = node_health(self.observed, chunk.primary_proxy(shard), chunk.primary(shard));
        health.is_some_and(|health| health.attached)
    }

    /// The epoch of the view that a living proxy has.
    fn view_epoch(&self, proxy: &Address) -> Option<Epoch> {
        proxy_health(self.observed, proxy).filter(|_| self.is_alive(proxy)).map(|health| health.view_epoch)
    }
}
