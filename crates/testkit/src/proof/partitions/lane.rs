//! One cluster in a network of its own, to which one partition after the other happens.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::kind::{Beside, Cut, Kind};
use super::plan::{PartitionsPlan, WritesTo};
use super::report::Seen;
use crate::chaos::network::{Direction, Network};
use crate::managed::service::Place;
use crate::managed::shard::ShardPlace;
use crate::managed::{ManagedCluster, ManagedOptions};
use crate::proof::first_write;
use crate::proof::writers::Writers;
use crate::stranger;

/// The cluster that is cut.
const CLUSTER: &str = "partitions";
/// The two hosts of the cluster come first.
const HOSTS: usize = 2;
/// Where brokers and coordinators are.
const CONTROL: usize = 2;
/// Where this thread and its clients are.
const CLIENTS: usize = 3;

/// Clients that keep writing to the old primary.
const WRITERS: usize = 3;
/// How many of their writes it takes before it is cut off.
const WRITES_BEFORE: usize = 20 * WRITERS;
/// How long a partition may last until its replacement takes a write.
const REPLACED_LIMIT: Duration = Duration::from_secs(6);
/// One partition of so many ends by itself before anybody is replaced, or just then.
const SHORT_OF: u64 = 4;
/// How long such a one lasts, in milliseconds.
const SHORT_MS: std::ops::Range<u64> = 150..900;
/// How long another goes on after the replacement has taken a write, in milliseconds.
const HELD_MS: std::ops::Range<u64> = 0..600;
/// How long it is cut off where nobody takes over, in milliseconds.
const ALONE_MS: std::ops::Range<u64> = 300..1_200;
/// When something hangs, from the beginning of the partition, and for how long, in milliseconds.
const HANG_AFTER_MS: std::ops::Range<u64> = 0..400;
const HANG_MS: std::ops::Range<u64> = 100..900;
/// How long clients go on after the partition.
const AFTER: Duration = Duration::from_millis(400);

/// What is left open by the kind of a partition.
struct Course {
    hang_after: Duration,
    hang: Duration,
    /// How long the partition lasts by itself; it ends when the replacement has taken a write otherwise.
    lasts: Option<Duration>,
    held: Duration,
}

impl Course {
    fn of(kind: Kind, dice: &mut StdRng) -> Self {
        let mut pick = |range: std::ops::Range<u64>| Duration::from_millis(dice.random_range(range));
        let (hang_after, hang, held) = (pick(HANG_AFTER_MS), pick(HANG_MS), pick(HELD_MS));
        let (short, alone) = (pick(SHORT_MS), pick(ALONE_MS));
        let is_short = pick(0..SHORT_OF).is_zero();
        let lasts = if kind.cut.is_replaced() { is_short.then_some(short) } else { Some(alone) };
        Self { hang_after, hang, lasts, held }
    }
}

pub(super) struct Lane {
    // The processes go before the network that they are in.
    cluster: ManagedCluster,
    network: Network,
}

impl Lane {
    /// Starts a network and a cluster in it, and moves this thread to its clients' host.
    pub(super) fn start() -> Result<Self> {
        let network = Network::start(CLIENTS + 1)?;
        network.enter(CLIENTS)?;
        let place = |host| Place { ip: network.address(host), launcher: network.launcher(host) };
        // Primaries stay where they are: none goes home in the middle of the next partition.
        let mut options = ManagedOptions::of(HOSTS).coordinator("balance_quiet_ms", "600000");
        options.hosts = (0..HOSTS).map(place).collect();
        options.control = place(CONTROL);
        options.coordinators = 2;
        let cluster = ManagedCluster::with_cluster(&options, CLUSTER, HOSTS)?;
        Ok(Self { cluster, network })
    }

