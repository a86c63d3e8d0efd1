//! Two proxies that forward to each other, each the other's client, while slots move between them and each hears of it
//! at a time of its own. Nothing fails: each increment is executed once, in the order of its session.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proxy_core::engine::{Pause, Policy};

use crate::client::Allowed;
use crate::node::Store;
use crate::views::{NODES, Owner, PEER, tag};
use crate::world::World;

const RANGES: [&str; 3] = ["0-5000", "5001-10000", "10001-15000"];

/// One thing that happens at one of the two proxies.
#[derive(Debug, Clone)]
enum Step {
    ClientSends(Index, usize),
    NodeSends(Index, usize),
    Connects(Index),
    Turn(u64),
    /// It hears that these of the three ranges of slots are its own, and the others are not.
    View([bool; 3]),
    /// What it has written to the other comes there.
    Forwards,
    /// Its clients' commands are held, or only those that write; or no more.
    Pause(Option<bool>),
    /// Nothing happens for so long, and then the other closes its connections.
    Cut(u64),
}

#[derive(Debug, Clone)]
struct Plan {
    policy: Policy,
    /// The two have connections to each other when it begins.
    knows_other: bool,
    /// For each client: at which proxy, and for each of its increments in which range.
    clients: Vec<(bool, Vec<usize>)>,
    steps: Vec<(bool, Step)>,
}

/// A plan in which the two lose their connections `cuts` times as often as the views change.
fn plan(cuts: u32) -> impl Strategy<Value = Plan> {
    let bytes = || prop_oneof![1usize..60, 60usize..5_000];
    let step = prop_oneof![
        8 => (any::<Index>(), bytes()).prop_map(|(client, bytes)| Step::ClientSends(client, bytes)),
        8 => (any::<Index>(), bytes()).prop_map(|(link, bytes)| Step::NodeSends(link, bytes)),
        4 => any::<Index>().prop_map(Step::Connects),
        8 => (0u64..500).prop_map(Step::Turn),
        2 => any::<[bool; 3]>().prop_map(Step::View),
        8 => Just(Step::Forwards),
        4 => any::<Option<bool>>().prop_map(Step::Pause),
        2 * cuts => prop_oneof![Just(0), Just(600_000)].prop_map(Step::Cut),
    ];
    let clients = vec((any::<bool>(), vec(0usize..3, 1..20)), 1..5);
    let outstanding = prop_oneof![Just(2u32), Just(16_384)];
    (outstanding, any::<bool>(), clients, vec((any::<bool>(), step), 0..200)).prop_map(
        |(outstanding_max, knows_other, clients, steps)| Plan {
            policy: Policy { outstanding_max, ..Policy::default() },
            knows_other,
            clients,
            steps,
        },
    )
}

/// The two proxies, and for each connection of the one, by its number, which client of the other it is.
struct Pair {
    worlds: [World; 2],
    wires: [BTreeMap<usize, usize>; 2],
}

fn view_of(me: usize, mine: [bool; 3]) -> String {
    let ranges = |whose: bool| -> Vec<&str> {
        RANGES.iter().zip(mine).filter(|(_, is_mine)| *is_mine == whose).map(|(range, _)| *range).collect()
    };
    let member = |address: &str, ranges: Vec<&str>| {
        if ranges.is_empty() {
            String::new()
        } else {
            format!("{address} {} {}", ranges.len(), ranges.join(" "))
        }
    };
    let peer = member(PEER, ranges(false));
    let peer = if peer.is_empty() { peer } else { format!("PEER {peer}") };
    format!("{} {peer}", member(NODES[me], ranges(true)))
}

impl Pair {
    fn new(policy: Policy) -> Pair {
        let store = Store::default();
        let world = |me: usize| {
            let mine = [me == 0, me == 1, me == 0];
            let mut world = World::with_settings(Some(&view_of(me, mine)), policy, |settings| {
                settings.active_redirection = true;
            });
            world.has_other = true;
            world.allowed = Allowed { moves: true, ..Allowed::default() };
            world.share_store(&store);
            world
        };
        Pair { worlds: [world(0), world(1)], wires: Default::default() }
    }

    /// A client of each has something forwarded.
    fn introduce(&mut self) {
        for (world, others) in self.worlds.iter_mut().zip([Owner::Second, Owner::First]) {
            let client = world.accept();
            world.clients[client].count(&tag(others, 99));
        }
        self.come_to_rest();
    }

