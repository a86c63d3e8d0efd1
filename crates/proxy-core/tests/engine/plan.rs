//! Random runs: what clients ask and how everything is cut and interleaved, as data that shrinks.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proxy_core::engine::Policy;

use crate::client::Client;
use crate::views::{Owner, tag};
use crate::world::World;

/// One request, or a few that belong together.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    Get { tag: usize, len: usize },
    Set { tag: usize, len: usize },
    Mget { tag: usize, lens: Vec<usize> },
    Incr { tag: usize },
    Select(u32),
    Echo,
    DbSize,
    Crossed,
    Elsewhere,
}

/// One thing that happens.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    ClientSends(Index, usize),
    NodeSends(Index, usize),
    Connects(Index),
    NodeTakes(Index),
    ClientTakes(Index, usize),
    NodeWindow(usize),
    Turn(u64),
    Fails(Index),
    View(Index),
    Breaks(Index),
}

/// What runs may differ in besides their steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing fails: every reply is exact, and requests are executed in order.
    Calm,
    /// Connections to nodes and clients break.
    Failing,
    /// Slots move.
    Moving,
}

/// A whole run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) policy: Policy,
    pub(crate) asks: Vec<Vec<Ask>>,
    pub(crate) steps: Vec<Step>,
    /// Clients that take bytes only when a step says so.
    pub(crate) slow_clients: bool,
}

fn len() -> impl Strategy<Value = usize> {
    prop_oneof![
        12 => 0usize..40,
        3 => 1_000usize..20_000,
        2 => 30_000usize..70_000,
        1 => 250_000usize..400_000,
    ]
}

fn ask(kind: Kind) -> impl Strategy<Value = Ask> {
    let tags = 0usize..4;
    prop_oneof![
        8 => (tags.clone(), len()).prop_map(|(tag, len)| Ask::Get { tag, len }),
        3 => (tags.clone(), len()).prop_map(|(tag, len)| Ask::Set { tag, len }),
        1 => (tags.clone(), vec(0usize..50, 1..5)).prop_map(|(tag, lens)| Ask::Mget { tag, lens }),
        3 => tags.prop_map(move |tag| match kind {
            Kind::Calm => Ask::Incr { tag },
            // What became of it is not known to the client.
            Kind::Failing | Kind::Moving => Ask::Get { tag, len: 1 },
        }),
        1 => (0u32..3).prop_map(Ask::Select),
        1 => Just(Ask::Echo),
        1 => Just(match kind {
            Kind::Moving => Ask::Echo,
            Kind::Calm | Kind::Failing => Ask::DbSize,
        }),
        1 => Just(Ask::Crossed),
        1 => Just(Ask::Elsewhere),
    ]
}

