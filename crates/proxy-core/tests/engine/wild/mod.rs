//! Random runs with everything in them: every limit is small enough to be met, nodes die, stop and are slow, clients do
//! not read, slots move, and memory is short.

mod take;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proxy_core::engine::Policy;

use self::take::take;
use crate::client::{Allowed, Client, Due};
use crate::views::{BOTH, Owner, tag};
use crate::world::World;

/// No time is limited.
pub(crate) const NEVER: u64 = u64::MAX;
/// Slots that nobody owns; what the second node and the other proxy have in [`BOTH`].
const LOST: &str = "127.0.0.1:7001 1 0-5000";

/// One request.
#[derive(Debug, Clone)]
enum Ask {
    Get {
        tag: usize,
        len: usize,
    },
    Set {
        tag: usize,
        len: usize,
    },
    Mget {
        tag: usize,
        lens: Vec<usize>,
    },
    Count {
        tag: usize,
    },
    Select(u32),
    Hello(&'static [u8]),
    Echo,
    /// To all nodes, the replies gathered; and how the reply begins.
    Everywhere(&'static [&'static [u8]], &'static [u8]),
    /// Answered by the control thread.
    Controlled(&'static [&'static [u8]]),
}

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    ClientSends(Index, usize),
    ClientSendsAll(Index),
    ClientTakes(Index, usize),
    ClientEnds(Index),
    ClientBreaks(Index),
    ClientIsKilled(Index),
    NodeSends(Index, usize),
    NodeSendsAll,
    Connects(Index),
    NodeTakes(Index),
    NodeWindow(usize),
    Fails(Index),
    Dies(Index),
    Lives(Index),
    Stops(Index),
    GoesOn(Index, bool),
    Turn(u64),
    View(Index),
    NoView,
    Holds(Index, u64),
    Connections(u16),
    Pauses(u64, bool),
    Limit(u64),
    Control,
}

/// A whole run.
#[derive(Debug, Clone)]
pub(crate) struct Wild {
    policy: Policy,
    memory_max_bytes: u64,
    session_timeout_ms: u64,
    active_redirection: bool,
    asks: Vec<Vec<Ask>>,
    /// Clients that take bytes only when a step says so.
    slow_clients: bool,
    steps: Vec<Step>,
}

fn len() -> impl Strategy<Value = usize> {
    prop_oneof![
        12 => 0usize..40,
        3 => 1_000usize..20_000,
        2 => 30_000usize..70_000,
        1 => 250_000usize..400_000,
    ]
}

fn ask() -> impl Strategy<Value = Ask> {
    const EVERYWHERE: [(&[&[u8]], &[u8]); 4] = [
        (&[b"DBSIZE"], b":"),
        (&[b"KEYS", b"*"], b"*"),
        (&[b"SCAN", b"0"], b"*2\r\n"),
        (&[b"SCRIPT", b"EXISTS", b"0123456789012345678901234567890123456789"], b"*1\r\n"),
    ];
    const CONTROLLED: [&[&[u8]]; 2] = [&[b"WAIT", b"1", b"10"], &[b"CLIENT", b"LIST"]];
    let tags = 0usize..6;
    prop_oneof![
        6 => (tags.clone(), len()).prop_map(|(tag, len)| Ask::Get { tag, len }),
        4 => (tags.clone(), len()).prop_map(|(tag, len)| Ask::Set { tag, len }),
        1 => (tags.clone(), vec(0usize..50, 1..5)).prop_map(|(tag, lens)| Ask::Mget { tag, lens }),
        8 => tags.prop_map(|tag| Ask::Count { tag }),
        1 => (0u32..3).prop_map(Ask::Select),
        1 => prop_oneof![Just(b"2".as_slice()), Just(b"3".as_slice())].prop_map(Ask::Hello),
        1 => Just(Ask::Echo),
        2 => proptest::sample::select(EVERYWHERE.to_vec())
            .prop_map(|(words, begins)| Ask::Everywhere(words, begins)),
        1 => proptest::sample::select(CONTROLLED.to_vec()).prop_map(Ask::Controlled),
    ]
}