    /// What one proxy has written to the other comes there, and what the other has answered comes back.
    fn forward(&mut self, me: usize) {
        let [first, second] = &mut self.worlds;
        let (here, there) = if me == 0 { (first, second) } else { (second, first) };
        let wires = &mut self.wires[me];
        let (mut open, mut ended) = (Vec::new(), Vec::new());
        for link in here.links.iter_mut().flatten().filter(|link| link.address.to_string() == PEER) {
            open.push(link.number);
            if !link.connected {
                continue;
            }
            let client = *wires.entry(link.number).or_insert_with(|| {
                let client = there.accept_from(link.end_seen());
                there.clients[client].log = Some(Vec::new());
                client
            });
            let client = &mut there.clients[client];
            if client.closed {
                ended.push((link.id.index(), link.number));
                continue;
            }
            client.outgoing.append(&mut link.under_way);
            link.replies.append(client.log.as_mut().unwrap());
        }
        // It asked for that itself: the connection is one that it has given up, or another worker of it.
        for (place, number) in ended {
            wires.remove(&number);
            here.fails(place);
        }
        let gone: Vec<usize> = wires.keys().filter(|number| !open.contains(number)).copied().collect();
        for number in gone {
            there.client_breaks(wires.remove(&number).unwrap());
        }
    }

    /// The other closes what this one has connected to it, as it does with what is idle.
    fn cut(&mut self, me: usize) {
        for place in self.worlds[me].links() {
            let Some(Some(link)) = self.worlds[me].links.get(place) else { continue };
            if let Some(client) = self.wires[me].remove(&link.number) {
                self.worlds[1 - me].client_breaks(client);
                self.worlds[me].fails(place);
            }
        }
    }

    fn take(&mut self, me: usize, step: &Step) {
        let world = &mut self.worlds[me];
        let links = world.links();
        let link = |index: &Index| links.get(index.index(links.len().max(1))).copied();
        match step {
            Step::ClientSends(index, bytes) if !world.clients.is_empty() => {
                world.client_sends(index.index(world.clients.len()), *bytes);
            }
            Step::ClientSends(..) => {}
            Step::NodeSends(index, bytes) => {
                if let Some(link) = link(index) {
                    world.node_sends(link, *bytes);
                }
            }
            Step::Connects(index) => {
                if let Some(link) = link(index) {
                    world.connects(link);
                }
            }
            Step::Turn(us) => {
                world.end_turn();
                world.pass(*us);
            }
            Step::View(mine) => world.update(Some(&view_of(me, *mine))),
            Step::Forwards => self.forward(me),
            Step::Pause(writes_only) => {
                let until_us = world.now.us + 60_000_000;
                world.engine.pause(writes_only.map(|writes_only| Pause { until_us, writes_only }));
            }
            Step::Cut(us) => {
                self.worlds.iter_mut().for_each(|world| world.pass(*us));
                self.cut(me);
            }
        }
        self.worlds.iter_mut().for_each(World::kill_whom_others_ask_for);
        // What is asked of the control side in this turn is counted at its end.
        self.worlds[me].engine.check();
    }

    /// Everything moves until all is answered, well before any limit in time.
    fn come_to_rest(&mut self) {
        const TURNS_MAX: usize = 400;
        self.worlds.iter_mut().for_each(World::answer_asks);
        for (me, mine) in [[true, false, true], [false, true, false]].into_iter().enumerate() {
            self.worlds[me].engine.pause(None);
            self.worlds[me].update(Some(&view_of(me, mine)));
        }
        for _ in 0..TURNS_MAX {
            for me in 0..2 {
                self.worlds[me].flow();
                self.worlds[me].answer_asks();
                self.forward(me);
                self.worlds[me].pass(1_000);
            }
            self.worlds.iter_mut().for_each(World::kill_whom_others_ask_for);
            let clients = || self.worlds.iter().flat_map(|world| &world.clients);
            if clients().all(|client| client.log.is_some() || client.has_everything()) {
                return;
            }
        }
        self.worlds.iter().for_each(World::check_nodes);
        self.worlds[0].stands_still();
    }
}

