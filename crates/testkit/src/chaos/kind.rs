//! The kinds of faults: what one befalls, what it does there, and how long it lasts.

use std::fmt;
use std::time::Duration;

use super::credentials::Credential;
use super::network::Direction;
use super::trouble::Trouble;

/// What a fault befalls. Where a shard has to be chosen, the fault says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// The Redis server that is a shard's primary.
    Primary,
    /// Both Redis servers of a shard; only for settings.
    Nodes,
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
    /// The line between one coordinator and the host of a shard's primary, which everybody else still reaches.
    CoordinatorToHost,
    /// The line between one coordinator and all brokers.
    CoordinatorToBrokers,
    /// All proxies; only for their password.
    Proxies,
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
    /// SIGSTOP for all of its processes, and packets lost in both directions where there is a network, as when a
    /// virtual machine is paused: nobody there acknowledges what arrives. SIGCONT when the fault ends.
    Pause,
    /// Its packets are lost, in these directions, seen from the primary or coordinator; only for hosts, lines,
    /// coordinators and the control plane.
    Cut(Direction),
    /// As `Cut` in both directions, but clients still reach it: what tempts a primary to serve on alone.
    CutFromCluster,
    /// Another server replicates it on its own account; sometimes one that hangs as soon as it has its copy.
    Copied {
        /// Whether it hangs.
        by_hanging: bool,
    },
    /// Its settings make trouble.
    Trouble(Trouble),
    /// The disk that it keeps its data on has no room. A Redis server also tries to save each second, and refuses
    /// writes while it cannot.
    FullDisk,
    /// It has a wrong credential, and is started again with the right one when the fault ends.
    Refused(Credential),
    /// Nothing is harmed: an operator gives everybody another credential, process by process.
    Rotate(Credential),
    /// It is started again with a clock that is minutes ahead or behind, and with the right one when the fault ends.
    OtherTime,
    /// It is started again from the other binary, and from the usual one when the fault ends.
    OtherVersion,
    /// They lose the metadata, and an operator restores a dump that was taken before an earlier fault.
    Restore,
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

    /// Whether it explains why a replica takes over with what it has: what harms only the control plane, or a part
    /// of it, must not be felt; and while all nodes and proxies live nobody is to be replaced.
    #[must_use]
    pub fn explains_promotion(&self) -> bool {
        self.victim.is_of_data()
            && !matches!(self.harm, Harm::Copied { .. } | Harm::Trouble(_) | Harm::HandOver | Harm::Grow)
    }
}

impl Victim {
    /// Whether it is none of the control plane's.
    pub(super) const fn is_of_data(self) -> bool {
        match self {
            Self::Primary
            | Self::Nodes
            | Self::Replica
            | Self::Proxy
            | Self::Proxies
            | Self::Host
            | Self::Link
            | Self::Cluster => true,
            Self::Broker
            | Self::Coordinator
            | Self::Brokers
            | Self::Coordinators
            | Self::Etcd
            | Self::ControlPlane
            | Self::CoordinatorToHost
            | Self::CoordinatorToBrokers => false,
        }
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
        matches!(self, Self::HandOver | Self::Grow | Self::Rotate(_) | Self::Restore)
    }

    /// The shortest and the longest time that it lasts, in milliseconds.
    pub(super) fn lasts_ms(self) -> (u64, u64) {
        match self {
            Self::Bounce | Self::Rotate(_) | Self::Restore => (0, 1),
            Self::Freeze => (200, 5000),
            Self::Pause => (500, 10_000),
            Self::Kill | Self::Refused(_) | Self::Copied { .. } | Self::Trouble(_) => (500, 5000),
            Self::FullDisk => (2000, 8000),
            Self::OtherTime | Self::OtherVersion => (2000, 6000),
            Self::HandOver => (100, 1000),
            Self::Grow => (500, 3000),
            Self::Cut(_) | Self::CutFromCluster => (500, 8000),
        }
    }
}

impl fmt::Display for Victim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Primary => "primary",
            Self::Nodes => "both nodes",
            Self::Replica => "replica",
            Self::Proxy => "proxy",
            Self::Host => "host",
            Self::Broker => "broker",
            Self::Coordinator => "coordinator",
            Self::Proxies => "all proxies",
            Self::Brokers => "all brokers",
            Self::Coordinators => "all coordinators",
            Self::Etcd => "etcd",
            Self::ControlPlane => "control plane",
            Self::Link => "link",
            Self::CoordinatorToHost => "coordinator to host",
            Self::CoordinatorToBrokers => "coordinator to brokers",
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
            Self::Pause => "paused",
            Self::Cut(Direction::Both) => "cut off",
            Self::Cut(Direction::Outgoing) => "cut off outgoing",
            Self::Cut(Direction::Incoming) => "cut off incoming",
            Self::CutFromCluster => "cut off from all but clients",
            Self::Copied { by_hanging: false } => "copied by a stranger",
            Self::Copied { by_hanging: true } => "copied by a stranger that hangs",
            Self::Trouble(trouble) => return trouble.fmt(formatter),
            Self::OtherTime => "with another time",
            Self::OtherVersion => "of another version",
            Self::Restore => "restored from an old dump",
            Self::FullDisk => "with a full disk",
            Self::Refused(credential) => return write!(formatter, "with a wrong {credential}"),
            Self::Rotate(credential) => return write!(formatter, "given another {credential}"),
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
        match self.harm {
            Harm::Bounce | Harm::Rotate(_) | Harm::Restore => Ok(()),
            _ => write!(formatter, ", {} ms", self.lasts.as_millis()),
        }
    }
}
