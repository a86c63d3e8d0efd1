//! The lines to the nodes beside this proxy, and what is shown of each.

use std::collections::BTreeMap;

use keeper::Ticket;
use model::Address;
use proxy_core::engine::NodeLives;
use proxy_core::settings::Password;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;

use super::event::Event;
use super::heartbeat::{Heartbeat, Pair};
use super::node_line::{NodeLine, NodeOrder};
use super::node_status::NodeInfo;

/// A task that ends when this is dropped, and its orders.
#[derive(Debug)]
struct Line<T> {
    orders: UnboundedSender<T>,
    task: AbortHandle,
}

impl<T> Drop for Line<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One node.
#[derive(Debug)]
struct Node {
    line: Line<NodeOrder>,
    info: NodeInfo,
    databases: Option<u32>,
}

/// All of them, in the order of their addresses.
#[derive(Debug)]
pub(super) struct Nodes {
    nodes: BTreeMap<Address, Node>,
    heartbeats: BTreeMap<(Address, Address), Line<Ticket>>,
    password: Option<Password>,
    events: UnboundedSender<Event>,
    /// Where the workers are told that a silent node lives.
    lives: NodeLives,
}

impl Nodes {
    /// None yet.
    pub(super) fn new(password: Option<Password>, events: UnboundedSender<Event>, lives: NodeLives) -> Nodes {
        Nodes { nodes: BTreeMap::new(), heartbeats: BTreeMap::new(), password, events, lives }
    }

    /// Tells a node's line something. To be called inside the runtime, because the line may be new.
    pub(super) fn order(&mut self, node: &Address, order: NodeOrder) {
        let Nodes { password, events, .. } = self;
        let known = self.nodes.entry(node.clone()).or_insert_with(|| {
            let (sender, orders) = unbounded_channel();
            let (password, events) = (password.clone(), events.clone());
            let line = NodeLine { node: node.clone(), password, orders, events };
            let task = tokio::spawn(line.run()).abort_handle();
            Node { line: Line { orders: sender, task }, info: NodeInfo::default(), databases: None }
        });
        // A line ends only with its entry.
        let _ = known.line.orders.send(order);
    }

    /// Ends a node's line.
    pub(super) fn forget(&mut self, node: &Address) {
        self.nodes.remove(node);
        self.lives.forget(node);
    }

    /// Has a primary asked for its replica. To be called inside the runtime.
    pub(super) fn beat(&mut self, ask: Ticket, pair: Pair) {
        let events = &self.events;
        let key = (pair.primary.clone(), pair.replica.clone());
        let line = self.heartbeats.entry(key).or_insert_with(|| {
            let (sender, asks) = unbounded_channel();
            let heartbeat = Heartbeat { pair, asks, events: events.clone() };
            Line { orders: sender, task: tokio::spawn(heartbeat.run()).abort_handle() }
        });
        // A line ends only with its entry.
        let _ = line.orders.send(ask);
    }

    /// A primary is not asked for this replica any more.
    pub(super) fn end_heartbeat(&mut self, primary: Address, replica: Address) {
        self.heartbeats.remove(&(primary, replica));
    }

    /// A primary and its replica, with what it takes to ask about them.
    pub(super) fn pair(&self, primary: Address, replica: Address) -> Pair {
        Pair { primary, replica, password: self.password.clone() }
    }

    /// Notes what a node says of itself; false if it is no longer watched.
    pub(super) fn set_info(&mut self, address: &Address, info: NodeInfo) -> bool {
        let node = self.nodes.get_mut(address);
        let is_watched = node.is_some();
        if let Some(node) = node {
            node.info = info;
        }
        is_watched
    }

    /// What a node said of itself when it last answered.
    pub(super) fn info(&self, address: &Address) -> NodeInfo {
        self.nodes.get(address).map(|node| node.info.clone()).unwrap_or_default()
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

    /// The lowest version among these nodes: a client may rely only on what all of them can do.
    pub(super) fn version_min<'a>(&'a self, of: impl Iterator<Item = &'a Address>) -> Option<&'a str> {
        let versions =
            of.filter_map(|address| self.nodes.get(address)).map(|node| node.info.version.as_str());
        versions.filter(|version| !version.is_empty()).min_by_key(|version| numbers(version))
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
    async fn only_wanted_nodes_are_known() {
        let (events, _receiver) = unbounded_channel();
        let mut nodes = Nodes::new(None, events, NodeLives::default());
        let [a, b]: [Address; 2] = ["127.0.0.1:1", "127.0.0.1:2"].map(|text| text.parse().unwrap());
        for node in [&a, &b] {
            nodes.order(node, NodeOrder::Visit(Ticket(1)));
        }
        nodes.set_databases(&b, 4);
        assert_eq!(nodes.databases_min(), Some(4));
        let info = |version: &str| NodeInfo { version: version.to_owned(), ..NodeInfo::default() };
        assert!(nodes.set_info(&a, info("7.10.0")) && nodes.set_info(&b, info("7.9.0")));
        assert_eq!(nodes.version_min([&a, &b].into_iter()), Some("7.9.0"));
        nodes.forget(&b);
        assert_eq!((nodes.databases_min(), nodes.info(&a)), (None, info("7.10.0")));
        assert!(!nodes.set_info(&b, info("1")), "no longer watched");
    }
}
