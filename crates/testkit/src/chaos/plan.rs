//! Which faults come, in which order and for how long: a deck of all kinds, shuffled by the seed again and again.

use std::fmt;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

use super::network::Direction;

/// One fault of data in so many comes together with one of the control plane.
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
    /// All brokers and coordinators at once.
    ControlPlane,
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
    /// Its packets are lost, in these directions; only for hosts and the control plane.
    Cut(Direction),
    /// As `Cut` in both directions, but clients still reach it: what tempts a primary to serve on alone.
    CutFromCluster,
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

impl fmt::Display for Victim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
            Self::Proxy => "proxy",
            Self::Host => "host",
            Self::Broker => "broker",
            Self::Coordinator => "coordinator",
            Self::ControlPlane => "control plane",
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

/// An endless row of faults.
#[derive(Debug)]
pub struct Plan {
    random: StdRng,
    kinds: Vec<(Victim, Harm)>,
    deck: Vec<(Victim, Harm)>,
}

impl Plan {
    /// The row that `seed` decides. Without a network between the hosts nothing is cut.
    #[must_use]
    pub fn new(seed: u64, network: bool) -> Self {
        let kinds = kinds().into_iter().filter(|(_, harm)| network || !harm.cuts()).collect();
        Self { random: StdRng::seed_from_u64(seed), kinds, deck: Vec::new() }
    }
}

impl Harm {
    /// Whether it takes a network between the hosts.
    #[must_use]
    pub fn cuts(self) -> bool {
        matches!(self, Self::Cut(_) | Self::CutFromCluster)
    }

    /// The shortest and the longest time that it lasts, in milliseconds.
    fn lasts_ms(self) -> (u64, u64) {
        match self {
            Self::Bounce => (0, 1),
            Self::Freeze => (200, 5000),
            Self::Kill => (500, 5000),
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
        let is_of_data = matches!(victim, Victim::Primary | Victim::Replica | Victim::Proxy | Victim::Host);
        if is_of_data && self.random.random_range(0..BESIDE_ONE_IN) == 0 {
            fault.beside = BESIDE.choose(&mut self.random).copied();
        }
        Some(fault)
    }
}

/// Every kind of fault.
fn kinds() -> Vec<(Victim, Harm)> {
    use Direction::{Both, Incoming, Outgoing};
    use Harm::{Bounce, Cut, CutFromCluster, Freeze, Kill};
    let mut kinds = Vec::new();
    for victim in [Victim::Primary, Victim::Replica, Victim::Proxy, Victim::Broker, Victim::Coordinator] {
        kinds.extend([Kill, Bounce, Freeze].map(|harm| (victim, harm)));
    }
    let host = [Kill, Freeze, Cut(Both), Cut(Outgoing), Cut(Incoming), CutFromCluster];
    kinds.extend(host.map(|harm| (Victim::Host, harm)));
    kinds.extend([Kill, Freeze, Cut(Both)].map(|harm| (Victim::ControlPlane, harm)));
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_and_every_kind_comes() {
        let row = |seed, network| Plan::new(seed, network).take(kinds().len()).collect::<Vec<_>>();
        assert_eq!(row(1, true), row(1, true));
        assert_ne!(row(1, true), row(2, true));
        for kind in kinds() {
            assert!(row(3, true).iter().any(|fault| (fault.victim, fault.harm) == kind), "{kind:?}");
        }
        assert!(row(3, false).iter().all(|fault| !fault.harm.cuts()));
    }
}
