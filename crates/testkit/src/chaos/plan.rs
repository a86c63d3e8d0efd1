//! Which faults come, in which order and for how long: a deck of all kinds, shuffled by the seed again and again.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

use super::credentials::Credential;
use super::kind::{Fault, Harm, Victim};
use super::network::Direction;
use super::trouble::Trouble;

/// One in this many faults of data comes together with one of the control plane.
const BESIDE_ONE_IN: u32 = 3;
/// What may come together with a fault of data; of a shard it befalls the same.
const BESIDE: [(Victim, Harm); 20] = [
    (Victim::Broker, Harm::Kill),
    (Victim::Broker, Harm::Bounce),
    (Victim::Broker, Harm::Freeze),
    (Victim::Coordinator, Harm::Kill),
    (Victim::Coordinator, Harm::Bounce),
    (Victim::Coordinator, Harm::Freeze),
    (Victim::CoordinatorToHost, Harm::Cut(Direction::Both)),
    (Victim::CoordinatorToBrokers, Harm::Cut(Direction::Both)),
    (Victim::Broker, Harm::FullDisk),
    (Victim::Broker, Harm::OtherTime),
    (Victim::Broker, Harm::OtherVersion),
    (Victim::Coordinator, Harm::OtherTime),
    (Victim::Coordinator, Harm::Refused(Credential::ControlPassword)),
    (Victim::Coordinator, Harm::Refused(Credential::WriteToken)),
    (Victim::Primary, Harm::Copied { by_hanging: false }),
    (Victim::Primary, Harm::Copied { by_hanging: true }),
    (Victim::Nodes, Harm::Trouble(Trouble::IdleTimeout)),
    (Victim::Nodes, Harm::Trouble(Trouble::SmallReplicaBuffer)),
    (Victim::Nodes, Harm::Trouble(Trouble::NeedsReplica)),
    (Victim::Nodes, Harm::Trouble(Trouble::LateSync)),
];

/// What there is to be harmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scene {
    /// A network between the hosts.
    pub network: bool,
    /// An etcd.
    pub etcd: bool,
    /// Disks that can be filled.
    pub disks: bool,
    /// A way to shift clocks.
    pub clocks: bool,
    /// Another binary.
    pub other_binary: bool,
    /// Two hosts in the pool, so that the cluster can grow by a chunk.
    pub can_grow: bool,
}

impl Scene {
    /// Whether such a fault can happen.
    #[must_use]
    pub fn allows(self, victim: Victim, harm: Harm) -> bool {
        // On one host proxies take orders without a password.
        let with_password = matches!(
            harm,
            Harm::Refused(Credential::ControlPassword) | Harm::Rotate(Credential::ControlPassword)
        );
        (self.network || !harm.cuts() && !with_password)
            && (self.clocks || harm != Harm::OtherTime)
            && (self.other_binary || harm != Harm::OtherVersion)
            && (self.disks || harm != Harm::FullDisk)
            // Brokers on etcd keep nothing on a disk.
            && !(self.etcd && (victim, harm) == (Victim::Broker, Harm::FullDisk))
            && (self.etcd || victim != Victim::Etcd)
            && (self.can_grow || harm != Harm::Grow)
    }
}

/// An endless row of faults.
#[derive(Debug)]
pub struct Plan {
    random: StdRng,
    scene: Scene,
    kinds: Vec<(Victim, Harm)>,
    deck: Vec<(Victim, Harm)>,
}

impl Plan {
    /// The row that `seed` decides, of what can happen there.
    #[must_use]
    pub fn new(seed: u64, scene: Scene) -> Self {
        let kinds = kinds().into_iter().filter(|(victim, harm)| scene.allows(*victim, *harm)).collect();
        Self { random: StdRng::seed_from_u64(seed), scene, kinds, deck: Vec::new() }
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
            let beside = BESIDE.choose(&mut self.random).copied();
            // The same twice would be ended by whichever ends first.
            let fits =
                |beside: &(Victim, Harm)| *beside != (victim, harm) && self.scene.allows(beside.0, beside.1);
            // While only one coordinator is let in, an operator waits for it after each step, and it must not be the one that
            // another fault takes away; nor its only broker.
            let is_waited_for = |beside: &(Victim, Harm)| {
                harm == Harm::Rotate(Credential::ControlPassword) && !beside.0.is_of_data()
            };
            fault.beside = beside.filter(fits).filter(|beside| !is_waited_for(beside));
        }
        Some(fault)
    }
}

