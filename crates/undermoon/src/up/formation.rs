//! From processes to clusters: registers the proxies, has the clusters made, and waits until they serve. All of it
//! by the interfaces that anybody has: the broker's HTTP API, and what proxies and Redis servers answer.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use api::v3::{Cluster, NewProxy};
use api::{BrokerClient, ClientError};
use control_core::{CHUNK_NODES, State, SyncState};
use link::{Link, LinkError, within};
use model::{Address, ClusterName, Role};
use resp::Value;
use service::shutdown::{Phase, Shutdown};
use tokio::runtime::Runtime;

use super::layout::{Layout, host};
use super::supervisor::Supervisor;
use crate::failure::Failure;

/// How long a new cluster may take from start to serving.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How long one with data may take: its servers read them first.
pub(crate) const LOAD_TIMEOUT: Duration = Duration::from_secs(600);

/// How long one look at a proxy or a Redis server may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// What an error answer begins with that may be another one a little later.
const TEMPORARY: [&str; 3] = ["TRY_AGAIN", "LOADING", "CLUSTERDOWN"];

/// The pause between two looks at something that is not ready yet.
const START_POLL: Duration = Duration::from_millis(20);

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is done.
    Done,
    /// This process was told to stop before that.
    Stopped,
}

/// What the steps are made with.
#[derive(Debug)]
pub(crate) struct Formation<'a> {
    /// What is where.
    pub layout: &'a Layout,
    /// The broker.
    pub client: BrokerClient,
    /// Runs the calls to the broker.
    pub runtime: Runtime,
    /// The password of the proxies.
    pub password: Option<String>,
    /// Whether the broker asks for a token even for looking.
    pub has_read_token: bool,
    /// How this process learns that it is to end.
    pub shutdown: Shutdown,
    /// When all must serve.
    pub deadline: Instant,
}

impl Formation<'_> {
    /// Waits until every Redis server has read its data, and every proxy answers. Broker and coordinator are started
    /// after that, so that no start that takes its time looks like a failure.
    pub(crate) fn wait_for_proxies(&self, supervisor: &mut Supervisor) -> Result<Step, Failure> {
        for (_, _, node) in self.layout.nodes() {
            if self.wait(supervisor, || self.look(has_loaded(&node)))? == Step::Stopped {
                return Ok(Step::Stopped);
            }
        }
        for proxy in &self.layout.proxies {
            let answers =
                || Ok(self.runtime.block_on(connect(&proxy.address(), self.password())).map(drop)?);
            if self.wait(supervisor, answers)? == Step::Stopped {
                return Ok(Step::Stopped);
            }
        }
        Ok(Step::Done)
    }

    /// Registers what is not registered, and makes the clusters that are not there.
    pub(crate) fn form(&self, supervisor: &mut Supervisor) -> Result<Step, Failure> {
        if self.wait(supervisor, || Ok(self.call(self.client.health()).map(drop)?))? == Step::Stopped {
            return Ok(Step::Stopped);
        }
        for (place, proxy) in self.layout.proxies.iter().enumerate() {
            let new = NewProxy {
                proxy_address: proxy.address(),
                nodes: proxy.nodes().to_vec(),
                host: Some(host(place)),
                index: None,
            };
            if self.wait(supervisor, || unless_there(self.call(self.client.add_proxy(&new))))?
                == Step::Stopped
            {
                return Ok(Step::Stopped);
            }
        }
        let nodes = usize::from(self.layout.shape.chunks) * CHUNK_NODES;
        for name in self.layout.clusters() {
            let create = || unless_there(self.call(self.client.create_cluster(&name, nodes)));
            if self.wait(supervisor, create)? == Step::Stopped {
                return Ok(Step::Stopped);
            }
        }
        Ok(Step::Done)
    }

    /// Waits until every slot of every cluster is served, and every replica could take over.
    pub(crate) fn wait_until_served(&self, supervisor: &mut Supervisor) -> Result<Step, Failure> {
        for name in self.layout.clusters() {
            if self.wait(supervisor, || self.serves(&name))? == Step::Stopped {
                return Ok(Step::Stopped);
            }
        }
        Ok(Step::Done)
    }

    /// A cluster as the broker has it now.
    pub(crate) fn cluster(&self, name: &ClusterName) -> anyhow::Result<Cluster> {
        self.call(self.client.cluster(name))?.with_context(|| format!("there is no cluster {name}"))
    }

    fn serves(&self, name: &ClusterName) -> anyhow::Result<()> {
        let state = self.call(self.client.metadata::<State>())?;
        let chunks = state.clusters.get(name).map_or(&[][..], |cluster| &cluster.chunks);
        let mut shards = chunks.iter().flat_map(|chunk| &chunk.shards);
        if let Some(shard) = shards.find(|shard| shard.replica != SyncState::InSync || shard.fence.is_some())
        {
            bail!("the replica of slots {} is not known to be in sync yet", shard.slots);
        }
        for node in self.cluster(name)?.nodes {
            if node.repl.role == Role::Replica {
                self.look(follows(&node.address))?;
            } else {
                self.look(serves(&node.proxy_address, self.password()))?;
            }
        }
        Ok(())
    }

    fn call<T>(&self, call: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
        self.runtime.block_on(call)
    }

    fn look(&self, look: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
        self.runtime.block_on(look)
    }

    fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// Tries a step until it succeeds. An error when it is refused for good, a process ends meanwhile, or the
    /// deadline passes.
    fn wait(
        &self,
        supervisor: &mut Supervisor,
        mut step: impl FnMut() -> anyhow::Result<()>,
    ) -> Result<Step, Failure> {
        loop {
            if self.shutdown.phase() != Phase::Running {
                return Ok(Step::Stopped);
            }
            supervisor.check()?;
            match step() {
                Ok(()) => return Ok(Step::Done),
                Err(error) if is_final(&error) => return Err(error.into()),
                Err(error) if Instant::now() >= self.deadline => {
                    return Err(error.context("this takes too long").into());
                }
                Err(_) => std::thread::sleep(START_POLL),
            }
        }
    }
}

