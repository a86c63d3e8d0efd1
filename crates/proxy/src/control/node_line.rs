//! The line to one node: asks it how it is and gives it its role, as the keeper says.
//!
//! One task for each node, with a connection of its own. It decides nothing: it does what it is told, and reports.

use std::time::Duration;

use keeper::{DesiredRole, NodeStatus, Ticket, VISIT_LIMIT, VisitFault};
use link::{LinkError, Reply};
use model::Address;
use proxy_core::settings::Password;
use resp::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::timeout;
use tracing::{info, warn};

use super::event::{Event, NodeReport};
use super::node_client::NodeClient;
use super::node_status::NodeInfo;

/// The sections of INFO that are looked at: no others, because it happens often.
const SECTIONS: [&[u8]; 5] = [b"server", b"memory", b"persistence", b"replication", b"keyspace"];
/// How the error begins of a node that runs a script for long.
const BUSY: &str = "BUSY ";
/// A connection that is idle for this long is used to ask what is asked once.
const IDLE: Duration = Duration::from_millis(2);

/// What a line is told.
#[derive(Debug)]
pub(super) enum NodeOrder {
    /// Ask how the node is.
    Visit(Ticket),
    /// Give it a role over the same connection, then ask how it is.
    SetRole {
        /// Names the visit.
        visit: Ticket,
        /// The role.
        role: DesiredRole,
        /// With a new link to its primary, if it has one.
        anew: bool,
    },
}

/// The task's equipment.
#[derive(Debug)]
pub(super) struct NodeLine {
    pub(super) node: Address,
    pub(super) password: Option<Password>,
    pub(super) orders: UnboundedReceiver<NodeOrder>,
    pub(super) events: UnboundedSender<Event>,
}

/// Why a visit brought nothing.
#[derive(Debug, thiserror::Error)]
enum VisitError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("no answer within {} ms", VISIT_LIMIT.as_millis())]
    TooLate,
    #[error("the connection to the process that was meant is gone")]
    Disconnected,
}

/// A connection, and what was found out about the node over it.
#[derive(Debug)]
struct Connection {
    client: NodeClient,
    takes_several: bool,
    is_introduced: bool,
    is_loading: bool,
}

impl NodeLine {
    /// Does what it is told for as long as somebody may tell it something; ends by being aborted.
    pub(super) async fn run(mut self) {
        let mut connection = None;
        let mut is_silent = false;
        loop {
            let idle =
                connection.as_ref().filter(|held: &&Connection| !held.is_introduced && !held.is_loading);
            let order = match idle {
                None => self.orders.recv().await,
                Some(_) => match timeout(IDLE, self.orders.recv()).await {
                    Ok(order) => order,
                    Err(_) => {
                        self.introduce(&mut connection).await;
                        continue;
                    }
                },
            };
            let Some(order) = order else { return };
            let (visit, role) = match order {
                NodeOrder::Visit(visit) => (visit, None),
                NodeOrder::SetRole { visit, role, anew } => (visit, Some((role, anew))),
            };
            let visited = timeout(VISIT_LIMIT, self.visit(&mut connection, role)).await;
            let outcome = visited.unwrap_or(Err(VisitError::TooLate));
            match &outcome {
                Ok(_) if std::mem::take(&mut is_silent) => info!(node = %self.node, "a node answers again"),
                Ok(_) => {}
                Err(error) => {
                    if !std::mem::replace(&mut is_silent, true) {
                        warn!(node = %self.node, %error, "a node does not answer");
                    }
                    connection = None;
                }
            }
            let outcome = outcome.map_err(fault);
            self.report(NodeReport::Visited(visit, outcome));
        }
    }

    async fn visit(
        &self,
        held: &mut Option<Connection>,
        role: Option<(DesiredRole, bool)>,
    ) -> Result<Box<(NodeStatus, NodeInfo)>, VisitError> {
        let connection = match (held, &role) {
            (Some(connection), _) => connection,
            // The process that answers over another connection may be another one.
            (None, Some(_)) => return Err(VisitError::Disconnected),
            (held @ None, None) => held.insert(self.connect().await?),
        };
        if let Some((role, anew)) = role {
            if anew {
                self.end_link(&mut connection.client).await?;
            }
            self.set_role(&mut connection.client, role).await?;
        }
        let text = connection.info().await?;
        let mut status = NodeStatus::of_info(&text);
        connection.is_loading = status.loading;
        status.process = status.process.filter(|_| connection.client.is_near());
        Ok(Box::new((status, NodeInfo::of_info(&text))))
    }

