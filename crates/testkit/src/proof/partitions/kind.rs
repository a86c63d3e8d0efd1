//! What is cut off or stopped, and what goes wrong beside it.

use std::fmt;

use serde::Serialize;

use crate::chaos::network::Direction;

/// What is cut off from the rest, or stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// The primary's host from the coordinators and brokers.
    Coordinators(Direction),
    /// The primary's host from its replica's host.
    Replica(Direction),
    /// The primary's host from everybody but clients.
    Both(Direction),
    /// The primary's Redis server is stopped.
    NodeFrozen,
    /// The primary's proxy is stopped.
    ProxyFrozen,
    /// The primary's proxy and both Redis servers beside it are stopped.
    HostFrozen,
    /// The same, and no packet of theirs arrives, nor one for them: as a virtual machine that is paused.
    HostPaused,
}

/// What goes wrong beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Beside {
    /// Nothing.
    Nothing,
    /// A Redis server that nobody manages replicates the primary, before and meanwhile.
    ExtraReplica,
    /// The same, and it announces the address of the primary's own replica, as with a copied `redis.conf`.
    Impostor,
    /// The replica's Redis server hangs for a moment.
    HangingReplica,
    /// The primary's Redis server hangs for a moment.
    HangingNode,
}

/// One kind of partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Kind {
    /// What is cut off or stopped.
    pub cut: Cut,
    /// What goes wrong beside it.
    pub beside: Beside,
}

const DIRECTIONS: [Direction; 3] = [Direction::Both, Direction::Outgoing, Direction::Incoming];

impl Cut {
    /// All of them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let lines = [Self::Coordinators, Self::Replica, Self::Both];
        let cut = lines.into_iter().flat_map(|line| DIRECTIONS.map(line));
        cut.chain([Self::NodeFrozen, Self::ProxyFrozen, Self::HostFrozen, Self::HostPaused]).collect()
    }

    /// Whether coordinators replace the primary while it lasts. Without its replica alone it goes on.
    #[must_use]
    pub fn is_replaced(self) -> bool {
        !matches!(self, Self::Replica(_))
    }

    fn stops_the_node(self) -> bool {
        matches!(self, Self::NodeFrozen | Self::HostFrozen | Self::HostPaused)
    }
}

impl Kind {
    /// All that make sense: a node that is stopped does not hang as well, and where nobody takes over nothing is
    /// delayed by what hangs.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let besides = [
            Beside::Nothing,
            Beside::ExtraReplica,
            Beside::Impostor,
            Beside::HangingReplica,
            Beside::HangingNode,
        ];
        let kinds = Cut::all().into_iter().flat_map(|cut| besides.map(|beside| Self { cut, beside }));
        kinds.filter(|kind| kind.makes_sense()).collect()
    }

    fn makes_sense(self) -> bool {
        match self.beside {
            Beside::Nothing | Beside::ExtraReplica => true,
            Beside::Impostor | Beside::HangingReplica => self.cut.is_replaced(),
            Beside::HangingNode => self.cut.is_replaced() && !self.cut.stops_the_node(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = |direction| match direction {
            Direction::Both => "",
            Direction::Outgoing => ", what it sends",
            Direction::Incoming => ", what it is sent",
        };
        match self.cut {
            Cut::Coordinators(direction) => write!(f, "cut off from coordinators{}", way(direction))?,
            Cut::Replica(direction) => write!(f, "cut off from its replica{}", way(direction))?,
            Cut::Both(direction) => write!(f, "cut off from both{}", way(direction))?,
            Cut::NodeFrozen => f.write_str("Redis server stopped")?,
            Cut::ProxyFrozen => f.write_str("proxy stopped")?,
            Cut::HostFrozen => f.write_str("host stopped")?,
            Cut::HostPaused => f.write_str("host paused")?,
        }
        f.write_str(match self.beside {
            Beside::Nothing => "",
            Beside::ExtraReplica => " + extra replica",
            Beside::Impostor => " + impostor of its replica",
            Beside::HangingReplica => " + replica hangs",
            Beside::HangingNode => " + node hangs",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_cut_comes_with_everything_beside_it_that_makes_sense() {
        let all = Kind::all();
        let count = |cut: Cut| all.iter().filter(|kind| kind.cut == cut).count();
        assert_eq!(count(Cut::Coordinators(Direction::Outgoing)), 5);
        assert_eq!(count(Cut::Both(Direction::Incoming)), 5);
        assert_eq!(count(Cut::Replica(Direction::Both)), 2);
        assert_eq!(count(Cut::NodeFrozen), 4);
        assert_eq!(count(Cut::ProxyFrozen), 5);
        assert_eq!(count(Cut::HostPaused), 4);
        let names: BTreeSet<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), all.len(), "each has a name of its own");
    }
}