/// Whether an error is an answer that will be the same next time.
fn is_final(error: &anyhow::Error) -> bool {
    let of_server = |cause: &(dyn std::error::Error + 'static)| match cause.downcast_ref::<LinkError>() {
        Some(LinkError::Refused(text)) => Some(!TEMPORARY.iter().any(|code| text.starts_with(code))),
        _ => None,
    };
    let of_broker = |cause: &(dyn std::error::Error + 'static)| match cause.downcast_ref::<ClientError>() {
        Some(ClientError::Refused { status, .. }) => Some(*status < 500 && *status != 409),
        _ => None,
    };
    error.chain().find_map(|cause| of_server(cause).or_else(|| of_broker(cause))).unwrap_or(false)
}

/// That something exists already is as good as having made it: an earlier start may have, or a lost answer.
fn unless_there(outcome: Result<(), ClientError>) -> anyhow::Result<()> {
    match outcome {
        Err(error) if error.code() == Some("ALREADY_EXISTED") => Ok(()),
        other => Ok(other?),
    }
}

async fn connect(server: &Address, password: Option<&str>) -> Result<Link, LinkError> {
    Link::connect(server, password.map(str::as_bytes), within(LOOK_TIMEOUT)).await
}

/// Whether a Redis server has read its data. It is asked by INFO: as a replica of nobody it refuses PING.
async fn has_loaded(node: &Address) -> anyhow::Result<()> {
    let info = connect(node, None).await?.ask(&[b"INFO", b"persistence"], within(LOOK_TIMEOUT)).await?;
    if info.text()?.contains("loading:0") { Ok(()) } else { bail!("{node} is reading its data") }
}

/// Whether a replica follows its primary.
async fn follows(node: &Address) -> anyhow::Result<()> {
    let info = connect(node, None).await?.ask(&[b"INFO", b"replication"], within(LOOK_TIMEOUT)).await?;
    if info.text()?.contains("master_link_status:up") {
        Ok(())
    } else {
        bail!("the replica {node} does not follow yet")
    }
}

/// Whether a proxy serves, and sees the whole cluster served.
async fn serves(proxy: &Address, password: Option<&str>) -> anyhow::Result<()> {
    let mut link = connect(proxy, password).await?;
    let ready = link.ask(&[b"UMCTL", b"READY"], within(LOOK_TIMEOUT)).await?;
    if ready.value()? != Value::Integer(1) {
        bail!("proxy {proxy} is not ready");
    }
    let info = link.ask(&[b"CLUSTER", b"INFO"], within(LOOK_TIMEOUT)).await?;
    if !info.text()?.contains("cluster_state:ok") {
        bail!("proxy {proxy} does not see the whole cluster");
    }
    Ok(())
}
