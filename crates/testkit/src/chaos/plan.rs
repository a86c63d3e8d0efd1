//! Which faults come, in which order and for how long: a deck of all kinds, shuffled by the seed again and again.

use std::fmt;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

use super::network::Direction;

/// One in this many faults of data comes together with one of the control plane.
const BESIDE_ONE_IN: u32 = 3;
/// What may come together with a fault of data.
const BESIDE: [(Victim, Harm); 6] = [
    (Victim::Broker, Harm::Kill),
    (Victim::Broker, Harm::Bounce),
    (Victim::Broker, Harm::Freeze),
    (Victim::Coordinator, Harm::Kill),
    (Victim::Coordinator, Harm::Bounce),
    (Victim::Coordinator, Harm::Freeze),
];

/// What a fault befalls. Where a shard has to be chosen, the fault says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// The Redis server that is a shard's primary.
    Primary,
    /// The Redis server that is its replica.
    Replica,
    /// The proxy in front of the primary.
    Proxy,
    /// The primary's host: its proxy and both of its Redis servers.
    Host,
    /// One broker.
    Broker,
    /// One coordinator.
    Coordinator,
    /// All brokers at once.
    Brokers,
    /// All coordinators at once.
    Coordinators,
    /// What the brokers keep the metadata in; only where there is one.
    Etcd,
    /// All brokers, all coordinators and etcd at once.
    ControlPlane,
    /// The line between a shard's primary and its replica, which everybody else still reaches.
    Link,
    /// The cluster, as an operator changes it.
    Cluster,
}

/// What befalls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// SIGKILL; started again when the fault ends.
    Kill,
    /// SIGKILL, and started again at once.
    Bounce,
    /// SIGSTOP; SIGCONT when the fault ends.
    Freeze,
    /// Its packets are lost, in these directions, seen from the primary; only for hosts, lines and the control plane.
    Cut(Direction),
    /// As `Cut` in both directions, but clients still reach it: what tempts a primary to serve on alone.
    CutFromCluster,
    /// Nothing is harmed: an operator has the replica take over.
    HandOver,
    /// Nothing is harmed: the cluster gets a chunk of the pool, and gives it back when the fault ends.
    Grow,
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it befalls.
    pub victim: Victim,
    /// What it does.
    pub harm: Harm,
    /// Which shard, broker or coordinator: taken modulo their number.
    pub choice: usize,
    /// How long it lasts.
    pub lasts: Duration,
    /// What befalls one broker or coordinator at the same time, and lasts as long.
    pub beside: Option<(Victim, Harm)>,
}

impl Fault {
    /// A fault with nothing beside it.
    #[must_use]
    pub const fn alone(victim: Victim, harm: Harm, choice: usize, lasts: Duration) -> Self {
        Self { victim, harm, choice, lasts, beside: None }
    }
}

impl Victim {
    /// Whether it is none of the control plane's.
    const fn is_of_data(self) -> bool {
        matches!(self, Self::Primary | Self::Replica | Self::Proxy | Self::Host | Self::Link | Self::Cluster)
    }
}

impl fmt::Display for Victim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
            Self::Proxy => "proxy",
            Self::Host => "host",
            Self::Broker => "broker",
            Self::Coordinator => "coordinator",
            Self::Brokers => "all brokers",
            Self::Coordinators => "all coordinators",
            Self::Etcd => "etcd",
            Self::ControlPlane => "control plane",
            Self::Link => "link",
            Self::Cluster => "cluster",
        })
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Kill => "killed",
            Self::Bounce => "killed and started",
            Self::Freeze => "frozen",
            Self::Cut(Direction::Both) => "cut off",
            Self::Cut(Direction::Outgoing) => "cut off outgoing",
            Self::Cut(Direction::Incoming) => "cut off incoming",
            Self::CutFromCluster => "cut off from all but clients",
            Self::HandOver => "handed over",
            Self::Grow => "grown",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.victim, self.harm)?;
        if let Some((victim, harm)) = self.beside {
            write!(formatter, " + {victim} {harm}")?;
        }
        if self.harm == Harm::Bounce { Ok(()) } else { write!(formatter, ", {} ms", self.lasts.as_millis()) }
    }
}

/// What there is to be harmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scene {
    /// A network between the hosts.
    pub network: bool,
    /// An etcd.
    pub etcd: bool,
    /// Two hosts in the pool, so that the cluster can grow by a chunk.
    pub can_grow: bool,
}

