//! WAIT and WAITAOF: on connections of the control thread's own, because a node answers nothing else on a connection on
//! which it waits, and the workers' connections are shared.
//!
//! A node waits for the writes of the connection that asks. So each connection first publishes to a channel that nobody
//! listens to: a command that is replicated, after every write that the client has an answer to (the engine asks only
//! when the session has had all of them). What is waited for is therefore at least what the client wrote.
//!
//! ```text
//!  client      SET a 1 ─▶ OK       WAIT 1 500
//!  worker         │   ▲               │  shared connection
//!  node         SET ──┘ offset 100    │
//!  this                               └─▶ SPUBLISH ─▶ offset 180, WAIT 1 500 ─▶ replicas at 180
//! ```
//!
//! Where the metadata names a primary's replica, that one is waited for and no other: it is the one that is promoted when
//! the primary dies. A session that has written to nodes that cannot be asked any more is answered 0.

mod lines;
mod named;
mod reached;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use link::LinkError;
use model::Address;
use proxy_core::errors;
use proxy_core::local::{WaitGoal, WaitRequest, Written};
use proxy_core::settings::Password;
use service::shutdown::{Phase, Shutdown};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::lines::Lines;
use self::named::Named;
use self::reached::Reached;
use super::super::node_client::NodeClient;
use super::super::picture::Picture;
use super::super::reply_to::ReplyTo;
use super::super::texts;
use super::idle_clients::IdleClients;

/// Waits at once, each with a connection to every primary; one more is refused.
const WAITS_MAX: usize = 256;
/// The longest wait, also of those that state no end: what a client that left does not need any more is given back.
const WAIT_MAX: Duration = Duration::from_secs(60 * 60);
/// A client that has closed its end may still read: it is waited for this much longer.
const LEFT_MAX: Duration = Duration::from_millis(500);
/// A node is asked to wait for no longer than this at a time, so that one that hangs is noticed.
const PIECE_MAX: Duration = Duration::from_secs(10);
/// The shortest time that WAIT can state; 0 would be no limit.
const PIECE_MIN: Duration = Duration::from_millis(1);
/// A channel without subscribers. Sharded, because no pattern sees it.
const CHANNEL: &[u8] = b"__undermoon:wait";

/// All waits.
#[derive(Debug)]
pub(super) struct Waits {
    permits: Arc<Semaphore>,
    idle: Arc<IdleClients>,
    password: Option<Password>,
    shutdown: Shutdown,
}

impl Waits {
    /// Nobody waits yet.
    pub(super) fn new(password: Option<Password>, shutdown: Shutdown) -> Waits {
        Waits { permits: Arc::new(Semaphore::new(WAITS_MAX)), idle: Arc::default(), password, shutdown }
    }

    /// Clients that wait now.
    pub(super) fn running(&self) -> usize {
        WAITS_MAX - self.permits.available_permits()
    }

    /// WAIT or WAITAOF. It ends when the client leaves, too: `left` ends then.
    pub(super) fn start(
        &self,
        picture: &Picture,
        request: &WaitRequest,
        to: ReplyTo,
        left: Option<oneshot::Receiver<()>>,
    ) {
        // Without a view there are no nodes that clients could have written to.
        let addresses = picture.primaries.clone();
        let replicas = named::replicas(picture, &addresses);
        let asked = addresses.iter().chain(replicas.values().flatten());
        self.idle.keep_only(&asked.cloned().collect::<Vec<_>>());
        let refusal = |to: ReplyTo, error| {
            let mut reply = Vec::new();
            errors::write(&mut reply, error);
            to.send(reply);
        };
        if addresses.is_empty() {
            return refusal(to, errors::CLUSTER_NOT_FOUND);
        }
        // The worker may not have heard yet what the picture shows.
        if !matches!(&request.written, Written::Here(nodes) if nodes.iter().all(|node| addresses.contains(node)))
        {
            let mut reply = Vec::new();
            Reached::NOTHING.write(request.goal, &mut reply);
            return to.send(reply);
        }
        let Ok(permit) = self.permits.clone().try_acquire_owned() else {
            return refusal(to, errors::TOO_MANY_WAITS);
        };
        let timeout = Duration::from_millis(request.timeout_ms);
        let wait = Wait {
            goal: request.goal,
            deadline: Instant::now() + if timeout.is_zero() { WAIT_MAX } else { timeout.min(WAIT_MAX) },
            endless: timeout.is_zero(),
            nodes: NodesAsked {
                replicas,
                addresses,
                lines: Lines {
                    password: self.password.clone(),
                    limit: Duration::from_millis(picture.shared.settings.backend_timeout_ms),
                    idle: self.idle.clone(),
                },
            },
            shutdown: self.shutdown.clone(),
        };
        tokio::spawn(async move {
            wait.answer(to, left).await;
            drop(permit);
        });
    }
}

/// One client's wait.
struct Wait {
    goal: WaitGoal,
    deadline: Instant,
    /// Whether the client stated no end.
    endless: bool,
    nodes: NodesAsked,
    shutdown: Shutdown,
}

