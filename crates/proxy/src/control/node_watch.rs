//! Watching one node: asks it ten times a second how it is, and keeps its role as SETREPL wants it.
//!
//! One task for each node, with a connection of its own. It decides nothing about the cluster: it reports, and makes
//! the node what it was told to be.

use std::sync::Arc;
use std::time::Duration;

use model::Address;
use proxy_core::settings::Secret;
use resp::Value;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tracing::{info, warn};

use super::event::Event;
use super::node_client::{NodeClient, NodeError, NodeReply};
use super::node_life::NodeLife;
use super::node_report::{NodeReport, Wanted};
use super::node_status::{NodeRole, NodeStatus};
use super::state::{DesiredRole, Order};

/// Between two looks at a node.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);
/// After a role was set, and it is to be seen whether that holds.
const ROLE_RECHECK_INTERVAL: Duration = Duration::from_millis(1);
/// After a role was refused, or did not hold.
const ROLE_RETRY_INTERVAL: Duration = Duration::from_millis(20);
/// The sections of INFO that are looked at: no others, because it happens often.
const SECTIONS: [&[u8]; 5] = [b"server", b"memory", b"persistence", b"replication", b"keyspace"];
/// A node that does not answer for so long is reported as down.
const PROBE_LIMIT: Duration = Duration::from_secs(1);

/// Which process of the node was given its role.
#[derive(Debug, Default)]
struct Process {
    run_id: Option<String>,
    /// The order by which that was so.
    order: Option<Order>,
}

impl Process {
    /// Whether the process that answers is another than the one that was given its role. It stays so until it is
    /// made a replica, is given to another cluster, or an order with FORCE lets it be a primary with what it has.
    ///
    /// This proxy itself may be new and know nothing of what was before. Then a node that is to be a primary, and
    /// replicates one that is not of its shard, is a process that started anew: nodes are started as replicas of
    /// nobody, and only a proxy makes them anything else.
    fn restarted(&mut self, status: &NodeStatus, order: Option<&Order>) -> bool {
        let Some(order) = order else {
            *self = Self::default();
            return false;
        };
        let is_forced = order.forced > self.order.as_ref().map_or(0, |known| known.forced);
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
        NodeRole::Replica { .. } => !status.has_role(&DesiredRole::ReplicaOf(peer.clone())),
    }
}

/// The task's equipment.
#[derive(Debug)]
pub(super) struct NodeWatch {
    pub(super) node: Address,
    pub(super) password: Option<Secret>,
    pub(super) wanted: watch::Receiver<Wanted>,
    pub(super) events: UnboundedSender<Event>,
    pub(super) life: Arc<NodeLife>,
}

impl NodeWatch {
    /// Watches for ever; ends by being aborted.
    pub(super) async fn run(mut self) {
        let life = self.life.clone();
        tokio::select! {
            () = self.watch() => {}
            () = life.run() => {}
        }
    }

    async fn watch(&mut self) {
        let mut reported_down = false;
        let mut process = Process::default();
        loop {
            if let Err(error) = self.follow(&mut reported_down, &mut process).await {
                if !reported_down {
                    warn!(node = %self.node, %error, "a node does not answer");
                }
                reported_down = true;
                self.report(NodeReport::Down(error.to_string()));
            }
            tokio::time::sleep(PROBE_INTERVAL).await;
        }
    }

    /// From connecting until the connection fails.
    async fn follow(&mut self, reported_down: &mut bool, process: &mut Process) -> Result<(), NodeError> {
        let mut client = NodeClient::connect(&self.node, self.password.as_ref(), PROBE_LIMIT).await?;
        let (mut introduced, mut was_wrong, mut takes_several) = (false, false, true);
        loop {
            let wanted = self.wanted.borrow_and_update().clone();
            let order = wanted.order.clone();
            let mut status = NodeStatus::of_info(&info(&mut client, &mut takes_several).await?);
            if std::mem::take(reported_down) {
                info!(node = %self.node, "a node answers again");
            }
            self.life.answered(status.process.clone().filter(|_| client.is_near()));
            let loading = status.loading;
            status.restarted = process.restarted(&status, order.as_ref());
            // A primary that lost its memory must not be one again before somebody says so: its replica would
            // copy the loss.
            let wrong = order.filter(|order| !status.has_role(&order.role) && !status.restarted);
            self.report(NodeReport::Up(Box::new(status), wanted));
            let mut pause = PROBE_INTERVAL;
            let is_wrong = wrong.is_some();
            if let Some(order) = wrong.filter(|_| !loading) {
                self.set_role(&mut client, order.role).await?;
                pause = if was_wrong { ROLE_RETRY_INTERVAL } else { ROLE_RECHECK_INTERVAL };
            }
            was_wrong = is_wrong;
            if !introduced && !loading {
                self.introduce(&mut client).await?;
                introduced = true;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // The sender lives as long as this task is wanted.
                _ = self.wanted.changed() => {}
            }
        }
    }

