//! Follows the metadata while a run goes on: who owned each shard, and whether it took over with what it had.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use api::v4::{StateAnswer, StateMark};
use api::{BrokerClient, ClientOptions, Endpoint};
use control_core::{Cluster, ShardId, State};
use model::{Address, ClusterName, Slot};

use super::judge::{Ownership, ShardRecord};
use super::network::Entrance;
use super::workload::Clock;

/// How long one question to a broker waits for news.
const NEWS_WAIT: Duration = Duration::from_millis(500);
/// How long one call may take, waiting included.
const CALL_LIMIT: Duration = Duration::from_secs(2);
/// How many events one call asks for.
const EVENTS_EACH: usize = 100;
/// How long it rests after a broker did not answer.
const FAILURE_PAUSE: Duration = Duration::from_millis(50);

/// A running watch.
#[derive(Debug)]
pub struct Watch {
    over: Arc<AtomicBool>,
    shards: Arc<Mutex<Vec<ShardRecord>>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to follow a cluster, whose owners at the beginning are those of `state`.
    ///
    /// # Errors
    /// When there is no such cluster or no client can be made.
    pub fn start(
        brokers: &[SocketAddr],
        (cluster, state): (&ClusterName, &State),
        clock: Clock,
        entrance: Option<Entrance>,
    ) -> Result<Self> {
        let first = state.clusters.get(cluster).context("the cluster is there")?;
        let shards = Arc::new(Mutex::new(beginning(first)?));
        let over = Arc::new(AtomicBool::new(false));
        let endpoint = |broker: &SocketAddr| Ok(broker.to_string().parse::<Endpoint>()?);
        let endpoints = brokers.iter().map(endpoint).collect::<Result<Vec<_>>>()?;
        let options = ClientOptions { timeout: CALL_LIMIT, ..ClientOptions::default() };
        let client = BrokerClient::new(endpoints, &options)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let slots = first.shard_ids().filter_map(|id| first.shard(id).slots.slots().next()).collect();
        let primaries = first.shard_ids().map(|id| primary(first, id)).collect();
        let handed_over = BTreeSet::new();
        let follow = Follow { cluster: cluster.clone(), clock, slots, primaries, handed_over, next: 0 };
        let (seen_over, seen_shards) = (Arc::clone(&over), Arc::clone(&shards));
        let thread = std::thread::spawn(move || {
            if entrance.is_some_and(|entrance| entrance.enter().is_err()) {
                return;
            }
            runtime.block_on(follow.run(&client, &seen_over, &seen_shards));
        });
        Ok(Self { over, shards, thread: Some(thread) })
    }

    /// Ends the watch; what it saw.
    #[must_use]
    pub fn finish(mut self) -> Vec<ShardRecord> {
        self.stop();
        self.shards.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn stop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there was already printed.
            let _ = thread.join();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What is kept between two pictures of the metadata.
struct Follow {
    cluster: ClusterName,
    clock: Clock,
    /// The first slot of each shard, by which it is found: slots stay, and a restored dump may order shards otherwise.
    slots: Vec<Slot>,
    /// The primary of each shard, as last seen.
    primaries: Vec<Address>,
    /// Primaries whose last fence was set so that their replica takes over with everything.
    handed_over: BTreeSet<Address>,
    /// After which event to go on reading.
    next: u64,
}

impl Follow {
    async fn run(mut self, client: &BrokerClient, over: &AtomicBool, shards: &Mutex<Vec<ShardRecord>>) {
        let mut known: Option<StateMark> = None;
        while !over.load(Ordering::Relaxed) {
            let answer = client.state::<State>(known.as_ref(), NEWS_WAIT).await;
            let mark = answer.as_ref().ok().map(StateAnswer::mark);
            if let (Some(mark), Some(known)) = (&mark, &known)
                && mark.history != known.history
            {
                // Another history, after a restore for example, may number its events from the beginning.
                self.next = 0;
            }
            // Events that come after the picture: what led to it is among them.
            let is_read = self.read_events(client).await.is_ok();
            match answer {
                Ok(answer) if is_read => {
                    known = mark;
                    let cluster = answer.state.as_ref().and_then(|state| state.clusters.get(&self.cluster));
                    if let Some(cluster) = cluster {
                        let mut shards = shards.lock().unwrap_or_else(PoisonError::into_inner);
                        self.note(cluster, &mut shards);
                    }
                }
                _ => tokio::time::sleep(FAILURE_PAUSE).await,
            }
        }
    }

    async fn read_events(&mut self, client: &BrokerClient) -> Result<()> {
        loop {
            let page = client.events(self.next, EVENTS_EACH).await?;
            for event in page.events.iter().filter(|event| event.kind == "FenceShard") {
                if let Some(primary) = &event.address {
                    // A later fence of another kind takes the earlier one's place.
                    let is_handover = |words: &String| {
                        // As brokers say it, and as those of version 0.1 from before did (`--other-binary`).
                        ["take over without loss", "(Handover)", "(Planned)"]
                            .iter()
                            .any(|said| words.contains(said))
                    };
                    if event.words.iter().any(is_handover) {
                        self.handed_over.insert(primary.clone());
                    } else {
                        self.handed_over.remove(primary);
                    }
                }
            }
            let is_last = page.events.len() < EVENTS_EACH;
            self.next = page.next;
            if is_last {
                return Ok(());
            }
        }
    }

    fn note(&mut self, cluster: &Cluster, shards: &mut [ShardRecord]) {
        // What is under review may be older than what is served: nothing is done by it.
        if cluster.review {
            return;
        }
        for ((slot, record), last) in self.slots.iter().zip(shards).zip(&mut self.primaries) {
            let mut ids = cluster.shard_ids();
            let Some(id) = ids.find(|id| cluster.shard(*id).slots.contains(*slot)) else { continue };
            let primary = primary(cluster, id);
            if primary == *last {
                continue;
            }
            if let Some(proxy) = socket(cluster.chunks[id.chunk].primary_proxy(id.shard)) {
                // Only a handover is known to lose nothing.
                let may_lose = !self.handed_over.contains(last);
                record.owners.push(Ownership { since: self.clock.now(), proxy, may_lose });
            }
            *last = primary;
        }
    }
}

fn primary(cluster: &Cluster, id: ShardId) -> Address {
    cluster.chunks[id.chunk].primary(id.shard).clone()
}

fn beginning(cluster: &Cluster) -> Result<Vec<ShardRecord>> {
    let record = |id: ShardId| {
        let proxy =
            socket(cluster.chunks[id.chunk].primary_proxy(id.shard)).context("a proxy has an IP address")?;
        let first = Ownership { since: crate::history::Moment(0), proxy, may_lose: false };
        Ok(ShardRecord { slots: cluster.shard(id).slots.count(), owners: vec![first] })
    };
    cluster.shard_ids().map(record).collect()
}

fn socket(address: &Address) -> Option<SocketAddr> {
    address.to_string().parse().ok()
}
