//! What one change costs when the metadata is large.
//!
//! BROKER_PROXIES and BROKER_CLUSTERS set how large; the figures are printed. docs/broker.md has those of a large
//! one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use control::broker::open_metadata;
use control::store::{Embedded, Metadata};
use control_core::{
    Command, FinishedMigration, Half, MigrationOutcome, NewProxy, ReporterId, State, TimeMs, apply,
};
use model::{Address, Epoch, MigrationMeta, SlotRanges};

use super::fixture::{EtcdServer, number_from_environment, on_etcd};

const PROXIES_DEFAULT: usize = 1000;
const CLUSTERS_DEFAULT: usize = 100;
/// How many changes are timed one after the other, and how many at once.
const ALONE: usize = 50;
const TOGETHER: usize = 640;
/// No single change may take so long, however slow the machine is: what this finds is work that grows with the
/// square of the metadata.
const CHANGE_MAX: Duration = Duration::from_secs(1);

fn proxy(number: usize) -> Address {
    Address::new(&format!("127.{}.{}.{}", 1 + number / 62500, number / 250 % 250, number % 250), 5299)
        .unwrap()
}

fn register(number: usize) -> Command {
    let address = proxy(number);
    let node = |port| Address::new(address.host(), port).unwrap();
    let nodes = vec![node(6379), node(6380)];
    Command::RegisterProxy(NewProxy { address, nodes, host: None, index: None })
}

fn create(number: usize, node_number: usize) -> Command {
    let cluster = format!("cluster-{number}").parse().unwrap();
    Command::CreateCluster { cluster, node_number, config: BTreeMap::new(), now: TimeMs(1) }
}

/// Four fifths of the proxies are in clusters of the same size.
fn large(proxies: usize, clusters: usize) -> State {
    let mut state = State::default();
    for number in 0..proxies {
        apply(&mut state, register(number)).unwrap();
    }
    let chunks = (proxies * 2 / 5 / clusters).max(1);
    for number in 0..clusters {
        apply(&mut state, create(number, chunks * 4)).unwrap();
    }
    state
}

fn report(number: usize) -> Command {
    let reporter = ReporterId(format!("coordinator-{}", number % 3));
    Command::ReportFailure { proxy: proxy(number), reporter, now: TimeMs(2) }
}

fn configure(number: usize, clusters: usize) -> Command {
    let value = if number.is_multiple_of(2) { "allow_all" } else { "disabled" };
    let fields = BTreeMap::from([("compression_strategy".to_owned(), value.to_owned())]);
    Command::SetConfig { cluster: format!("cluster-{}", number % clusters).parse().unwrap(), fields }
}

async fn time_alone(metadata: &Metadata, what: &str, command: impl Fn(usize) -> Command) {
    let mut times = Vec::with_capacity(ALONE);
    for number in 0..ALONE {
        let began = Instant::now();
        metadata.change(command(number)).await.unwrap();
        times.push(began.elapsed());
    }
    times.sort();
    let (middle, worst) = (times[ALONE / 2], times[ALONE - 1]);
    println!("{what}, one after the other: {middle:.2?} each, {worst:.2?} at worst");
    assert!(middle < CHANGE_MAX, "{what}: {times:?}");
}

async fn time_together(metadata: &Metadata, what: &str, command: impl Fn(usize) -> Command) {
    let began = Instant::now();
    let mut changes = tokio::task::JoinSet::new();
    for number in 0..TOGETHER {
        let (metadata, command) = (metadata.clone(), command(number));
        changes.spawn(async move { metadata.change(command).await.unwrap() });
    }
    changes.join_all().await;
    let each = began.elapsed() / u32::try_from(TOGETHER).unwrap();
    println!("{what}, {TOGETHER} at once: {each:.2?} each");
    assert!(each < CHANGE_MAX, "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_large_metadata() {
    let proxies = number_from_environment("BROKER_PROXIES", PROXIES_DEFAULT);
    let clusters = number_from_environment("BROKER_CLUSTERS", CLUSTERS_DEFAULT);
    let folder = tempfile::tempdir().unwrap();
    let metadata = Metadata::open(Embedded::open(&folder.path().join("m.redb")).unwrap()).await.unwrap();
    let began = Instant::now();
    let state = large(proxies, clusters);
    println!("{proxies} proxies, {clusters} clusters: made in {:.2?}", began.elapsed());
    let began = Instant::now();
    metadata.change(Command::Restore(Box::new(state))).await.unwrap();
    println!("restored in {:.2?}", began.elapsed());
    let names: Vec<_> = metadata.snapshot().state.clusters.keys().cloned().collect();
    for cluster in names {
        metadata
            .change(Command::TrustMetadata {
                cluster,
                highest: Epoch(0),
                deposed: BTreeMap::new(),
                now: TimeMs(0),
            })
            .await
            .unwrap();
    }
    time_alone(&metadata, "a failure report", report).await;
    time_alone(&metadata, "a cluster's setting", |number| configure(number, clusters)).await;
    time_alone(&metadata, "a new proxy", |number| register(proxies + number)).await;
    time_together(&metadata, "a failure report", report).await;
    time_together(&metadata, "a cluster's setting", |number| configure(number, clusters)).await;
    let began = Instant::now();
    let dump = serde_json::to_vec(&metadata.snapshot().state).unwrap();
    println!("a dump: {} KiB in {:.2?}", dump.len() / 1024, began.elapsed());
    metadata.snapshot().state.check().unwrap();
}

/// A thousand clusters with all that they remember go into etcd as one change, and another broker reads them there. etcd
/// refuses a request of more than 1.5 MB, and a transaction of more than 128 operations.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_dump_fits_into_etcd() {
    let etcd = EtcdServer::start().await;
    let mut state = large(10_000, 1_000);
    let epoch = state.global_epoch;
    for cluster in state.clusters.values_mut() {
        let chunk = &cluster.chunks[0];
        let [first, second] = Half::BOTH.map(|shard| chunk.primary(shard).clone());
        let done = |number: usize| FinishedMigration {
            ranges: SlotRanges::all(),
            meta: MigrationMeta {
                epoch: Epoch(epoch.0 - u64::try_from(number).unwrap()),
                source_proxy: chunk.proxies[0].clone(),
                source_node: first.clone(),
                target_proxy: chunk.proxies[1].clone(),
                target_node: second.clone(),
            },
            outcome: MigrationOutcome::Committed,
            epoch,
        };
        cluster.finished = (0..16).map(done).collect();
    }
    let metadata = open_metadata(&on_etcd(&etcd)).await.unwrap();
    let began = Instant::now();
    metadata.change(Command::Restore(Box::new(state.clone()))).await.unwrap();
    println!("restored into etcd in {:.2?}", began.elapsed());
    let other = open_metadata(&on_etcd(&etcd)).await.unwrap();
    assert_eq!(other.snapshot().state, metadata.snapshot().state);
    assert_eq!(other.snapshot().state.clusters.len(), 1_000);
    // All of it changes once more: the end of a review of everything raises every epoch, too.
    metadata.change(Command::RecoverEpoch { highest: Epoch(1_000_000) }).await.unwrap();
}