    async fn connect(&self) -> Result<Connection, LinkError> {
        let client = NodeClient::connect(&self.node, self.password.as_ref(), VISIT_LIMIT).await?;
        Ok(Connection { client, takes_several: true, is_introduced: false, is_loading: false })
    }

    /// What is asked once on each connection: the node may have been replaced by another version.
    async fn introduce(&self, held: &mut Option<Connection>) {
        let Some(connection) = held else { return };
        connection.is_introduced = true;
        if let Err(error) = self.ask_once(&mut connection.client).await {
            warn!(node = %self.node, %error, "a node does not say what it can do");
            *held = None;
        }
    }

    async fn ask_once(&self, client: &mut NodeClient) -> Result<(), LinkError> {
        match client.call(&[b"CONFIG", b"GET", b"databases"]).await {
            Ok(reply) => self.report_databases(&reply)?,
            // Managed servers rename CONFIG away; the proxy's own setting holds then.
            Err(LinkError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
        match client.call(&[b"COMMAND"]).await {
            Ok(reply) => self.report(NodeReport::Commands(reply)),
            Err(LinkError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn report_databases(&self, reply: &Reply) -> Result<(), LinkError> {
        let Value::Array(pair) = reply.value()? else { return Ok(()) };
        // Empty where the server knows no such setting.
        let [_, Value::Bulk(count)] = pair.as_slice() else { return Ok(()) };
        if let Some(count) = std::str::from_utf8(count).ok().and_then(|count| count.parse().ok()) {
            self.report(NodeReport::Databases(count));
        }
        Ok(())
    }

    /// Makes the node what it should be. What the node refuses shows in what it says of itself then.
    async fn set_role(&self, client: &mut NodeClient, desired: DesiredRole) -> Result<(), LinkError> {
        info!(node = %self.node, ?desired, "setting a node's role");
        let outcome = match desired {
            DesiredRole::Primary => client.call(&[b"REPLICAOF", b"NO", b"ONE"]).await,
            DesiredRole::ReplicaOf(primary) => self.replicate(client, &primary).await,
        };
        match outcome {
            Ok(_) => Ok(()),
            Err(LinkError::Refused(error)) => {
                warn!(node = %self.node, error, "a node refuses its role");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Has the node give up its link to its primary: told to follow the same one again, it would keep that.
    async fn end_link(&self, client: &mut NodeClient) -> Result<(), LinkError> {
        warn!(node = %self.node, "nothing comes over a replica's link: it makes another");
        match client.call(&[b"CLIENT", b"KILL", b"TYPE", b"MASTER"]).await {
            Err(LinkError::Refused(_)) => client.call(&[b"REPLICAOF", b"NO", b"ONE"]).await.map(drop),
            outcome => outcome.map(drop),
        }
    }

    async fn replicate(&self, client: &mut NodeClient, primary: &Address) -> Result<Reply, LinkError> {
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

/// What a failed visit says of the node.
fn fault(error: VisitError) -> VisitFault {
    let text = error.to_string();
    match error {
        VisitError::TooLate | VisitError::Link(LinkError::TimedOut(_)) => VisitFault::Silent(text),
        VisitError::Link(LinkError::Refused(reply)) if reply.starts_with(BUSY) => VisitFault::Busy(text),
        _ => VisitFault::Failed(text),
    }
}

impl Connection {
    /// The sections of INFO. Servers before Redis 7 take one at a time, and then that is asked for.
    async fn info(&mut self) -> Result<String, LinkError> {
        if self.takes_several {
            let words: Vec<&[u8]> = std::iter::once(&b"INFO"[..]).chain(SECTIONS).collect();
            match self.client.call(&words).await {
                Err(LinkError::Refused(_)) => self.takes_several = false,
                outcome => return outcome?.text(),
            }
        }
        let mut text = String::new();
        for section in SECTIONS {
            text += &self.client.call(&[b"INFO", section]).await?.text()?;
            text += "\r\n";
        }
        Ok(text)
    }
}
