//! The nodes beside this proxy: who is watched, and what is known of each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use model::{Address, Epoch};
use proxy_core::engine::NodeLives;
use proxy_core::settings::Secret;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::event::Event;
use super::node_life::NodeLife;
use super::node_report::Wanted;
use super::node_status::NodeStatus;
use super::node_watch::NodeWatch;
use super::readiness::Look;
use super::state::Order;

/// How a node is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Health {
    /// Nobody has looked yet.
    #[default]
    Unknown,
    /// It answers.
    Up(NodeStatus),
    /// It does not, for this reason.
    Down(String),
}

impl Health {
    /// Up: what it says of itself.
    pub(crate) fn status(&self) -> Option<&NodeStatus> {
        match self {
            Health::Up(status) => Some(status),
            Health::Unknown | Health::Down(_) => None,
        }
    }

    /// One word for it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Up(status) if status.loading => "loading",
            Health::Up(_) => "up",
            Health::Down(_) => "down",
        }
    }
}

/// What is known of a node, and since when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    /// How it was at the last look.
    pub(super) health: &'a Health,
    /// When it last answered; when the watch began if it never did.
    pub(super) answered: Instant,
    /// The epoch of the roles under which it was last seen to be what they say, by a look that began after they came.
    pub(super) role_epoch: Epoch,
}

/// One watched node.
#[derive(Debug)]
struct Node {
    health: Health,
    answered: Instant,
    role_epoch: Epoch,
    /// The number of the last look that was asked for and made.
    looked: u64,
    databases: Option<u32>,
    wanted: watch::Sender<Wanted>,
    task: AbortHandle,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// All of them, in the order of their addresses.
#[derive(Debug)]
pub(super) struct Nodes {
    nodes: BTreeMap<Address, Node>,
    /// How often a look at all nodes was asked for.
    looks: u64,
    password: Option<Secret>,
    events: UnboundedSender<Event>,
    /// Where the watches tell the workers that a silent node lives.
    lives: NodeLives,
}

impl Nodes {
    /// None yet.
    pub(super) fn new(password: Option<Secret>, events: UnboundedSender<Event>, lives: NodeLives) -> Nodes {
        Nodes { nodes: BTreeMap::new(), looks: 0, password, events, lives }
    }

    /// Watches these nodes and no others, and has each keep the role that `order` gives. To be called inside the
    /// runtime.
    pub(super) fn follow(
        &mut self,
        wanted: &BTreeSet<Address>,
        epoch: Epoch,
        order: impl Fn(&Address) -> Option<Order>,
    ) {
        self.nodes.retain(|address, _| wanted.contains(address));
        for address in wanted {
            let order = order(address);
            match self.nodes.get(address) {
                Some(node) => {
                    node.wanted.send_if_modified(|current| {
                        let differs = (&current.order, current.epoch) != (&order, epoch);
                        (current.order, current.epoch) = (order, epoch);
                        differs
                    });
                }
                None => {
                    let node = self.watch(address, epoch, order);
                    self.nodes.insert(address.clone(), node);
                }
            }
        }
    }

    fn watch(&self, address: &Address, epoch: Epoch, order: Option<Order>) -> Node {
        let (wanted, receiver) = watch::channel(Wanted { order, epoch, look: self.looks });
        let task = NodeWatch {
            node: address.clone(),
            password: self.password.clone(),
            wanted: receiver,
            events: self.events.clone(),
            life: Arc::new(NodeLife::new(address.clone(), self.lives.clone())),
        };
        let task = tokio::spawn(task.run()).abort_handle();
        let (health, answered, looked) = (Health::Unknown, Instant::now(), 0);
        Node { health, answered, role_epoch: Epoch(0), looked, databases: None, wanted, task }
    }

    /// Notes under which roles a node that answers is what they say. One that does not answer says nothing: that it was
    /// told to let go of its primary is no proof that it has.
    pub(super) fn note_role(&mut self, address: &Address, status: &NodeStatus, wanted: &Wanted) {
        let is_in_role = wanted.order.as_ref().is_some_and(|order| status.has_role(&order.role));
        if let Some(node) = self.nodes.get_mut(address).filter(|_| is_in_role) {
            node.role_epoch = wanted.epoch;
        }
    }

    /// Notes what a look has shown; false if the node is no longer watched.
    pub(super) fn looked(&mut self, address: &Address, health: Health, look: u64) -> bool {
        let node = self.nodes.get_mut(address);
        let known = node.is_some();
        if let Some(node) = node {
            if matches!(health, Health::Up(_)) {
                node.answered = Instant::now();
            }
            (node.health, node.looked) = (health, look);
        }
        known
    }

