//! Proxies, nodes, coordinators and the network between them, under virtual time.
//!
//! What a proxy decides is the real keeper's; nodes, and how messages travel, are imitated. Everything that a proxy asks
//! its nodes is answered at once, or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use control_core::{
    Action, Command, Half, HostName, NewProxy, Observed, ReporterId, State, TimeMs, Timing, apply,
    desired_view, lease_epoch, reconcile,
};
use keeper::LeaseGrant;
use model::{Address, ClusterName, Slot};

use crate::coordinator::{Coordinator, Sent};
use crate::node::{SimNode, Source};
use crate::process::SimProxy;

/// The time between two steps of the world, in milliseconds.
pub(crate) const STEP_MS: u64 = 10;
/// How often a client writes to each shard.
const WRITE_MS: u64 = 50;
/// How often a coordinator asks each proxy. It looks whenever one has answered, and at least so often.
const TURN_MS: u64 = 50;

/// How long it takes until a new cluster is well and has been told to everybody.
const START_MS: u64 = 1_000;

pub(crate) struct World {
    pub(crate) now: TimeMs,
    pub(crate) state: State,
    pub(crate) commands: Vec<Command>,
    pub(crate) coordinators: Vec<Coordinator>,
    pub(crate) proxies: BTreeMap<Address, SimProxy>,
    /// Pairs of a coordinator and a proxy that cannot hear each other.
    pub(crate) deaf: BTreeSet<(usize, Address)>,
    /// Proxies whose nodes cannot be reached from other hosts, nor reach them.
    pub(crate) cut: BTreeSet<Address>,
    /// Every write that was acknowledged, by shard.
    pub(crate) written: BTreeMap<Slot, Vec<u64>>,
    next_write: u64,
}

impl World {
    /// That many hosts with that many proxies each, and a cluster of that many chunks.
    pub(crate) fn new(hosts: usize, each: usize, chunks: usize, coordinators: usize) -> Self {
        let mut world = Self::unwatched(hosts, each, chunks, coordinators);
        world.run(START_MS);
        assert!(world.is_healed(), "{}", world.picture());
        world
    }

    /// The same, before any coordinator has looked at it.
    pub(crate) fn unwatched(hosts: usize, each: usize, chunks: usize, coordinators: usize) -> Self {
        let now = TimeMs(1_000_000);
        let mut world = Self {
            now,
            state: State::default(),
            commands: Vec::new(),
            coordinators: Vec::new(),
            proxies: BTreeMap::new(),
            deaf: BTreeSet::new(),
            cut: BTreeSet::new(),
            written: BTreeMap::new(),
            next_write: 0,
        };
        for host in 0..hosts {
            for place in 0..each {
                let address = |port: usize| {
                    Address::new(&format!("10.0.0.{}", host + 1), u16::try_from(port).unwrap()).unwrap()
                };
                let nodes = vec![address(6000 + 2 * place), address(6001 + 2 * place)];
                world
                    .proxies
                    .insert(address(7000 + place), SimProxy::new(&address(7000 + place), &nodes, now));
                let new = NewProxy { address: address(7000 + place), nodes, host: None, index: None };
                world.apply(Command::RegisterProxy(new)).unwrap();
            }
        }
        let (cluster, node_number, config) = (cluster(), chunks * 4, BTreeMap::new());
        world.apply(Command::CreateCluster { cluster, node_number, config, now }).unwrap();
        for number in 0..coordinators {
            let name = ReporterId(format!("coordinator-{number}"));
            let observed = Observed::new(name, Timing::default(), now);
            let sent = Vec::new();
            world.coordinators.push(Coordinator {
                is_running: true,
                is_frozen: false,
                ahead_ms: 0,
                observed,
                delay_ms: 0,
                push_delay_ms: 0,
                sent,
                tokens: BTreeMap::new(),
            });
        }
        world
    }

    pub(crate) fn apply(
        &mut self,
        mut command: Command,
    ) -> Result<control_core::Reply, control_core::ApplyError> {
        command.stamp(self.now);
        let reply = apply(&mut self.state, command.clone());
        if reply.is_ok() {
            self.commands.push(command);
        }
        self.state.check().unwrap();
        reply
    }

    /// A coordinator is started anew: it knows what the metadata say, and nothing else.
    pub(crate) fn forget_everything(&mut self, number: usize) {
        let coordinator = &mut self.coordinators[number];
        let own = coordinator.clock(self.now);
        coordinator.observed =
            Observed::new(ReporterId(format!("coordinator-{number}")), Timing::default(), own);
        coordinator.sent.clear();
        coordinator.tokens.clear();
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, for_ms: u64) {
        for _ in 0..for_ms / STEP_MS {
            self.step();
        }
    }

    /// Lets time pass until something holds; how long it took.
    pub(crate) fn run_until(&mut self, limit_ms: u64, holds: impl Fn(&Self) -> bool) -> u64 {
        let start = self.now;
        while !holds(self) {
            assert!(self.now.since(start) < limit_ms, "not within {limit_ms} ms:\n{}", self.picture());
            self.step();
        }
        self.now.since(start)
    }

