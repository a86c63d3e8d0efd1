//! Watching one node: asks it every second how it is, and keeps its role as SETREPL wants it.
//!
//! One task for each node, with a connection of its own. It decides nothing about the cluster: it reports, and makes
//! the node what it was told to be.

use std::time::Duration;

use model::Address;
use proxy_core::settings::Secret;
use resp::Value;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tracing::{info, warn};

use super::event::Event;
use super::node_client::{NodeClient, NodeError, NodeReply};
use super::node_status::NodeStatus;
use super::state::DesiredRole;

/// Between two looks at a node.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// After a role was set, and it is to be seen whether that holds.
const ROLE_RECHECK_INTERVAL: Duration = Duration::from_millis(100);
/// A node that does not answer for so long is reported as down.
const PROBE_LIMIT: Duration = Duration::from_secs(1);

/// What is seen of a node.
#[derive(Debug)]
pub(super) enum NodeReport {
    /// It answers.
    Up(NodeStatus),
    /// It does not, for this reason.
    Down(String),
    /// So many databases it has.
    Databases(u32),
    /// Its reply to COMMAND.
    Commands(NodeReply),
}

/// The task's equipment.
#[derive(Debug)]
pub(super) struct NodeWatch {
    pub(super) node: Address,
    pub(super) password: Option<Secret>,
    pub(super) desired: watch::Receiver<Option<DesiredRole>>,
    pub(super) events: UnboundedSender<Event>,
}

impl NodeWatch {
    /// Watches for ever; ends by being aborted.
    pub(super) async fn run(mut self) {
        let mut reported_down = false;
        loop {
            if let Err(error) = self.follow(&mut reported_down).await {
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
    async fn follow(&mut self, reported_down: &mut bool) -> Result<(), NodeError> {
        let mut client = NodeClient::connect(&self.node, self.password.as_ref(), PROBE_LIMIT).await?;
        let mut introduced = false;
        loop {
            let status = NodeStatus::of_info(&client.call(&[b"INFO"]).await?.text()?);
            if std::mem::take(reported_down) {
                info!(node = %self.node, "a node answers again");
            }
            let loading = status.loading;
            let right = self.has_desired_role(&status);
            self.report(NodeReport::Up(status));
            let mut pause = PROBE_INTERVAL;
            if !right && !loading {
                self.set_role(&mut client).await?;
                pause = ROLE_RECHECK_INTERVAL;
            }
            if !introduced && !loading {
                self.introduce(&mut client).await?;
                introduced = true;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // The sender lives as long as this task is wanted.
                _ = self.desired.changed() => {}
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

    fn has_desired_role(&mut self, status: &NodeStatus) -> bool {
        self.desired.borrow_and_update().as_ref().is_none_or(|desired| status.has_role(desired))
    }

    /// Makes the node what it should be. What the node refuses is tried again at the next look.
    async fn set_role(&mut self, client: &mut NodeClient) -> Result<(), NodeError> {
        let Some(desired) = self.desired.borrow_and_update().clone() else { return Ok(()) };
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