impl Plan {
    /// Has it happen, with so much allowed to fail; at the end each counter has what was acknowledged, and at most what
    /// may have been executed beside.
    fn play(&self, allowed: Allowed) {
        let mut pair = Pair::new(self.policy);
        pair.worlds.iter_mut().for_each(|world| world.allowed = allowed);
        if self.knows_other {
            pair.introduce();
        }
        for (number, (at, ranges)) in self.clients.iter().enumerate() {
            let world = &mut pair.worlds[usize::from(*at)];
            let client = world.accept();
            for range in ranges {
                let owner = [Owner::First, Owner::Second, Owner::Other][*range];
                world.clients[client].count(&tag(owner, number));
            }
        }
        for (at, step) in &self.steps {
            pair.take(usize::from(*at), step);
        }
        pair.come_to_rest();
        for world in &pair.worlds {
            let store = world.nodes.values().next().unwrap().store.borrow();
            for client in world.clients.iter().filter(|client| client.log.is_none()) {
                assert!(!client.closed, "nobody gave a reason to be closed");
                for (counter, counts) in &client.counts {
                    let value = store.get(counter).map_or("0".into(), |value| String::from_utf8_lossy(value));
                    let value: i64 = value.parse().unwrap();
                    let (least, unknown) = (counts.acknowledged, counts.unknown);
                    assert!((least..=least + unknown).contains(&value), "{value} of {counter:?}: {counts:?}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(crate::order::config())]

    #[test]
    fn two_proxies_forward_to_each_other(plan in plan(0)) {
        plan.play(Allowed { moves: true, ..Allowed::default() });
    }

    #[test]
    fn two_proxies_lose_their_connections(plan in plan(1)) {
        plan.play(Allowed { moves: true, failures: true, ..Allowed::default() });
    }
}

/// All commands of a proxy are held.
fn all_held(world: &mut World) {
    let until_us = world.now.us + 60_000_000;
    world.engine.pause(Some(Pause { until_us, writes_only: false }));
}

/// Two proxies of which the first has had a connection to the second for long enough, and a client of the first.
fn long_known() -> (Pair, usize) {
    let mut pair = Pair::new(Policy::default());
    pair.introduce();
    pair.worlds.iter_mut().for_each(|world| world.pass(600_000));
    let client = pair.worlds[0].accept();
    (pair, client)
}

#[test]
fn what_was_not_sent_when_the_other_closed_is_never_answered_by_a_token() {
    let (mut pair, client) = long_known();
    pair.worlds[0].clients[client].incr(&tag(Owner::Second, 0));
    pair.worlds[0].client_sends(client, usize::MAX);
    pair.cut(0);
    all_held(&mut pair.worlds[1]);
    for _ in 0..8 {
        (0..2).for_each(|me| pair.worlds[me].flow());
        pair.forward(0);
    }
    assert_eq!(pair.worlds[0].clients[client].replies, 0, "the other holds it");
    pair.come_to_rest();
}

#[test]
fn what_was_not_sent_when_the_other_closed_overtakes_nothing_that_is_held() {
    let (mut pair, client) = long_known();
    let key = tag(Owner::Second, 0);
    all_held(&mut pair.worlds[1]);
    let here = &mut pair.worlds[0];
    here.allowed = Allowed { failures: true, ..Allowed::default() };
    here.clients[client].count(&key);
    here.client_sends(client, usize::MAX);
    here.end_turn();
    pair.forward(0);
    pair.worlds[1].flow();
    pair.forward(0);
    // The second request is taken in the turn that reads that the first one would be held.
    let here = &mut pair.worlds[0];
    here.clients[client].count(&key);
    here.client_sends(client, usize::MAX);
    let links = here.links();
    for &link in &links {
        here.node_sends(link, usize::MAX);
    }
    pair.cut(0);
    pair.worlds[0].end_turn();
    pair.worlds[1].engine.pause(None);
    // The connection that all share is made before the one where the first is asked again.
    for _ in 0..8 {
        let here = &mut pair.worlds[0];
        for &link in &links {
            here.connects(link);
            here.node_sends(link, usize::MAX);
        }
        here.end_turn();
        pair.forward(0);
        pair.worlds[1].flow();
        pair.forward(0);
    }
    pair.come_to_rest();
    assert_eq!(pair.worlds[0].clients[client].replies, 2);
}