fn step(kind: Kind) -> impl Strategy<Value = Step> {
    let bytes = || prop_oneof![3 => 1usize..60, 2 => 60usize..5_000, 2 => 5_000usize..300_000];
    let index = any::<Index>;
    let fault = prop_oneof![4 => index().prop_map(Step::Fails), 1 => index().prop_map(Step::Breaks)];
    let disturbance = match kind {
        Kind::Calm => (0u64..200).prop_map(Step::Turn).boxed(),
        Kind::Failing => fault.boxed(),
        Kind::Moving => index().prop_map(Step::View).boxed(),
    };
    prop_oneof![
        10 => (index(), bytes()).prop_map(|(client, bytes)| Step::ClientSends(client, bytes)),
        10 => (index(), bytes()).prop_map(|(link, bytes)| Step::NodeSends(link, bytes)),
        2 => index().prop_map(Step::Connects),
        2 => index().prop_map(Step::NodeTakes),
        4 => (index(), bytes()).prop_map(|(client, bytes)| Step::ClientTakes(client, bytes)),
        1 => bytes().prop_map(Step::NodeWindow),
        8 => (0u64..200).prop_map(Step::Turn),
        1 => (1_000u64..30_000).prop_map(Step::Turn),
        1 => disturbance,
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    (
        prop_oneof![Just(2u32), Just(5), Just(16_384)],
        prop_oneof![Just(300usize), Just(16 * 1024 * 1024)],
        1u32..3,
    )
        .prop_map(|(outstanding_max, backend_bytes, connections)| Policy {
            outstanding_max,
            backend_output_bytes: backend_bytes,
            connections_per_node: connections,
            ..Policy::default()
        })
}

pub(crate) fn plan(kind: Kind) -> impl Strategy<Value = Plan> {
    (policy(), vec(vec(ask(kind), 1..14), 1..5), vec(step(kind), 0..140), any::<bool>())
        .prop_map(|(policy, asks, steps, slow_clients)| Plan { policy, asks, steps, slow_clients })
}

fn own_tag(number: usize) -> String {
    tag(if number.is_multiple_of(2) { Owner::First } else { Owner::Second }, number / 2)
}

/// Writes down a client's requests and what must be answered, while the first view holds.
pub(crate) fn prepare(client: &mut Client, asks: &[Ask]) {
    for ask in asks {
        match ask {
            Ask::Get { tag, len } => client.get(*len, &own_tag(*tag)),
            Ask::Set { tag, len } => client.set(*len, &own_tag(*tag)),
            Ask::Mget { tag, lens } => client.mget(lens, &own_tag(*tag)),
            Ask::Incr { tag } => client.incr(&own_tag(*tag)),
            Ask::Select(db) => client.select(*db),
            Ask::Echo => client.echo(),
            Ask::DbSize => client.ask(&[b"DBSIZE"], b":8\r\n".to_vec(), true),
            Ask::Crossed => client.ask(
                &[b"MGET", b"{t1}a", b"{t2}b"],
                b"-CROSSSLOT Keys in request don't hash to the same slot\r\n".to_vec(),
                false,
            ),
            Ask::Elsewhere => {
                let tag = tag(Owner::Other, 0);
                let reply = format!("-MOVED {} {}\r\n", crate::views::slot(&tag), crate::views::PEER);
                client.ask(&[b"GET", tag.as_bytes()], reply.into_bytes(), false);
            }
        }
    }
}

/// Carries out one step of a run.
pub(crate) fn take(world: &mut World, step: &Step) {
    let pick = |index: &Index, count: usize| index.index(count.max(1));
    let clients = world.clients.len();
    let link = |world: &World, index: &Index| world.links().get(pick(index, world.links().len())).copied();
    match step {
        Step::ClientSends(index, bytes) => {
            world.client_sends(pick(index, clients), *bytes);
        }
        Step::ClientTakes(index, bytes) => world.client_takes(pick(index, clients), *bytes),
        Step::Breaks(index) => {
            world.client_breaks(pick(index, clients));
            // Another client takes the place, while replies to the first are still on their way.
            let next = world.accept();
            let asks = [Ask::Get { tag: 0, len: 7 }, Ask::Get { tag: 1, len: 40_000 }, Ask::DbSize];
            prepare(&mut world.clients[next], &asks);
        }
        Step::NodeWindow(bytes) => world.node_window = *bytes,
        Step::Turn(us) => {
            world.end_turn();
            world.pass(*us);
        }
        Step::View(index) => {
            let views = [crate::views::BOTH, crate::views::SWAPPED, crate::views::FIRST_ONLY];
            world.update(Some(views[pick(index, views.len())]));
        }
        Step::NodeSends(index, _) | Step::Connects(index) | Step::NodeTakes(index) | Step::Fails(index) => {
            let Some(link) = link(world, index) else { return };
            match step {
                Step::NodeSends(_, bytes) => {
                    world.node_sends(link, *bytes);
                }
                Step::Connects(_) => world.connects(link),
                Step::NodeTakes(_) => world.node_takes(link),
                _ => world.fails(link),
            }
        }
    }
}