fn traffic() -> impl Strategy<Value = Step> {
    let bytes = || prop_oneof![3 => 1usize..60, 2 => 60usize..5_000, 2 => 5_000usize..300_000];
    let index = any::<Index>;
    prop_oneof![
        10 => (index(), bytes()).prop_map(|(client, bytes)| Step::ClientSends(client, bytes)),
        2 => index().prop_map(Step::ClientSendsAll),
        6 => (index(), bytes()).prop_map(|(link, bytes)| Step::NodeSends(link, bytes)),
        3 => Just(Step::NodeSendsAll),
        4 => index().prop_map(Step::Connects),
        2 => index().prop_map(Step::NodeTakes),
        4 => (index(), bytes()).prop_map(|(client, bytes)| Step::ClientTakes(client, bytes)),
        1 => bytes().prop_map(Step::NodeWindow),
        10 => (0u64..200).prop_map(Step::Turn),
        2 => (1_000u64..60_000).prop_map(Step::Turn),
        1 => Just(Step::Control),
    ]
}

fn trouble() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    prop_oneof![
        2 => index().prop_map(Step::Fails),
        1 => index().prop_map(Step::Dies),
        2 => index().prop_map(Step::Lives),
        2 => index().prop_map(Step::Stops),
        3 => (index(), any::<bool>()).prop_map(|(node, closed_first)| Step::GoesOn(node, closed_first)),
        1 => index().prop_map(Step::ClientBreaks),
        1 => index().prop_map(Step::ClientEnds),
        1 => index().prop_map(Step::ClientIsKilled),
        8 => index().prop_map(Step::View),
        1 => Just(Step::NoView),
        1 => (index(), 1_000u64..200_000).prop_map(|(view, us)| Step::Holds(view, us)),
        1 => (1u16..4).prop_map(Step::Connections),
        2 => (1_000u64..100_000, any::<bool>()).prop_map(|(us, writes)| Step::Pauses(us, writes)),
        1 => prop_oneof![1 => 0u64..100_000, 2 => Just(NEVER)].prop_map(Step::Limit),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    (
        prop_oneof![Just(2u32), Just(5), Just(16_384)],
        prop_oneof![Just(300usize), Just(16 * 1024 * 1024)],
        1u32..4,
        prop_oneof![Just(100_000u64), Just(3_000_000)],
    )
        .prop_map(|(outstanding_max, backend_output_bytes, connections_per_node, backend_timeout_us)| {
            Policy {
                outstanding_max,
                backend_output_bytes,
                connections_per_node,
                backend_timeout_us,
                ..Policy::default()
            }
        })
}

/// Runs in which trouble is as likely as `trouble` says, of ten.
pub(crate) fn wild(rate: u32) -> impl Strategy<Value = Wild> {
    let step = prop_oneof![10 => traffic(), rate => trouble()];
    let memory = prop_oneof![Just(300_000u64), Just(1_000_000), Just(1 << 30)];
    let timeout = prop_oneof![3 => Just(0u64), 1 => Just(200)];
    let asks = vec(vec(ask(), 1..20), 1..6);
    (policy(), memory, timeout, any::<bool>(), asks, any::<bool>(), vec(step, 0..200)).prop_map(
        |(policy, memory_max_bytes, session_timeout_ms, active_redirection, asks, slow_clients, steps)| {
            Wild {
                policy,
                memory_max_bytes,
                session_timeout_ms,
                active_redirection,
                asks,
                slow_clients,
                steps,
            }
        },
    )
}

fn tag_of(number: usize) -> String {
    tag([Owner::First, Owner::Second, Owner::Other][number % 3], number / 3)
}

fn prepare(client: &mut Client, asks: &[Ask]) {
    for ask in asks {
        match ask {
            Ask::Get { tag, len } => client.get(*len, &tag_of(*tag)),
            Ask::Set { tag, len } => client.set(*len, &tag_of(*tag)),
            Ask::Mget { tag, lens } => client.mget(lens, &tag_of(*tag)),
            Ask::Count { tag } => client.count(&tag_of(*tag)),
            Ask::Select(db) => client.select(*db),
            Ask::Hello(version) => {
                let begins: &[u8] = if *version == b"2" { b"*" } else { b"%" };
                client.demand(&[b"HELLO", version], Due::Begins(begins), false);
            }
            Ask::Echo => client.echo(),
            Ask::Everywhere(words, begins) => client.demand(words, Due::Begins(begins), true),
            Ask::Controlled(words) => client.ask(words, b"+ANSWERED\r\n".to_vec(), false),
        }
    }
}

