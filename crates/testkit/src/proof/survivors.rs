//! One host of two is dead, and no other can take its place: the survivor serves every slot by its lease alone, and
//! refuses nothing.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use serde::Serialize;

use super::figure::milliseconds;
use super::first_write;
use super::load::{Load, longest_gap};
use crate::managed::service::Service;
use crate::managed::{Brokers, ManagedCluster, ManagedOptions};
use crate::stalls::StallWatch;

/// The cluster of two hosts.
const CLUSTER: &str = "survivor";
/// How long it may take until the survivor takes writes.
const FIRST_WRITE_LIMIT: Duration = Duration::from_secs(30);

/// The control plane of a survivor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetUp {
    /// Where the metadata is kept.
    pub brokers: Brokers,
    /// How many coordinators there are.
    pub coordinators: usize,
}

impl SetUp {
    /// The four that promise it.
    pub const ALL: [Self; 4] = [
        Self { brokers: Brokers::Embedded, coordinators: 1 },
        Self { brokers: Brokers::Embedded, coordinators: 2 },
        Self { brokers: Brokers::OnEtcd(1), coordinators: 1 },
        Self { brokers: Brokers::OnEtcd(2), coordinators: 2 },
    ];
}

impl fmt::Display for SetUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.brokers {
            Brokers::Embedded => f.write_str("embedded store")?,
            Brokers::OnEtcd(1) => f.write_str("etcd, 1 broker")?,
            Brokers::OnEtcd(brokers) => write!(f, "etcd, {brokers} brokers")?,
        }
        let end = if self.coordinators == 1 { "" } else { "s" };
        write!(f, ", {} coordinator{end}", self.coordinators)
    }
}

/// What clients of one survivor saw.
#[derive(Clone, Debug, Serialize)]
pub struct Survived {
    /// Its control plane, in words.
    pub set_up: String,
    /// How long it was written to.
    pub seconds: u64,
    /// From the death of the other host until it took writes for every slot, in milliseconds.
    pub first_write_ms: u64,
    /// How many writes were asked for from then on.
    pub requests: usize,
    /// How many of them were not answered with OK. None may be.
    pub refused: usize,
    /// What the first of them was answered with.
    pub first_refusal: Option<String>,
    /// The longest time between two writes of one client, in milliseconds.
    pub gap_ms_max: u64,
    /// How late a thread of this process, or a Redis server's answer, was at most, in milliseconds.
    pub machine_late_ms: u64,
}

/// What clients of all survivors saw.
#[derive(Clone, Debug, Serialize)]
pub struct Survivors(pub Vec<Survived>);

impl Survivors {
    /// Whether requests were made everywhere, and none refused.
    #[must_use]
    pub fn are_good(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|survived| survived.requests > 0 && survived.refused == 0)
    }
}

/// Kills one host of two, and writes to the other one for so long, each client resting for `pause` after each write.
/// What is late is noted in `stalls`, from when the survivor takes writes.
///
/// # Errors
/// When the cluster does not start, or the survivor takes no writes.
pub fn measure(set_up: SetUp, seconds: u64, pause: Duration, stalls: &mut StallWatch) -> Result<Survived> {
    let SetUp { brokers, coordinators } = set_up;
    let options = ManagedOptions { brokers, coordinators, ..ManagedOptions::of(2) };
    let mut cluster = ManagedCluster::with_cluster(&options, CLUSTER, 2)?;
    let keys = cluster.shards(CLUSTER)?.into_iter().map(|shard| shard.key("survivor", 0));
    let keys = keys.collect::<Result<Vec<_>>>()?;
    cluster.hosts[1].kill();
    let (killed, survivor) = (Instant::now(), cluster.hosts[0].proxy.address());
    for key in &keys {
        first_write(survivor, key, killed, FIRST_WRITE_LIMIT)?;
    }
    let (first_write_ms, begun) = (milliseconds(killed.elapsed()), Instant::now());
    stalls.begin(&cluster.hosts[0].nodes.each_ref().map(Service::address));
    let load = Load::paced(&[survivor], keys, pause);
    std::thread::sleep(Duration::from_secs(seconds));
    let written = load.stop();
    let gap = written.values().map(|written| longest_gap(written, begun)).max().unwrap_or(Duration::MAX);
    let refusals = || written.values().flatten().filter_map(|write| write.error.clone());
    Ok(Survived {
        set_up: set_up.to_string(),
        seconds,
        first_write_ms,
        requests: written.values().map(Vec::len).sum(),
        refused: refusals().count(),
        first_refusal: refusals().next(),
        gap_ms_max: milliseconds(gap),
        machine_late_ms: milliseconds(stalls.longest()),
    })
}

/// All set-ups side by side.
///
/// # Errors
/// The first of theirs.
pub fn side_by_side(set_ups: &[SetUp], seconds: u64, pause: Duration) -> Result<Survivors> {
    let one = |set_up| measure(set_up, seconds, pause, &mut StallWatch::start());
    std::thread::scope(|scope| {
        let running: Vec<_> = set_ups.iter().map(|set_up| scope.spawn(move || one(*set_up))).collect();
        let ends = running.into_iter().map(|one| one.join().map_err(|_| anyhow!("a set-up panicked"))?);
        // All are waited for before any error is told.
        let ends: Vec<_> = ends.collect();
        ends.into_iter().collect::<Result<_>>().map(Survivors)
    })
}

impl fmt::Display for Survivors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| control plane | seconds | first write ms | requests | refused | longest gap ms | machine late ms |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        for survived in &self.0 {
            let Survived { set_up, seconds, first_write_ms, requests, refused, gap_ms_max, .. } = survived;
            let why = survived.first_refusal.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
            let late = survived.machine_late_ms;
            writeln!(
                f,
                "| {set_up} | {seconds} | {first_write_ms} | {requests} | {refused}{why} | {gap_ms_max} | {late} |"
            )?;
        }
        Ok(())
    }
}
