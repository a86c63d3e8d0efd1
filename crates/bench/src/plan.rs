//! What is measured: the cases, as data. It must never start anything.

/// Bytes of the smallest value, redis-benchmark's own default.
pub const SMALL_BYTES: usize = 3;
/// Bytes of an ordinary value.
pub const MEDIUM_BYTES: usize = 1 << 10;
/// Bytes of a value that is streamed rather than buffered.
pub const LARGE_BYTES: usize = 1 << 20;
/// Keys of one MGET or MSET.
pub const MULTI_KEYS: usize = 100;

/// Clients of [`Audience::Unread`] that read nothing.
pub const UNREAD_CLIENTS: usize = 5;

/// What each request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// GET of a key that exists.
    Get,
    /// SET.
    Set,
    /// MGET of [`MULTI_KEYS`] keys of one slot.
    Mget,
    /// MSET of [`MULTI_KEYS`] keys of one slot.
    Mset,
}

/// How requests arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// Each connection keeps `pipeline` requests under way, as fast as they are answered.
    Closed {
        /// Connections.
        connections: usize,
        /// Requests under way on each.
        pipeline: usize,
    },
    /// Requests arrive at random times at a mean rate, whether or not earlier ones were answered.
    Open {
        /// Connections, of which each request takes one at random.
        connections: usize,
        /// Mean arrivals on all of them together.
        per_second: u32,
    },
    /// Connections that did one request and then nothing: only memory is measured.
    Idle {
        /// Connections at the first look at the memory.
        few: usize,
        /// Connections at the second.
        many: usize,
    },
}

/// How the time for a case is divided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Division {
    /// The factor on the run's number of rounds.
    pub rounds: u32,
    /// The factor on the length of each round.
    pub seconds: f64,
}

impl Division {
    /// As the run is divided.
    pub const WHOLE: Division = Division { rounds: 1, seconds: 1.0 };
}

/// Which targets a case is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// All, this proxy with its default policies.
    Everyone,
    /// Also this proxy with every batching policy off: at low load they must cost nothing.
    Policies,
    /// This proxy with one worker and with two, on cores of their own.
    Workers,
    /// This proxy, and two of it of which one passes every request on to the other.
    Forwarding,
    /// This proxy, and one to which some of its clients send requests without ever reading a reply.
    Unread,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The request.
    pub operation: Operation,
    /// Bytes of each value.
    pub value_bytes: usize,
    /// The arrivals.
    pub load: Load,
    /// The targets.
    pub audience: Audience,
}

impl Case {
    /// Where batching policies are judged at low load, p99 stands on few requests, and one stall of the machine spoils
    /// a round: many short ones. With requests that come whether or not earlier ones were answered a stall of a few
    /// milliseconds is the p99 of half a second; shorter rounds leave most of them without one.
    #[must_use]
    pub fn division(&self) -> Division {
        match (self.audience, self.load) {
            (Audience::Policies, Load::Open { .. }) => Division { rounds: 40, seconds: 0.05 },
            (Audience::Policies, _) => Division { rounds: 8, seconds: 0.25 },
            (Audience::Everyone | Audience::Workers | Audience::Forwarding | Audience::Unread, _) => {
                Division::WHOLE
            }
        }
    }

    /// The name by which `--case` and the goals know it.
    #[must_use]
    pub fn name(&self) -> String {
        let operation = match self.operation {
            Operation::Get => "get",
            Operation::Set => "set",
            Operation::Mget => "mget100",
            Operation::Mset => "mset100",
        };
        let size = size(self.value_bytes);
        match (self.load, self.audience) {
            (Load::Idle { many, .. }, _) => format!("idle-{many}"),
            (Load::Closed { connections, pipeline }, Audience::Workers) => {
                format!("{operation}-{size}-c{connections}-P{pipeline}-workers")
            }
            (Load::Closed { connections, pipeline }, Audience::Forwarding) => {
                format!("{operation}-{size}-c{connections}-P{pipeline}-forwarded")
            }
            (Load::Closed { connections, pipeline }, Audience::Unread) => {
                format!("{operation}-{size}-c{connections}-P{pipeline}-unread")
            }
            (Load::Closed { connections, pipeline }, _) => {
                format!("{operation}-{size}-c{connections}-P{pipeline}")
            }
            (Load::Open { connections, per_second }, _) => {
                format!("{operation}-{size}-c{connections}-r{per_second}")
            }
        }
    }

