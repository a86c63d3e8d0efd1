//! The checked workload: clients that read, write and increment keys without a plan, and write down every
//! operation with its times.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use model::Slot;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::client::{ClusterClient, Failure};
use super::network::Network;
use crate::frame::Frame;
use crate::history::{Action, ClientId, End, Moment, Operation, Value};

/// A client stops after this many operations, so that a long run keeps within its memory.
const OPERATIONS_MAX: usize = 2_000_000;
/// Values of client `n` begin at `n` times this: no two clients write the same.
const VALUES_EACH: i64 = 1_000_000_000;
/// How long a client rests after a request that failed.
const FAILURE_PAUSE: Duration = Duration::from_millis(3);

/// The clock of one run.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that begins now.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The present instant.
    #[must_use]
    pub fn now(self) -> Moment {
        Moment(u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX - 1))
    }
}

/// What a key is used as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// SET and GET.
    Register,
    /// INCR and GET.
    Counter,
}

/// A key of the workload.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// What it is used as.
    pub kind: KeyKind,
    /// Which of the cluster's shards owned it at the start: an index of the caller's.
    pub shard: usize,
}

impl Key {
    fn slot(&self) -> Slot {
        Slot::of_key(self.name.as_bytes())
    }
}

/// Where a client runs and where it begins.
#[derive(Clone, Debug)]
pub struct ClientPlace {
    /// The host of the network, where there is one.
    pub host: Option<usize>,
    /// The proxies that it knows.
    pub seeds: Vec<SocketAddr>,
    /// Which of them it asks first.
    pub first: usize,
    /// The only shard whose keys it uses; all keys when `None`. Such a client is never held up by another shard.
    pub shard: Option<usize>,
    /// How long a reply may take until the outcome counts as unknown.
    pub reply_limit: Duration,
}

/// What the clients do.
#[derive(Clone, Debug)]
pub struct WorkloadPlan {
    /// The keys.
    pub keys: Vec<Key>,
    /// The clients.
    pub clients: Vec<ClientPlace>,
    /// How long a client rests between two requests.
    pub pause: Duration,
    /// Decides what each client does; not when.
    pub seed: u64,
}

/// What was done to one key.
#[derive(Clone, Debug)]
pub struct KeyHistory {
    /// The key.
    pub key: Key,
    /// All operations that happened or may have.
    pub operations: Vec<Operation>,
}

/// What the clients saw.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The history of each key, in the order of the plan.
    pub keys: Vec<KeyHistory>,
    /// Requests that failed, by what they were told.
    pub failures: BTreeMap<String, u64>,
}

/// Running clients.
#[derive(Debug)]
pub struct Workload {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Record>>,
}

#[derive(Debug)]
struct Shared {
    plan: WorkloadPlan,
    clock: Clock,
    over: AtomicBool,
    /// For each key, when the last acknowledged write was called.
    last_write: Vec<AtomicU64>,
}

/// What one client did.
#[derive(Debug, Default)]
struct Record {
    operations: Vec<(usize, Operation)>,
    failures: BTreeMap<String, u64>,
}

impl Workload {
    /// Starts the clients.
    ///
    /// # Errors
    /// When a client cannot get to its host.
    pub fn start(plan: WorkloadPlan, clock: Clock, network: Option<&Network>) -> Result<Self> {
        let last_write = plan.keys.iter().map(|_| AtomicU64::new(0)).collect();
        let shared = Arc::new(Shared { plan, clock, over: AtomicBool::new(false), last_write });
        let mut threads = Vec::new();
        for (number, place) in shared.plan.clients.iter().enumerate() {
            let namespace = match (network, place.host) {
                (Some(network), Some(host)) => Some(network.namespace(host)?),
                _ => None,
            };
            let shared = Arc::clone(&shared);
            threads.push(std::thread::spawn(move || {
                if let Some(namespace) = namespace
                    && let Err(error) = namespace.enter()
                {
                    let failures = BTreeMap::from([(error.to_string(), 1)]);
                    return Record { failures, ..Record::default() };
                }
                play(&shared, number)
            }));
        }
        Ok(Self { shared, threads })
    }