impl Scene {
    /// Whether such a fault can happen.
    #[must_use]
    pub fn allows(self, victim: Victim, harm: Harm) -> bool {
        (self.network || !harm.cuts())
            && (self.etcd || victim != Victim::Etcd)
            && (self.can_grow || harm != Harm::Grow)
    }
}

/// An endless row of faults.
#[derive(Debug)]
pub struct Plan {
    random: StdRng,
    kinds: Vec<(Victim, Harm)>,
    deck: Vec<(Victim, Harm)>,
}

impl Plan {
    /// The row that `seed` decides, of what can happen there.
    #[must_use]
    pub fn new(seed: u64, scene: Scene) -> Self {
        let kinds = kinds().into_iter().filter(|(victim, harm)| scene.allows(*victim, *harm)).collect();
        Self { random: StdRng::seed_from_u64(seed), kinds, deck: Vec::new() }
    }
}

impl Harm {
    /// Whether it takes a network between the hosts.
    #[must_use]
    pub fn cuts(self) -> bool {
        matches!(self, Self::Cut(_) | Self::CutFromCluster)
    }

    /// Whether it is nothing but an operator's order.
    #[must_use]
    pub fn is_order(self) -> bool {
        matches!(self, Self::HandOver | Self::Grow)
    }

    /// The shortest and the longest time that it lasts, in milliseconds.
    fn lasts_ms(self) -> (u64, u64) {
        match self {
            Self::Bounce => (0, 1),
            Self::Freeze => (200, 5000),
            Self::Kill => (500, 5000),
            Self::HandOver => (100, 1000),
            Self::Grow => (500, 3000),
            Self::Cut(_) | Self::CutFromCluster => (500, 8000),
        }
    }
}

impl Iterator for Plan {
    type Item = Fault;

    fn next(&mut self) -> Option<Fault> {
        if self.deck.is_empty() {
            self.deck.clone_from(&self.kinds);
            self.deck.shuffle(&mut self.random);
        }
        let (victim, harm) = self.deck.pop()?;
        let (least, most) = harm.lasts_ms();
        let lasts = Duration::from_millis(self.random.random_range(least..most));
        let mut fault = Fault::alone(victim, harm, self.random.random_range(0..64), lasts);
        if victim.is_of_data() && self.random.random_range(0..BESIDE_ONE_IN) == 0 {
            fault.beside = BESIDE.choose(&mut self.random).copied();
        }
        Some(fault)
    }
}

/// Every kind of fault.
fn kinds() -> Vec<(Victim, Harm)> {
    use Direction::{Both, Incoming, Outgoing};
    use Harm::{Bounce, Cut, CutFromCluster, Freeze, Grow, HandOver, Kill};
    use Victim::{Broker, Coordinator, Etcd, Primary, Proxy, Replica};
    let mut kinds = vec![(Primary, HandOver), (Victim::Cluster, Grow)];
    for victim in [Primary, Replica, Proxy, Broker, Coordinator, Etcd] {
        kinds.extend([Kill, Bounce, Freeze].map(|harm| (victim, harm)));
    }
    let host = [Kill, Freeze, Cut(Both), Cut(Outgoing), Cut(Incoming), CutFromCluster];
    kinds.extend(host.map(|harm| (Victim::Host, harm)));
    kinds.extend([Cut(Both), Cut(Outgoing), Cut(Incoming)].map(|harm| (Victim::Link, harm)));
    for victim in [Victim::Brokers, Victim::Coordinators] {
        kinds.extend([Kill, Freeze].map(|harm| (victim, harm)));
    }
    kinds.extend([Kill, Freeze, Cut(Both)].map(|harm| (Victim::ControlPlane, harm)));
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_and_every_kind_comes() {
        let all = Scene { network: true, etcd: true, can_grow: true };
        let row = |seed, scene| Plan::new(seed, scene).take(kinds().len()).collect::<Vec<_>>();
        assert_eq!(row(1, all), row(1, all));
        assert_ne!(row(1, all), row(2, all));
        for kind in kinds() {
            assert!(row(3, all).iter().any(|fault| (fault.victim, fault.harm) == kind), "{kind:?}");
        }
        let none = Scene { network: false, etcd: false, can_grow: false };
        let is_possible =
            |fault: &Fault| !fault.harm.cuts() && fault.victim != Victim::Etcd && fault.harm != Harm::Grow;
        assert!(row(3, none).iter().all(is_possible));
    }
}