    pub(crate) fn step(&mut self) {
        self.now = TimeMs(self.now.0 + STEP_MS);
        self.replicate();
        self.write();
        for number in 0..self.coordinators.len() {
            if self.coordinators[number].is_frozen {
                continue;
            }
            self.deliver(number);
            let is_running = self.coordinators[number].is_running;
            if is_running && (self.listen(number) || self.is_due(number)) {
                self.turn(number);
            }
        }
    }

    /// The node that serves a slot, if any does. Two would be the end of all promises.
    pub(crate) fn server(&self, slot: Slot) -> Option<Address> {
        let mut found = None;
        for (address, proxy) in &self.proxies {
            for node in proxy.nodes.iter().filter(|node| proxy.serves(node, slot, self.now)) {
                assert!(found.is_none(), "slot {slot} at {address} and elsewhere:\n{}", self.picture());
                found = Some(node.address.clone());
            }
        }
        found
    }

    /// The lowest slot of each shard.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        let shards = self.state.clusters.values().flat_map(|c| &c.chunks).flat_map(|chunk| &chunk.shards);
        shards.filter_map(|shard| Some(shard.slots.ranges().first()?.first())).collect()
    }

    pub(crate) fn node(&self, address: &Address) -> &SimNode {
        self.proxies.values().flat_map(|proxy| &proxy.nodes).find(|node| node.address == *address).unwrap()
    }

    pub(crate) fn kill_proxy(&mut self, proxy: &Address) {
        let proxy = self.proxies.get_mut(proxy).unwrap();
        proxy.is_running = false;
    }

    pub(crate) fn start_proxy(&mut self, address: &Address) {
        let now = self.now;
        self.proxies.get_mut(address).unwrap().start(now);
    }

    pub(crate) fn kill_node(&mut self, address: &Address) {
        let node = self.node_mut(address);
        (node.is_running, node.hung_since) = (false, None);
    }

    /// Stops a node in the middle of what it does. Its proxy waits long for an answer until it says that it is down.
    pub(crate) fn freeze_node(&mut self, address: &Address) {
        let now = self.now;
        let node = self.node_mut(address);
        if node.is_running && node.hung_since.is_none() {
            node.hung_since = Some(now);
        }
    }

    /// Lets it go on, with all that it had.
    pub(crate) fn thaw_node(&mut self, address: &Address) {
        self.node_mut(address).hung_since = None;
    }

    /// Starts a node anew, with its data from disk or without.
    pub(crate) fn start_node(&mut self, address: &Address, has_data: bool) {
        self.node_mut(address).start(has_data);
    }

    pub(crate) fn node_mut(&mut self, address: &Address) -> &mut SimNode {
        let mut nodes = self.proxies.values_mut().flat_map(|proxy| &mut proxy.nodes);
        nodes.find(|node| node.address == *address).unwrap()
    }

    pub(crate) fn proxy_of(&self, node: &Address) -> Address {
        let has = |proxy: &SimProxy| proxy.nodes.iter().any(|other| other.address == *node);
        self.proxies.iter().find(|(_, proxy)| has(proxy)).unwrap().0.clone()
    }

    /// Whether every shard is served, from home, with a replica in sync, and no fence or failure is left.
    pub(crate) fn is_healed(&self) -> bool {
        let shards = self.state.clusters.values().flat_map(|c| &c.chunks).flat_map(|chunk| &chunk.shards);
        let mut is_well = true;
        for (shard, home) in shards.zip(Half::BOTH.into_iter().cycle()) {
            is_well &= shard.primary == home && shard.fence.is_none();
            is_well &= shard.replica == control_core::SyncState::InSync;
        }
        is_well && self.slots().into_iter().all(|slot| self.server(slot).is_some())
    }

    pub(crate) fn is_served(&self) -> bool {
        self.slots().into_iter().all(|slot| self.server(slot).is_some())
    }

    /// Acknowledged writes that the node that serves the slot does not have.
    pub(crate) fn lost(&self, slot: Slot) -> usize {
        let node = self.node(&self.server(slot).expect("the slot is served"));
        self.written.get(&slot).map_or(0, |all| all.iter().filter(|write| !node.data.contains(write)).count())
    }

    fn picture(&self) -> String {
        let chunks = self.state.clusters.values().flat_map(|cluster| &cluster.chunks);
        let chunks: Vec<String> = chunks.map(|chunk| format!("{chunk:?}")).collect();
        let last: Vec<String> =
            self.commands.iter().rev().take(8).map(|command| format!("{command:?}")).collect();
        format!("at {:?}\n{}\nlast commands:\n{}", self.now, chunks.join("\n"), last.join("\n"))
    }

    fn write(&mut self) {
        for slot in self.slots() {
            // Looked up at each step: this is where two servers of one slot would be found.
            let server = self.server(slot);
            if let Some(server) = server.filter(|_| self.now.0.is_multiple_of(WRITE_MS)) {
                self.next_write += 1;
                let write = self.next_write;
                self.node_mut(&server).data.push(write);
                self.written.entry(slot).or_default().push(write);
            }
        }
    }

    fn replicate(&mut self) {
        let now = self.now;
        let sources: BTreeMap<Address, Source> = self
            .proxies
            .iter()
            .flat_map(|(proxy, sim)| sim.nodes.iter().map(move |node| (proxy, node)))
            .map(|(proxy, node)| (node.address.clone(), node.source(self.cut.contains(proxy))))
            .collect();
        let mut heard = Vec::new();
        for (address, proxy) in &mut self.proxies {
            let is_cut = self.cut.contains(address);
            for node in proxy.nodes.iter_mut().filter(|node| node.answers()) {
                let Some(primary) = node.following.clone() else { continue };
                let source =
                    if is_cut { &Source::Silent } else { sources.get(&primary).unwrap_or(&Source::Gone) };
                if node.follow(source, now) {
                    heard.push((primary, node.address.clone()));
                }
            }
        }
        for (primary, replica) in heard {
            self.node_mut(&primary).acknowledged.insert(replica, now);
        }
        self.proxies.values_mut().filter(|proxy| proxy.is_running).for_each(|proxy| proxy.step(now));
    }

    fn can_hear(&self, number: usize, proxy: &Address) -> bool {
        self.proxies[proxy].is_running && !self.deaf.contains(&(number, proxy.clone()))
    }

    /// Whether now is the time of what is done once in so long, each thing at a time of its own.
    fn is_due(&self, place: usize) -> bool {
        (self.now.0 + STEP_MS * place as u64).is_multiple_of(TURN_MS)
    }

    /// One coordinator hears the proxies that it asks now, each at another time than others hear it; whether it heard
    /// any.
    fn listen(&mut self, number: usize) -> bool {
        let (now, mut has_heard) = (self.now, false);
        for (place, proxy) in self.proxies.keys().cloned().collect::<Vec<_>>().into_iter().enumerate() {
            if self.is_due(2 * number + place) && self.can_hear(number, &proxy) {
                let answer = self.proxies.get_mut(&proxy).unwrap().health(None, now);
                let coordinator = &mut self.coordinators[number];
                let own = coordinator.clock(now);
                coordinator.observed.note_answer(&proxy, answer.health, own, own);
                coordinator.tokens.insert(proxy, answer.token);
                has_heard = true;
            }
        }
        has_heard
    }

    /// One coordinator looks and decides.
    fn turn(&mut self, number: usize) {
        let now = self.now;
        let heard: Vec<Address> =
            self.proxies.keys().filter(|proxy| self.can_hear(number, proxy)).cloned().collect();
        let arrives = TimeMs(now.0 + self.coordinators[number].delay_ms);
        let coordinator = &mut self.coordinators[number];
        let own = coordinator.clock(now);
        coordinator.observed.note_state(&self.state, own, own);
        let has_view = |proxy: &Address| {
            lease_epoch(&self.state, proxy).is_some_and(|epoch| self.proxies[proxy].view_epoch >= epoch)
        };
        for proxy in heard.into_iter().filter(has_view) {
            let length = Duration::from_millis(coordinator.observed.timing.lease_ms);
            let Some(token) = coordinator.tokens.get(&proxy).cloned() else { continue };
            coordinator.sent.push((arrives, Sent::Lease { proxy, grant: LeaseGrant { token, length } }));
        }
        let pushed = TimeMs(arrives.0 + coordinator.push_delay_ms);
        for action in reconcile(&self.state, &coordinator.observed, own) {
            let Action::Push { proxy, makes_do, .. } = action else {
                coordinator.sent.push((arrives, Sent::Action(action)));
                continue;
            };
            let (mut roles, view) = desired_view(&self.state, &proxy).unwrap();
            roles.flags.force = makes_do.is_some();
            coordinator.sent.push((pushed, Sent::Push { proxy, roles, view }));
        }
    }

    fn deliver(&mut self, number: usize) {
        let now = self.now;
        let due: Vec<_> = self.coordinators[number].sent.extract_if(.., |(at, _)| *at <= now).collect();
        for (_, sent) in due {
            match sent {
                Sent::Action(Action::Apply(command)) => {
                    // Another coordinator may have been first.
                    let _ = self.apply(command);
                }
                Sent::Push { proxy, roles, view } if self.can_hear(number, &proxy) => {
                    self.proxies.get_mut(&proxy).unwrap().accept(roles, view, now);
                }
                Sent::Action(Action::Clean { proxy, epoch, .. }) if self.can_hear(number, &proxy) => {
                    let is_cleaned = self.proxies.get_mut(&proxy).unwrap().clean(epoch, now);
                    if is_cleaned {
                        let _ = self.apply(Command::ProxyCleaned { proxy, epoch });
                    }
                }
                Sent::Lease { proxy, grant } if self.can_hear(number, &proxy) => {
                    self.proxies.get_mut(&proxy).unwrap().health(Some(grant), now);
                }
                _ => {}
            }
        }
    }
}

pub(crate) fn cluster() -> ClusterName {
    "db".parse().unwrap()
}

pub(crate) fn host_of(proxy: &Address) -> HostName {
    HostName(proxy.host().to_owned())
}