    /// Has all of them looked at now.
    pub(super) fn look(&mut self) {
        self.looks += 1;
        self.nodes.values().for_each(|node| node.wanted.send_modify(|wanted| wanted.look = self.looks));
    }

    /// Whether all that answer were looked at since [`Nodes::look`] was last called.
    pub(super) fn all_looked(&self) -> bool {
        let is_due = |node: &Node| matches!(node.health, Health::Up(_)) && node.looked < self.looks;
        !self.nodes.values().any(is_due)
    }

    /// Whether each has been looked at, and all that answer are what they were told to be, but for those that started
    /// anew and stay out of service.
    pub(super) fn all_in_role(&self, order: impl Fn(&Address) -> Option<Order>) -> bool {
        self.nodes.iter().all(|(address, node)| match (&node.health, order(address)) {
            (Health::Up(status), Some(order)) => {
                status.restarted || status.loading || status.has_role(&order.role)
            }
            (Health::Unknown, _) => false,
            _ => true,
        })
    }

    /// What is known of each.
    pub(super) fn seen(&self) -> impl Iterator<Item = (&Address, Seen<'_>)> {
        self.nodes.iter().map(|(address, node)| {
            let Node { health, answered, role_epoch, .. } = node;
            (address, Seen { health, answered: *answered, role_epoch: *role_epoch })
        })
    }

    /// What a look at a node showed.
    pub(super) fn look_at(&self, address: &Address, now: Instant) -> Look {
        match self.nodes.get(address) {
            Some(Node { health: Health::Up(status), answered, .. }) if !status.loading => {
                Look::Answered(now.saturating_duration_since(*answered))
            }
            _ => Look::Silent,
        }
    }

    /// Notes how many databases a node has.
    pub(super) fn set_databases(&mut self, address: &Address, databases: u32) {
        if let Some(node) = self.nodes.get_mut(address) {
            node.databases = Some(databases);
        }
    }

    /// The fewest databases that any node has, where one has said so.
    pub(super) fn databases_min(&self) -> Option<u32> {
        self.nodes.values().filter_map(|node| node.databases).min()
    }

    /// The lowest version among them: a client may rely only on what all of them can do.
    pub(super) fn version_min(&self) -> Option<&str> {
        let versions = self.nodes.values().filter_map(|node| node.health.status());
        let versions = versions.map(|status| status.version.as_str()).filter(|version| !version.is_empty());
        versions.min_by_key(|version| numbers(version))
    }

    /// Each with how it is.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Address, &Health)> {
        self.nodes.iter().map(|(address, node)| (address, &node.health))
    }
}

/// A version as numbers, so that 7.10 is above 7.9.
fn numbers(version: &str) -> Vec<u64> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::state::DesiredRole;
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        for (lower, higher) in [("7.9.0", "7.10.0"), ("7.0.15", "8.2"), ("6.2", "6.2.1")] {
            assert!(numbers(lower) < numbers(higher), "{lower} {higher}");
        }
    }

    #[tokio::test]
    async fn only_wanted_nodes_are_watched() {
        let (events, _receiver) = tokio::sync::mpsc::unbounded_channel();
        let mut nodes = Nodes::new(None, events, NodeLives::default());
        let [a, b]: [Address; 2] = ["127.0.0.1:1", "127.0.0.1:2"].map(|text| text.parse().unwrap());
        let (role, cluster) = (DesiredRole::Primary, "mydb".parse().unwrap());
        let order = Order { role, cluster, peer: None, forced: 0 };
        nodes.follow(&BTreeSet::from([a.clone(), b.clone()]), Epoch(1), |_| None);
        assert!(nodes.looked(&a, Health::Down("gone".to_owned()), 0));
        nodes.set_databases(&b, 4);
        assert_eq!(nodes.databases_min(), Some(4));
        nodes.follow(&BTreeSet::from([a.clone()]), Epoch(2), |_| Some(order.clone()));
        assert!(!nodes.looked(&b, Health::Unknown, 0), "no longer watched");
        assert_eq!(nodes.databases_min(), None);
        let kept: Vec<&str> = nodes.iter().map(|(_, health)| health.word()).collect();
        assert_eq!(kept, ["down"], "what is known of a node that stays is kept");
        nodes.looked(&a, Health::Up(NodeStatus::default()), 0);
        nodes.look();
        assert!(!nodes.all_looked());
        nodes.looked(&a, Health::Up(NodeStatus::default()), 1);
        assert!(nodes.all_looked());
    }
}