/// How the nodes are reached.
#[derive(Clone)]
struct NodesAsked {
    addresses: Vec<Address>,
    /// The replicas that the metadata names.
    replicas: Arc<BTreeMap<Address, Vec<Address>>>,
    lines: Lines,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum WaitError {
    /// In the node's own words, which are those that the client expects.
    #[error("{0}")]
    Refused(String),
    #[error("{}", texts::wait_failed(.0, .1))]
    Node(Address, LinkError),
    #[error("{}", errors::SHUTTING_DOWN)]
    ShuttingDown,
}

/// A connection whose wait covers what the client wrote.
struct Waiter {
    node: Address,
    client: NodeClient,
    /// Whom the metadata names; `None` where all replicas count.
    named: Option<Named>,
}

impl Wait {
    async fn answer(self, to: ReplyTo, left: Option<oneshot::Receiver<()>>) {
        let mut reply = Vec::new();
        let outcome = tokio::select! {
            outcome = self.run() => outcome,
            // Who waits without an end would hold up the end of the proxy.
            () = self.shutdown.reached(Phase::Draining), if self.endless => Err(WaitError::ShuttingDown),
            // The connections on which nodes still wait are closed with this.
            () = gone(left) => Ok(Reached::NOTHING),
        };
        match outcome {
            Ok(reached) => reached.write(self.goal, &mut reply),
            Err(error) => errors::write(&mut reply, &error.to_string()),
        }
        to.send(reply);
    }

    /// What was reached when the wait ended.
    async fn run(&self) -> Result<Reached, WaitError> {
        let mut waiters = self.nodes.open().await?;
        loop {
            let reached;
            (waiters, reached) = self.wait_once(waiters).await?;
            if reached.meets(self.goal) || self.deadline < Instant::now() + PIECE_MIN {
                waiters.into_iter().for_each(|waiter| waiter.end(&self.nodes.lines));
                return Ok(reached);
            }
        }
    }

    /// Has all nodes wait, at most for one piece of the time.
    async fn wait_once(&self, waiters: Vec<Waiter>) -> Result<(Vec<Waiter>, Reached), WaitError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let piece = left.clamp(PIECE_MIN, PIECE_MAX);
        let mut tasks = JoinSet::new();
        for waiter in waiters {
            tasks.spawn(waiter.wait(self.nodes.lines.clone(), self.goal, piece));
        }
        let mut waiters = Vec::new();
        let mut least = Reached::ALL;
        while let Some(joined) = tasks.join_next().await {
            let (waiter, reached) = joined.expect("waiting for a node does not panic")?;
            least = least.min(reached);
            waiters.push(waiter);
        }
        Ok((waiters, least))
    }
}

impl NodesAsked {
    /// A connection to each, whose waits cover what was written so far.
    async fn open(&self) -> Result<Vec<Waiter>, WaitError> {
        let mut tasks = JoinSet::new();
        for node in self.addresses.iter().cloned() {
            let nodes = self.clone();
            tasks.spawn(async move {
                let opened = nodes.open_waiter(node.clone()).await;
                opened.map_err(|error| WaitError::at(node, error))
            });
        }
        let mut waiters = Vec::new();
        while let Some(joined) = tasks.join_next().await {
            waiters.push(joined.expect("opening a connection does not panic")?);
        }
        Ok(waiters)
    }

    async fn open_waiter(&self, node: Address) -> Result<Waiter, LinkError> {
        let mut client = self.open_one(&node).await?;
        let named = match self.replicas.get(&node) {
            Some(replicas) => Some(Named::new(replicas, &mut client).await?),
            None => None,
        };
        Ok(Waiter { node, client, named })
    }

    async fn open_one(&self, node: &Address) -> Result<NodeClient, LinkError> {
        if let Some(mut client) = self.lines.take(node)
            && publish(&mut client).await.is_ok()
        {
            return Ok(client);
        }
        let mut client = self.lines.connect(node).await?;
        publish(&mut client).await?;
        Ok(client)
    }
}

/// Ends when the client has left, and what it may still read has had its time; never where nobody tells.
pub(super) async fn gone(left: Option<oneshot::Receiver<()>>) {
    let Some(left) = left else { return std::future::pending().await };
    // The worker only ever drops its end.
    let _ = left.await;
    tokio::time::sleep(LEFT_MAX).await;
}

/// Moves the connection's own place in the replication stream behind all that was written so far.
async fn publish(client: &mut NodeClient) -> Result<(), LinkError> {
    match client.call(&[b"SPUBLISH", CHANNEL, b""]).await {
        // Before Redis 7 there were no sharded channels.
        Err(LinkError::Refused(_)) => client.call(&[b"PUBLISH", CHANNEL, b""]).await.map(drop),
        outcome => outcome.map(drop),
    }
}

impl Waiter {
    async fn wait(
        mut self,
        lines: Lines,
        goal: WaitGoal,
        time: Duration,
    ) -> Result<(Waiter, Reached), WaitError> {
        let reached = match &mut self.named {
            Some(named) => named.wait(&mut self.client, &lines, goal, time).await,
            None => reached::ask(&mut self.client, goal, time).await,
        };
        match reached {
            Ok(reached) => Ok((self, reached)),
            Err(error) => Err(WaitError::at(self.node, error)),
        }
    }

    fn end(self, lines: &Lines) {
        lines.put(self.node, self.client);
        if let Some(named) = self.named {
            named.end(lines);
        }
    }
}

impl WaitError {
    fn at(node: Address, error: LinkError) -> WaitError {
        match error {
            LinkError::Refused(error) => WaitError::Refused(error),
            error => WaitError::Node(node, error),
        }
    }
}