    /// What it is, for people.
    #[must_use]
    pub fn title(&self) -> String {
        let size = match size(self.value_bytes).as_str() {
            "3B" => "3 B".to_owned(),
            "1KiB" => "1 KiB".to_owned(),
            "1MiB" => "1 MiB".to_owned(),
            other => other.to_owned(),
        };
        let operation = match self.operation {
            Operation::Get => format!("GET {size}"),
            Operation::Set => format!("SET {size}"),
            Operation::Mget => format!("MGET of {MULTI_KEYS} keys, one slot, {size}"),
            Operation::Mset => format!("MSET of {MULTI_KEYS} keys, one slot, {size}"),
        };
        let load = match self.load {
            Load::Closed { connections: 1, pipeline: 1 } => {
                format!("{operation}, 1 connection, no pipeline")
            }
            Load::Closed { connections, pipeline: 1 } => {
                format!("{operation}, {connections} connections, no pipeline")
            }
            Load::Closed { connections, pipeline } => {
                format!("{operation}, {connections} connections, pipeline {pipeline}")
            }
            Load::Open { connections, per_second } => {
                format!("{operation}, {connections} connections, {per_second} requests/s in all")
            }
            Load::Idle { many, .. } => format!("{many} idle connections, one GET each"),
        };
        match self.audience {
            Audience::Everyone | Audience::Policies | Audience::Workers => load,
            Audience::Forwarding => format!("{load}, forwarded by one hop"),
            Audience::Unread => format!("{load}, {UNREAD_CLIENTS} of which read nothing"),
        }
    }
}

/// All cases, in the order in which they run. `quick` keeps them all but makes the idle one small.
#[must_use]
pub fn cases(quick: bool) -> Vec<Case> {
    let case =
        |operation, value_bytes, load| Case { operation, value_bytes, load, audience: Audience::Everyone };
    let closed = |connections, pipeline| Load::Closed { connections, pipeline };
    let mut cases = Vec::new();
    for value_bytes in [SMALL_BYTES, MEDIUM_BYTES] {
        for load in [closed(50, 1), closed(50, 16), closed(500, 1)] {
            cases.push(case(Operation::Get, value_bytes, load));
            cases.push(case(Operation::Set, value_bytes, load));
        }
    }
    cases.push(case(Operation::Mget, SMALL_BYTES, closed(50, 1)));
    cases.push(case(Operation::Mset, SMALL_BYTES, closed(50, 1)));
    cases.push(case(Operation::Get, LARGE_BYTES, closed(10, 1)));
    for load in [closed(1, 1), Load::Open { connections: 50, per_second: 5000 }] {
        let audience = Audience::Policies;
        cases.push(Case { audience, ..case(Operation::Get, SMALL_BYTES, load) });
    }
    for audience in [Audience::Forwarding, Audience::Unread] {
        cases.push(Case { audience, ..case(Operation::Get, SMALL_BYTES, closed(50, 1)) });
    }
    cases.push(Case { audience: Audience::Workers, ..case(Operation::Get, SMALL_BYTES, closed(200, 1)) });
    let (few, many) = if quick { (100, 500) } else { (1_000, 10_000) };
    cases.push(case(Operation::Get, SMALL_BYTES, Load::Idle { few, many }));
    cases
}

/// Keeps the cases whose name contains one of `wanted`; all where nothing is wanted in particular.
#[must_use]
pub fn filter(cases: Vec<Case>, wanted: &[String]) -> Vec<Case> {
    let keep = |case: &Case| wanted.is_empty() || wanted.iter().any(|text| case.name().contains(text));
    cases.into_iter().filter(keep).collect()
}

fn size(bytes: usize) -> String {
    match bytes {
        _ if bytes >= 1 << 20 => format!("{}MiB", bytes >> 20),
        _ if bytes >= 1 << 10 => format!("{}KiB", bytes >> 10),
        _ => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_select() {
        let all = cases(false);
        let names: BTreeSet<String> = all.iter().map(Case::name).collect();
        assert_eq!(names.len(), all.len());
        let count = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|text| (*text).to_owned()).collect();
            filter(all.clone(), &wanted).len()
        };
        assert_eq!(count(&[]), 21);
        assert_eq!(count(&["c50-P16"]), 4);
        assert_eq!(count(&["get-3B-c50-P1", "idle"]), 5, "P1 is also the beginning of P16");
        assert_eq!(count(&["nothing"]), 0);
    }
}