    /// One partition, from a whole cluster to a whole cluster.
    pub(super) fn run(&mut self, plan: &PartitionsPlan, run: usize) -> Result<Seen> {
        let begun = Instant::now();
        let kind = plan.kinds[run % plan.kinds.len()];
        let course =
            Course::of(kind, &mut StdRng::seed_from_u64(plan.seed.wrapping_add(u64::try_from(run)?)));
        self.cluster.wait_attached(CLUSTER)?;
        let mut shards = self.cluster.shards(CLUSTER)?;
        let shard = shards.swap_remove(run % shards.len());
        let stranger = match kind.beside {
            Beside::ExtraReplica => {
                Some(stranger::copy(&self.cluster, shard.primary, &self.beside_clients())?)
            }
            Beside::Impostor => Some(stranger::impostor(&self.cluster, &shard, &self.beside_clients())?),
            _ => None,
        };
        let key = |number: usize| shard.key("partition", run * 100 + number);
        let keys = (0..WRITERS).map(key).collect::<Result<Vec<_>>>()?;
        let host = &self.cluster.hosts[shard.primary.host];
        let old = match plan.writes_to {
            WritesTo::Proxy => host.proxy.address(),
            WritesTo::Node => host.nodes[shard.primary.node].address(),
        };
        let (new, new_key) = (self.cluster.hosts[shard.replica.host].proxy.address(), key(WRITERS)?);
        let writers = Writers::start(old, keys);
        writers.wait_taken(WRITES_BEFORE)?;
        let cut = Instant::now();
        self.begin(kind.cut, &shard)?;
        // A partition that ends by itself may have nobody replaced. After it, that is soon clear.
        let limit = course.lasts.map_or(REPLACED_LIMIT, |lasts| lasts + Duration::from_secs(1));
        let replacing = std::thread::spawn(move || first_write(new, &new_key, cut, limit).ok());
        self.hang(kind.beside, &course, &shard)?;
        let join = |replacing: std::thread::JoinHandle<_>| {
            replacing.join().map_err(|_| anyhow!("the client of the replacement panicked"))
        };
        let took = if let Some(lasts) = course.lasts {
            std::thread::sleep(lasts.saturating_sub(cut.elapsed()));
            self.end(kind.cut, &shard)?;
            join(replacing)?
        } else {
            let took = join(replacing)?;
            std::thread::sleep(course.held);
            self.end(kind.cut, &shard)?;
            took
        };
        std::thread::sleep(AFTER);
        let taken = writers.stop();
        // Begun before or after, carried out or not: nobody is told OK once another takes writes.
        let late = took.map_or(0, |took| taken.iter().filter(|write| write.returned > cut + took).count());
        let during = taken.iter().filter(|write| write.called > cut).count();
        drop(stranger);
        let context = || format!("after partition {run}, {kind}");
        self.cluster.wait_whole(CLUSTER).with_context(context)?;
        let is_short = kind.cut.is_replaced() && course.lasts.is_some();
        Ok(Seen { kind, is_short, replaced: took, taken: taken.len(), during, late, whole: begun.elapsed() })
    }

    fn beside_clients(&self) -> Place {
        Place { ip: self.network.address(CLIENTS), launcher: self.network.launcher(CLIENTS) }
    }

    fn begin(&mut self, cut: Cut, shard: &ShardPlace) -> Result<()> {
        let host = &mut self.cluster.hosts[shard.primary.host];
        match cut {
            Cut::NodeFrozen => host.nodes[shard.primary.node].process().freeze(),
            Cut::ProxyFrozen => host.proxy.process().freeze(),
            Cut::HostFrozen => host.freeze(),
            Cut::HostPaused => {
                host.freeze()?;
                self.lines(cut, shard, true)
            }
            Cut::Coordinators(_) | Cut::Replica(_) | Cut::Both(_) => self.lines(cut, shard, true),
        }
    }

    fn end(&mut self, cut: Cut, shard: &ShardPlace) -> Result<()> {
        let host = &mut self.cluster.hosts[shard.primary.host];
        match cut {
            Cut::NodeFrozen => host.nodes[shard.primary.node].process().thaw(),
            Cut::ProxyFrozen => host.proxy.process().thaw(),
            Cut::HostFrozen => host.thaw(),
            Cut::HostPaused => {
                host.thaw()?;
                self.lines(cut, shard, false)
            }
            Cut::Coordinators(_) | Cut::Replica(_) | Cut::Both(_) => self.lines(cut, shard, false),
        }
    }

    /// Cuts the lines of the primary's host, or mends them.
    fn lines(&self, cut: Cut, shard: &ShardPlace, is_cut: bool) -> Result<()> {
        let (host, other) = (shard.primary.host, shard.replica.host);
        let (others, direction) = match cut {
            Cut::Coordinators(direction) => (vec![CONTROL], direction),
            Cut::Replica(direction) => (vec![other], direction),
            Cut::Both(direction) => (vec![CONTROL, other], direction),
            _ => (vec![CONTROL, other, CLIENTS], Direction::Both),
        };
        self.network.isolate(host, &others, direction, is_cut)
    }

    /// Has a Redis server hang for a moment, where one is to.
    fn hang(&mut self, beside: Beside, course: &Course, shard: &ShardPlace) -> Result<()> {
        let place = match beside {
            Beside::Nothing | Beside::ExtraReplica | Beside::Impostor => return Ok(()),
            Beside::HangingReplica => shard.replica,
            Beside::HangingNode => shard.primary,
        };
        let node = &mut self.cluster.hosts[place.host].nodes[place.node];
        std::thread::sleep(course.hang_after);
        node.process().freeze()?;
        std::thread::sleep(course.hang);
        node.process().thaw()
    }
}