/// Every kind of fault.
fn kinds() -> Vec<(Victim, Harm)> {
    use Direction::{Both, Incoming, Outgoing};
    use Harm::{Bounce, Cut, CutFromCluster, Freeze, Grow, HandOver, Kill, Pause};
    use Victim::{Broker, Coordinator, Etcd, Primary, Proxy, Replica};
    let mut kinds = vec![(Primary, HandOver), (Victim::Cluster, Grow)];
    for victim in [Primary, Replica, Proxy, Broker, Coordinator, Etcd] {
        kinds.extend([Kill, Bounce, Freeze].map(|harm| (victim, harm)));
    }
    let host = [Kill, Freeze, Pause, Cut(Both), Cut(Outgoing), Cut(Incoming), CutFromCluster];
    kinds.extend(host.map(|harm| (Victim::Host, harm)));
    for victim in [Victim::Link, Coordinator, Victim::CoordinatorToHost] {
        kinds.extend([Cut(Both), Cut(Outgoing), Cut(Incoming)].map(|harm| (victim, harm)));
    }
    kinds.push((Victim::CoordinatorToBrokers, Cut(Both)));
    for victim in [Victim::Brokers, Victim::Coordinators] {
        kinds.extend([Kill, Freeze].map(|harm| (victim, harm)));
    }
    kinds.extend([Primary, Replica, Broker].map(|victim| (victim, Harm::FullDisk)));
    kinds.extend([false, true].map(|by_hanging| (Primary, Harm::Copied { by_hanging })));
    kinds.extend([
        (Coordinator, Harm::Refused(Credential::ControlPassword)),
        (Coordinator, Harm::Refused(Credential::WriteToken)),
        (Victim::Proxies, Harm::Rotate(Credential::ControlPassword)),
        (Victim::Brokers, Harm::Rotate(Credential::WriteToken)),
        (Victim::Brokers, Harm::Restore),
        (Coordinator, Harm::OtherTime),
        (Broker, Harm::OtherTime),
        (Broker, Harm::OtherVersion),
    ]);
    let troubled = |trouble| if trouble == Trouble::NoMemory { Primary } else { Victim::Nodes };
    kinds.extend(Trouble::ALL.map(|trouble| (troubled(trouble), Harm::Trouble(trouble))));
    kinds.extend([Kill, Freeze, Pause, Cut(Both)].map(|harm| (Victim::ControlPlane, harm)));
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_and_every_kind_comes() {
        let all = Scene {
            network: true,
            etcd: true,
            disks: true,
            clocks: true,
            other_binary: true,
            can_grow: true,
        };
        let embedded = Scene { etcd: false, ..all };
        let row = |seed, scene| Plan::new(seed, scene).take(kinds().len()).collect::<Vec<_>>();
        assert_eq!(row(1, all), row(1, all));
        assert_ne!(row(1, all), row(2, all));
        for kind in kinds() {
            let comes = |fault: &Fault| (fault.victim, fault.harm) == kind;
            assert!(row(3, all).iter().chain(&row(3, embedded)).any(comes), "{kind:?}");
        }
        let none = Scene {
            network: false,
            etcd: false,
            disks: false,
            clocks: false,
            other_binary: false,
            can_grow: false,
        };
        let needs = [Harm::FullDisk, Harm::OtherTime, Harm::OtherVersion, Harm::Grow];
        let is_possible = |fault: &Fault| {
            !fault.harm.cuts() && !needs.contains(&fault.harm) && fault.victim != Victim::Etcd
        };
        assert!(row(3, none).iter().all(is_possible));
    }
}