    /// Whether a write to one of the shard's keys was acknowledged that was called after `since`.
    #[must_use]
    pub fn wrote_since(&self, shard: usize, since: Moment) -> bool {
        let keys = self.shared.plan.keys.iter().zip(&self.shared.last_write);
        keys.into_iter().any(|(key, last)| key.shard == shard && last.load(Ordering::Relaxed) > since.0)
    }

    /// Lets every client finish its request, reads every key once more, and hands back what was seen.
    ///
    /// # Errors
    /// When a client panicked.
    pub fn finish(mut self) -> Result<Observation> {
        self.shared.over.store(true, Ordering::Relaxed);
        let plan = &self.shared.plan;
        let mut keys: Vec<KeyHistory> =
            plan.keys.iter().map(|key| KeyHistory { key: key.clone(), operations: Vec::new() }).collect();
        let mut failures: BTreeMap<String, u64> = BTreeMap::new();
        let mut records = Vec::new();
        for thread in std::mem::take(&mut self.threads) {
            records.push(thread.join().map_err(|_| anyhow!("a client panicked"))?);
        }
        records.push(last_reads(&self.shared));
        for record in records {
            for (key, operation) in record.operations {
                keys[key].operations.push(operation);
            }
            for (kind, count) in record.failures {
                *failures.entry(kind).or_default() += count;
            }
        }
        for key in &mut keys {
            key.operations.sort_by_key(|operation| operation.call);
        }
        Ok(Observation { keys, failures })
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
    }
}

/// One client, until the workload is over.
fn play(shared: &Shared, number: usize) -> Record {
    let plan = &shared.plan;
    let id = u32::try_from(number).unwrap_or(u32::MAX);
    let mut random = StdRng::seed_from_u64(plan.seed.wrapping_mul(1009).wrapping_add(u64::from(id)));
    let place = &plan.clients[number];
    let mut client = ClusterClient::new(place.seeds.clone(), place.first, place.reply_limit);
    let mut record = Record::default();
    let mut next = VALUES_EACH * (i64::from(id) + 1);
    let own = |index: &usize| place.shard.is_none_or(|shard| plan.keys[*index].shard == shard);
    let keys: Vec<usize> = (0..plan.keys.len()).filter(own).collect();
    while !shared.over.load(Ordering::Relaxed) && record.operations.len() < OPERATIONS_MAX {
        let Some(&index) = keys.choose(&mut random) else { break };
        let changes = random.random_range(0..10) < 4;
        let action = match (changes, plan.keys[index].kind) {
            (false, _) => Action::Read(None),
            (true, KeyKind::Counter) => Action::Increment(Value(0)),
            (true, KeyKind::Register) => {
                next += 1;
                Action::Write(Value(next))
            }
        };
        let rest = if perform(shared, &mut client, (ClientId(id), index), action, &mut record) {
            plan.pause
        } else {
            FAILURE_PAUSE.max(plan.pause)
        };
        std::thread::sleep(rest);
    }
    record
}

/// Does one operation and writes it down; whether it was answered.
fn perform(
    shared: &Shared,
    client: &mut ClusterClient,
    (id, index): (ClientId, usize),
    action: Action,
    record: &mut Record,
) -> bool {
    let key = &shared.plan.keys[index];
    let name = key.name.as_bytes();
    let call = shared.clock.now();
    let outcome = match action {
        Action::Read(_) => client.call(key.slot(), &[b"GET", name]),
        Action::Write(value) => client.call(key.slot(), &[b"SET", name, value.to_string().as_bytes()]),
        Action::Increment(_) => client.call(key.slot(), &[b"INCR", name]),
    };
    let at = shared.clock.now();
    let outcome = outcome.and_then(|(reply, server)| match answer(action, &reply) {
        Some(action) => Ok((action, server)),
        None => Err(Failure::Unknown(format!("a strange reply: {reply:?}"))),
    });
    let answered = outcome.is_ok();
    let operation = match outcome {
        Ok((action, server)) => {
            if !matches!(action, Action::Read(_)) {
                shared.last_write[index].fetch_max(call.0, Ordering::Relaxed);
            }
            Operation { client: id, call, end: Some(End { at, server: Some(server) }), action }
        }
        Err(Failure::Refused(text)) => {
            *record.failures.entry(kind(&text)).or_default() += 1;
            return false;
        }
        Err(Failure::Unknown(text)) => {
            *record.failures.entry(format!("{} (unknown outcome)", kind(&text))).or_default() += 1;
            Operation { client: id, call, end: None, action }
        }
    };
    record.operations.push((index, operation));
    answered
}

