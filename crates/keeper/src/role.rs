//! What a node is told to be in replication, and whether the process that answers is the one that was told.

use model::{Address, ClusterName, RunId};

use crate::status::{NodeRole, NodeStatus};

/// What a node is to be in replication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DesiredRole {
    /// It replicates nobody.
    Primary,
    /// It replicates the node at this address.
    ReplicaOf(Address),
}

impl DesiredRole {
    /// Whom the node is to replicate; `None` for a primary.
    #[must_use]
    pub const fn following(&self) -> Option<&Address> {
        match self {
            Self::Primary => None,
            Self::ReplicaOf(primary) => Some(primary),
        }
    }

    /// Whether the node is that.
    #[must_use]
    pub fn is_had_by(&self, status: &NodeStatus) -> bool {
        match (self, &status.role) {
            (Self::Primary, NodeRole::Primary) => true,
            (Self::ReplicaOf(primary), NodeRole::Replica { host, port, .. }) => is_at(primary, host, *port),
            _ => false,
        }
    }
}

fn is_at(address: &Address, host: &str, port: u16) -> bool {
    address.port() == port && address.host().eq_ignore_ascii_case(host)
}

/// What a node is told to be, and by which authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What it is to be.
    pub role: DesiredRole,
    /// For which cluster.
    pub cluster: ClusterName,
    /// The other node of its shard; `None` outside of clusters.
    pub peer: Option<Address>,
    /// How many times SETREPL has come with FORCE: one more lets a node that restarted be a primary.
    pub forced: u64,
    /// The processes that the last of these is about; empty means any process.
    pub processes: Vec<RunId>,
}

impl Order {
    /// Whether FORCE is about this process.
    fn is_about(&self, run_id: &str) -> bool {
        self.processes.is_empty() || self.processes.iter().any(|process| process.as_str() == run_id)
    }
}

/// Which process of the node was given its role.
#[derive(Debug, Default)]
pub(crate) struct GivenProcess {
    run_id: Option<String>,
    /// The order by which that was so.
    order: Option<Order>,
}

impl GivenProcess {
    /// Whether the process that answers is another than the one that was given its role. It stays so until it is
    /// made a replica, is given to another cluster, or an order with FORCE lets it be a primary with what it has.
    ///
    /// This proxy itself may be new and know nothing of what was before. Then a node that is to be a primary, and
    /// replicates one that is not of its shard, is a process that restarted: nodes are started as replicas of
    /// nobody, and only a proxy makes them anything else.
    pub(crate) fn restarted(&mut self, status: &NodeStatus, order: Option<&Order>) -> bool {
        let Some(order) = order else {
            *self = Self::default();
            return false;
        };
        // One that came for another process is too late for this one.
        let is_forced = order.forced > self.order.as_ref().map_or(0, |known| known.forced)
            && order.is_about(&status.run_id);
        let is_first = self.order.is_none();
        let is_other_cluster = self.order.as_ref().is_some_and(|known| known.cluster != order.cluster);
        let is_replica = order.role != DesiredRole::Primary;
        let takes_it =
            is_forced || is_other_cluster || is_replica || (is_first && !is_stranger(status, order));
        if takes_it {
            self.run_id = Some(status.run_id.clone());
        }
        self.order = Some(order.clone());
        self.run_id.as_ref() != Some(&status.run_id)
    }
}

/// Whether a node that is to be a primary replicates one that is not of its shard.
fn is_stranger(status: &NodeStatus, order: &Order) -> bool {
    let Some(peer) = &order.peer else { return false };
    match &status.role {
        NodeRole::Primary => false,
        NodeRole::Replica { .. } => !DesiredRole::ReplicaOf(peer.clone()).is_had_by(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::NodeLink;

    const PRIMARY: &str = "role:master\r\nconnected_slaves:1\r\n";
    const REPLICA: &str =
        "role:slave\r\nmaster_host:10.0.0.2\r\nmaster_port:6379\r\nmaster_link_status:down\r\n";

    #[test]
    fn a_right_role_is_recognised() {
        let primary = DesiredRole::Primary;
        let replica_of = |address: &str| DesiredRole::ReplicaOf(address.parse().unwrap());
        for (info, desired, expected) in [
            (PRIMARY, primary.clone(), true),
            (PRIMARY, replica_of("10.0.0.2:6379"), false),
            (REPLICA, primary, false),
            (REPLICA, replica_of("10.0.0.2:6379"), true),
            (REPLICA, replica_of("10.0.0.2:6380"), false),
            (REPLICA, replica_of("10.0.0.3:6379"), false),
        ] {
            assert_eq!(desired.is_had_by(&NodeStatus::of_info(info)), expected, "{info} {desired:?}");
        }
    }

    #[test]
    fn a_process_that_started_anew_is_noticed() {
        let status = |run_id: &str| NodeStatus { run_id: run_id.to_owned(), ..NodeStatus::default() };
        let peer: Option<Address> = Some("a:1".parse().unwrap());
        let order = |cluster: &str, role: &DesiredRole, forced: u64| {
            let processes = if forced > 1 { vec!["g".parse().unwrap()] } else { Vec::new() };
            let (role, cluster) = (role.clone(), cluster.parse().unwrap());
            Some(Order { role, cluster, peer: peer.clone(), forced, processes })
        };
        let primary = DesiredRole::Primary;
        let replica = DesiredRole::ReplicaOf("a:1".parse().unwrap());
        let mut process = GivenProcess::default();
        for (run_id, order, restarted) in [
            ("a", None, false),
            ("b", None, false),
            ("b", order("x", &primary, 0), false),
            ("c", order("x", &primary, 0), true),
            ("c", order("x", &primary, 0), true),
            ("c", order("x", &primary, 1), false),
            ("d", order("x", &primary, 1), true),
            ("d", order("x", &replica, 1), false),
            ("d", order("x", &primary, 1), false),
            ("e", order("x", &primary, 1), true),
            ("e", order("y", &primary, 1), false),
            // The process that FORCE names is gone when it comes: it is not about the one that is there.
            ("h", order("y", &primary, 2), true),
            ("g", order("y", &primary, 2), true),
            ("g", order("y", &primary, 3), false),
        ] {
            assert_eq!(process.restarted(&status(run_id), order.as_ref()), restarted, "{run_id} {order:?}");
        }
    }

    #[test]
    fn a_node_that_replicates_a_stranger_started_anew() {
        let replica_of =
            |port: u16| NodeRole::Replica { host: "a".to_owned(), port, link: NodeLink::Syncing };
        let order = |peer: Option<&str>, forced: u64| Order {
            role: DesiredRole::Primary,
            cluster: "x".parse().unwrap(),
            peer: peer.map(|peer| peer.parse().unwrap()),
            forced,
            processes: Vec::new(),
        };
        for (role, order, restarted) in [
            (NodeRole::Primary, order(Some("a:1"), 0), false),
            // Its promotion was ordered by the process of the proxy before this one.
            (replica_of(1), order(Some("a:1"), 0), false),
            (replica_of(2), order(Some("a:1"), 0), true),
            (replica_of(2), order(Some("a:1"), 1), false),
            (replica_of(2), order(None, 0), false),
        ] {
            let status = NodeStatus { run_id: "a".to_owned(), role, ..NodeStatus::default() };
            let mut process = GivenProcess::default();
            for _ in 0..2 {
                assert_eq!(process.restarted(&status, Some(&order)), restarted, "{status:?} {order:?}");
            }
        }
    }
}