impl Wild {
    fn has(&self, picks: impl Fn(&Step) -> bool) -> bool {
        self.steps.iter().any(picks)
    }

    /// What may come in the place of a reply.
    fn allowed(&self) -> Allowed {
        let is_failure = |step: &Step| matches!(step, Step::Fails(_) | Step::Dies(_) | Step::Stops(_));
        let is_unowned = |step: &Step| matches!(step, Step::NoView | Step::Holds(..));
        Allowed {
            failures: self.has(is_failure) || self.policy.backend_timeout_us < 3_000_000,
            moves: !self.active_redirection || self.has(|step| matches!(step, Step::View(_))),
            unowned: self.has(is_unowned),
            fences: self.has(|step| matches!(step, Step::Limit(us) if *us != NEVER)),
            little_memory: self.memory_max_bytes < 1_000_000,
        }
    }

    /// Plays the run to its end and asserts what must hold.
    pub(crate) fn play(&self) {
        let mut world = World::with_settings(Some(BOTH), self.policy, |settings| {
            settings.memory_max_bytes = self.memory_max_bytes;
            settings.session_timeout_ms = self.session_timeout_ms;
            settings.active_redirection = self.active_redirection;
        });
        world.allowed = self.allowed();
        world.share_store(&crate::node::Store::default());
        for asks in &self.asks {
            let client = world.accept();
            prepare(&mut world.clients[client], asks);
            if self.slow_clients {
                world.clients[client].window = 0;
            }
        }
        for step in &self.steps {
            take(&mut world, step);
            world.engine.check();
        }
        world.heal();
        world.come_to_rest();
        self.judge(&world);
        world.say_goodbye();
    }

    /// Whether a client asks WAIT, and nodes that it has written to may have lost slots.
    fn may_lose_writes(&self, client: usize) -> bool {
        let is_change = |step: &Step| matches!(step, Step::View(_) | Step::NoView | Step::Holds(..));
        let is_wait = |ask: &Ask| matches!(ask, Ask::Controlled([b"WAIT", ..]));
        self.has(is_change) && self.asks.get(client).is_some_and(|asks| asks.iter().any(is_wait))
    }

    /// Each client that is gone is so for a reason, and no acknowledged increment is lost.
    fn judge(&self, world: &World) {
        for client in &world.clients {
            let is_dropped = world.dropped.iter().any(|dropped| dropped.profile.id == client.name as u64 + 1);
            let allowed = world.allowed;
            let is_excused = client.is_broken
                || is_dropped
                || allowed.failures // in the middle of a reply
                || allowed.fences
                || allowed.little_memory
                || self.session_timeout_ms > 0
                || self.may_lose_writes(client.name);
            if client.closed && !is_excused {
                assert!(client.ended, "client {} was closed for no reason", client.name);
                let asked = client.expected.iter().filter(|expected| expected.end <= client.sent).count();
                // What was held of a client that ended is dropped.
                let may_be_held = |step: &Step| matches!(step, Step::Holds(..) | Step::Pauses(..));
                let is_answered =
                    client.replies == asked || (client.replies < asked && self.steps.iter().any(may_be_held));
                assert!(is_answered, "client {} ended, and was not answered all", client.name);
            }
            assert!(client.closed || client.partial.is_empty(), "half of a reply is followed by nothing");
            let store = world.nodes.values().next().unwrap().store.borrow();
            for (counter, counts) in &client.counts {
                let value = store
                    .get(counter)
                    .map_or(0, |value| std::str::from_utf8(value).unwrap().parse().unwrap());
                let most = if client.closed {
                    client.increments(counter) // nobody told it of the last
                } else {
                    counts.acknowledged + counts.unknown
                };
                assert!(
                    (counts.acknowledged.max(counts.last)..=most).contains(&value),
                    "client {}: {counter:?} is {value}: {counts:?}, at most {most}",
                    client.name
                );
            }
        }
    }
}
