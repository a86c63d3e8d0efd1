//! The section `Keyspace` of INFO: asked of the nodes when a client asks for it, so that it tells of every write that the
//! client has an answer to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use link::LinkError;
use model::Address;
use proxy_core::settings::Password;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::super::node_client::NodeClient;
use super::idle_clients::IdleClients;

/// Askings at once; more wait, within their time.
const ASKINGS_MAX: usize = 8;
/// What a node has not told by then is left as it was when the node was last looked at.
const LIMIT: Duration = Duration::from_millis(100);

/// All askings.
#[derive(Debug)]
pub(super) struct Keyspaces {
    permits: Arc<Semaphore>,
    idle: Arc<IdleClients>,
    password: Option<Password>,
}

impl Keyspaces {
    /// None yet.
    pub(super) fn new(password: Option<Password>) -> Keyspaces {
        Keyspaces { permits: Arc::new(Semaphore::new(ASKINGS_MAX)), idle: Arc::default(), password }
    }

    /// What these nodes say now. A node that does not answer in time is missing.
    pub(super) fn ask(&self, nodes: Vec<Address>) -> impl Future<Output = BTreeMap<Address, String>> + use<> {
        self.idle.keep_only(&nodes);
        let (permits, idle, password) = (self.permits.clone(), self.idle.clone(), self.password.clone());
        async move {
            let deadline = Instant::now() + LIMIT;
            let mut told = BTreeMap::new();
            let Ok(_permit) = timeout_at(deadline, permits.acquire()).await else { return told };
            let mut tasks = JoinSet::new();
            for node in nodes {
                let (idle, password) = (idle.clone(), password.clone());
                tasks.spawn(async move {
                    let text = keyspace_of(&node, &idle, password.as_ref()).await;
                    (node, text)
                });
            }
            while let Ok(Some(joined)) = timeout_at(deadline, tasks.join_next()).await {
                if let Ok((node, Ok(text))) = joined {
                    told.insert(node, text);
                }
            }
            told
        }
    }
}

async fn keyspace_of(
    node: &Address,
    idle: &IdleClients,
    password: Option<&Password>,
) -> Result<String, LinkError> {
    const REQUEST: [&[u8]; 2] = [b"INFO", b"keyspace"];
    if let Some(mut client) = idle.take(node)
        && let Ok(reply) = client.call(&REQUEST).await
    {
        idle.put(node.clone(), client);
        return reply.text();
    }
    let mut client = NodeClient::connect(node, password, LIMIT).await?;
    let reply = client.call(&REQUEST).await?;
    idle.put(node.clone(), client);
    reply.text()
}
