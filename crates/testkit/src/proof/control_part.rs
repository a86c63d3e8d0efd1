//! A part of the control plane dies, and clients do not notice it.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::figure::{Bound, Figure, Requests, milliseconds};
use super::load::{Load, longest_gap};
use crate::managed::service::Service;
use crate::managed::{Brokers, ManagedCluster, ManagedOptions};
use crate::stalls::StallWatch;

/// The cluster that clients write to.
const CLUSTER: &str = "control-part";
/// How many hosts it has.
const HOSTS: usize = 4;
/// How long clients write before and after the death: three times as long as a lease.
const AROUND: Duration = Duration::from_millis(1_200);
/// Between two writes of a client.
const PAUSE: Duration = Duration::from_millis(1);

/// Who dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlPart {
    /// The coordinators of two, in turn.
    OneCoordinator,
    /// The only coordinator.
    OnlyCoordinator,
    /// The brokers of two on one etcd, in turn.
    OneBroker,
    /// The only broker, whose metadata is in a file.
    OnlyBroker,
}

impl ControlPart {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::OneCoordinator, Self::OnlyCoordinator, Self::OneBroker, Self::OnlyBroker];

    /// What died, in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::OneCoordinator => "a coordinator of two killed",
            Self::OnlyCoordinator => "the only coordinator killed",
            Self::OneBroker => "a broker of two killed",
            Self::OnlyBroker => "the only broker killed",
        }
    }

    fn options(self) -> ManagedOptions {
        let (coordinators, brokers) = match self {
            Self::OneCoordinator => (2, Brokers::Embedded),
            Self::OnlyCoordinator | Self::OnlyBroker => (1, Brokers::Embedded),
            Self::OneBroker => (2, Brokers::OnEtcd(2)),
        };
        ManagedOptions { coordinators, brokers, ..ManagedOptions::of(HOSTS) }
    }

    fn of(self, cluster: &mut ManagedCluster, run: usize) -> &mut Service {
        let services = match self {
            Self::OneCoordinator | Self::OnlyCoordinator => &mut cluster.coordinators,
            Self::OneBroker | Self::OnlyBroker => &mut cluster.brokers,
        };
        let number = run % services.len();
        &mut services[number]
    }
}

/// Kills it again and again under writers of every shard; it is started again, and all is whole, in between. The times
/// are the longest gaps between two writes of a client since the death. `tell` is given a line for each run.
///
/// # Errors
/// When the cluster does not become whole again.
///
/// # Panics
/// When `runs` is 0.
pub fn measure(part: ControlPart, runs: usize, tell: &dyn Fn(&str)) -> Result<Figure> {
    let mut cluster = ManagedCluster::with_cluster(&part.options(), CLUSTER, HOSTS)?;
    let mut stalls = StallWatch::start();
    let (mut gaps, mut requests, mut late) = (Vec::new(), Requests::default(), Duration::ZERO);
    for run in 0..runs {
        cluster.wait_attached(CLUSTER)?;
        let keys = cluster.shards(CLUSTER)?.into_iter().map(|shard| shard.key("part", run));
        let keys = keys.collect::<Result<Vec<_>>>()?;
        stalls.begin(&[]);
        let load = Load::paced(&cluster.proxies(), keys, PAUSE);
        std::thread::sleep(AROUND);
        let died = Instant::now();
        part.of(&mut cluster, run).kill();
        std::thread::sleep(AROUND);
        let written = load.stop();
        late = late.max(stalls.longest());
        let gap = written.values().map(|written| longest_gap(written, died)).max().unwrap_or(Duration::MAX);
        let made = written.values().map(Vec::len).sum::<usize>();
        let failed = written.values().flatten().filter_map(|write| write.error.as_ref());
        let (refused, first) = (failed.clone().count(), failed.clone().next());
        let why = first.map(|error| format!(", the first with {error}")).unwrap_or_default();
        tell(&format!(
            "{}, run {run}: longest gap {} ms, {made} requests, {refused} refused{why}",
            part.words(),
            milliseconds(gap)
        ));
        gaps.push(gap);
        requests = Requests { made: requests.made + made, refused: requests.refused + refused };
        let service = part.of(&mut cluster, run);
        service.restart()?;
        service.wait_listening()?;
        cluster.wait_whole(CLUSTER)?;
    }
    let figure = Figure::of(part.words().to_owned(), "longest gap between two writes", runs, &gaps);
    // A gap as long as a lease would be felt.
    let bound = Bound { p50_ms_max: None, worst_ms_max: 400 };
    let machine_late_ms = milliseconds(late);
    Ok(Figure { bound: Some(bound), requests: Some(requests), machine_late_ms, ..figure })
}