    /// What is asked once on each connection: the node may have been replaced by another version.
    async fn introduce(&self, client: &mut NodeClient) -> Result<(), NodeError> {
        match client.call(&[b"CONFIG", b"GET", b"databases"]).await {
            Ok(reply) => self.report_databases(&reply)?,
            // Managed servers rename CONFIG away; the proxy's own setting holds then.
            Err(NodeError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
        match client.call(&[b"COMMAND"]).await {
            Ok(reply) => self.report(NodeReport::Commands(reply)),
            Err(NodeError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn report_databases(&self, reply: &NodeReply) -> Result<(), NodeError> {
        let Value::Array(pair) = reply.value()? else { return Ok(()) };
        // Empty where the server knows no such setting.
        let [_, Value::Bulk(count)] = pair.as_slice() else { return Ok(()) };
        if let Some(count) = std::str::from_utf8(count).ok().and_then(|count| count.parse().ok()) {
            self.report(NodeReport::Databases(count));
        }
        Ok(())
    }

    /// Makes the node what it should be. What the node refuses is tried again at the next look.
    async fn set_role(&self, client: &mut NodeClient, desired: DesiredRole) -> Result<(), NodeError> {
        info!(node = %self.node, ?desired, "setting a node's role");
        let outcome = match desired {
            DesiredRole::Primary => client.call(&[b"REPLICAOF", b"NO", b"ONE"]).await,
            DesiredRole::ReplicaOf(primary) => self.replicate(client, &primary).await,
        };
        match outcome {
            Ok(_) => Ok(()),
            Err(NodeError::Refused(error)) => {
                warn!(node = %self.node, error, "a node refuses its role");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn replicate(&self, client: &mut NodeClient, primary: &Address) -> Result<NodeReply, NodeError> {
        if let Some(password) = &self.password {
            client.call(&[b"CONFIG", b"SET", b"masterauth", password.reveal()]).await?;
        }
        let port = primary.port().to_string();
        client.call(&[b"REPLICAOF", primary.host().as_bytes(), port.as_bytes()]).await
    }

    fn report(&self, report: NodeReport) {
        // The control thread outlives its tasks.
        let _ = self.events.send(Event::Node(self.node.clone(), report));
    }
}

/// The sections of INFO. Servers before Redis 7 take one at a time, and then that is asked for.
async fn info(client: &mut NodeClient, takes_several: &mut bool) -> Result<String, NodeError> {
    if *takes_several {
        let words: Vec<&[u8]> = std::iter::once(&b"INFO"[..]).chain(SECTIONS).collect();
        match client.call(&words).await {
            Err(NodeError::Refused(_)) => *takes_several = false,
            outcome => return outcome?.text(),
        }
    }
    let mut text = String::new();
    for section in SECTIONS {
        text += &client.call(&[b"INFO", section]).await?.text()?;
        text += "\r\n";
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::node_status::NodeLink;
    use super::*;

    #[test]
    fn a_process_that_started_anew_is_noticed() {
        let status = |run_id: &str| NodeStatus { run_id: run_id.to_owned(), ..NodeStatus::default() };
        let peer: Option<Address> = Some("a:1".parse().unwrap());
        let order = |cluster: &str, role: &DesiredRole, forced: u64| {
            Some(Order { role: role.clone(), cluster: cluster.parse().unwrap(), peer: peer.clone(), forced })
        };
        let primary = DesiredRole::Primary;
        let replica = DesiredRole::ReplicaOf("a:1".parse().unwrap());
        let mut process = Process::default();
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
            let mut process = Process::default();
            for _ in 0..2 {
                assert_eq!(process.restarted(&status, Some(&order)), restarted, "{status:?} {order:?}");
            }
        }
    }
}
