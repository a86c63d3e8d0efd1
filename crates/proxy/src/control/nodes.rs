//! The nodes beside this proxy: who is watched, and what is known of each.

use std::collections::{BTreeMap, BTreeSet};

use model::Address;
use proxy_core::settings::Secret;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::event::Event;
use super::node_status::NodeStatus;
use super::node_watch::NodeWatch;
use super::state::DesiredRole;

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

/// One watched node.
#[derive(Debug)]
struct Node {
    health: Health,
    databases: Option<u32>,
    desired: watch::Sender<Option<DesiredRole>>,
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
    password: Option<Secret>,
    events: UnboundedSender<Event>,
}

impl Nodes {
    /// None yet.
    pub(super) fn new(password: Option<Secret>, events: UnboundedSender<Event>) -> Nodes {
        Nodes { nodes: BTreeMap::new(), password, events }
    }

    /// Watches these nodes and no others, and has each keep the role that `desired` gives. To be called inside the
    /// runtime.
    pub(super) fn follow(
        &mut self,
        wanted: &BTreeSet<Address>,
        desired: impl Fn(&Address) -> Option<DesiredRole>,
    ) {
        self.nodes.retain(|address, _| wanted.contains(address));
        for address in wanted {
            let desired = desired(address);
            match self.nodes.get(address) {
                Some(node) => {
                    node.desired.send_if_modified(|current| {
                        let differs = *current != desired;
                        *current = desired;
                        differs
                    });
                }
                None => {
                    let node = self.watch(address, desired);
                    self.nodes.insert(address.clone(), node);
                }
            }
        }
    }

    fn watch(&self, address: &Address, desired: Option<DesiredRole>) -> Node {
        let (desired, receiver) = watch::channel(desired);
        let task = NodeWatch {
            node: address.clone(),
            password: self.password.clone(),
            desired: receiver,
            events: self.events.clone(),
        };
        let task = tokio::spawn(task.run()).abort_handle();
        Node { health: Health::Unknown, databases: None, desired, task }
    }

    /// Notes how a node is; false if it is no longer watched.
    pub(super) fn set_health(&mut self, address: &Address, health: Health) -> bool {
        let node = self.nodes.get_mut(address);
        let known = node.is_some();
        if let Some(node) = node {
            node.health = health;
        }
        known
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
        let mut nodes = Nodes::new(None, events);
        let [a, b]: [Address; 2] = ["127.0.0.1:1", "127.0.0.1:2"].map(|text| text.parse().unwrap());
        nodes.follow(&BTreeSet::from([a.clone(), b.clone()]), |_| None);
        assert!(nodes.set_health(&a, Health::Down("gone".to_owned())));
        nodes.set_databases(&b, 4);
        assert_eq!(nodes.databases_min(), Some(4));
        nodes.follow(&BTreeSet::from([a.clone()]), |_| Some(DesiredRole::Primary));
        assert!(!nodes.set_health(&b, Health::Unknown), "no longer watched");
        assert_eq!(nodes.databases_min(), None);
        let kept: Vec<&str> = nodes.iter().map(|(_, health)| health.word()).collect();
        assert_eq!(kept, ["down"], "what is known of a node that stays is kept");
    }
}