/// The action with what the reply says; `None` when the reply is none to it.
fn answer(action: Action, reply: &Frame) -> Option<Action> {
    match action {
        Action::Read(_) if reply.is_null() => Some(Action::Read(None)),
        Action::Read(_) => Some(Action::Read(Some(Value(reply.text().ok()?.parse().ok()?)))),
        Action::Write(value) => reply.expect_ok().ok().map(|()| Action::Write(value)),
        Action::Increment(_) => Some(Action::Increment(Value(reply.integer().ok()?))),
    }
}

/// A failure without what differs each time: addresses and slots.
#[must_use]
pub fn kind(text: &str) -> String {
    let word = |word: &str| {
        let varies = word.contains(':') && word.contains('.') || word.parse::<u64>().is_ok();
        if varies { "…".to_owned() } else { word.to_owned() }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// Reads every key once, patiently, so that what was lost last is seen, too.
fn last_reads(shared: &Shared) -> Record {
    const ATTEMPTS: usize = 20;
    let mut record = Record::default();
    let number = shared.plan.clients.len();
    let Some(place) = shared.plan.clients.first() else { return record };
    let mut client = ClusterClient::new(place.seeds.clone(), place.first, place.reply_limit);
    let id = ClientId(u32::try_from(number).unwrap_or(u32::MAX));
    for index in 0..shared.plan.keys.len() {
        for _ in 0..ATTEMPTS {
            if perform(shared, &mut client, (id, index), Action::Read(None), &mut record) {
                break;
            }
            std::thread::sleep(FAILURE_PAUSE);
        }
    }
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linearizability::{Initial, check};
    use crate::redis_server::{RedisOptions, RedisServer};
    use crate::wait::{Deadline, wait_until};

    #[test]
    fn one_redis_is_linearizable_while_it_freezes() {
        let mut server = RedisServer::start(RedisOptions::default()).unwrap();
        let key = |(name, kind): (&str, KeyKind)| Key { name: name.to_owned(), kind, shard: 0 };
        let keys = [("a", KeyKind::Register), ("b", KeyKind::Counter)].map(key).to_vec();
        let seeds = vec![server.address()];
        let reply_limit = Duration::from_millis(100);
        let place = ClientPlace { host: None, seeds, first: 0, shard: None, reply_limit };
        let plan = WorkloadPlan { keys, clients: vec![place; 4], pause: Duration::from_millis(1), seed: 7 };
        let clock = Clock::start();
        let workload = Workload::start(plan, clock, None).unwrap();
        let writes_again = || {
            let since = clock.now();
            let within = Deadline::within(Duration::from_secs(10));
            wait_until(within, "it writes", || workload.wrote_since(0, since)).unwrap();
        };
        writes_again();
        server.process().freeze().unwrap();
        std::thread::sleep(Duration::from_millis(300));
        server.process().thaw().unwrap();
        writes_again();
        let seen = workload.finish().unwrap();
        assert!(seen.failures.contains_key("no reply in time (unknown outcome)"), "{:?}", seen.failures);
        for history in &seen.keys {
            assert!(history.operations.len() >= 3, "{}", history.operations.len());
            assert_eq!(check(Initial::Absent, &history.operations), Ok(()));
        }
    }
}
