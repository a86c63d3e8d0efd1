//! How a world begins: machines with proxies and nodes, a control plane beside them, one cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use control_core::{Command, FenceClock, NewProxy, Readings, State, StoreSettings, TimeMs, Timing, apply};
use model::{Address, ClusterName};

use super::{Broker, MachineState, Status, WRITE_INTERVAL_US, World};
use crate::check::Checks;
use crate::clock::Clock;
use crate::coordinator::{Coordinator, CoordinatorStart, Watch};
use crate::dice::Dice;
use crate::event::{Event, Process};
use crate::network::Network;
use crate::node::Node;
use crate::out::Out;
use crate::proxy::{Proxy, ProxyStart};
use crate::setup::Setup;

/// A clock that is wrong runs three times as fast as it should.
const HURRIED_PPM: i64 = 2_000_000;
/// The date at the beginning of each world.
const DATE_MS: u64 = 1_700_000_000_000;
/// Every so many starts a coordinator has another setting.
const LEASE_APART_OF: usize = 4;
/// How long the leases are that it then grants, in milliseconds.
const LEASE_APART_MS: u64 = 900;

fn proxy_address(host: usize) -> Address {
    Address::new(&format!("10.0.0.{}", host + 1), 5299).expect("an address")
}

fn node_address(host: usize, place: usize) -> Address {
    let port = if place == 0 { 6379 } else { 6380 };
    Address::new(&format!("10.0.0.{}", host + 1), port).expect("an address")
}

/// Who belongs to a chunk is the metadata's to say: it is made before anybody runs.
fn metadata(setup: &Setup) -> State {
    let mut state = State::default();
    let mut change = |command| apply(&mut state, command).map(drop).expect("a valid beginning");
    for host in 0..setup.hosts {
        let nodes = (0..2).map(|place| node_address(host, place)).collect();
        change(Command::RegisterProxy(NewProxy {
            address: proxy_address(host),
            nodes,
            host: None,
            index: None,
        }));
    }
    change(Command::Configure(StoreSettings { failure_quorum: setup.quorum, ..StoreSettings::default() }));
    let cluster: ClusterName = "db".parse().expect("a name");
    let (node_number, config, now) = (setup.chunks * 4, BTreeMap::new(), TimeMs(DATE_MS));
    change(Command::CreateCluster { cluster, node_number, config, now });
    state
}

impl World {
    /// A world that has come up: all is well in it.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn new(setup: Setup, seed: u64) -> Self {
        let mut world = Self::begin(setup, seed);
        let is_up = world.run_until(10_000, Self::is_well);
        assert!(is_up || world.setup.planted.is_some(), "seed {seed} does not come up: {}", world.picture());
        world.run(1_000);
        world
    }

    /// A world in which everybody has just been started.
    #[must_use]
    pub fn begin(setup: Setup, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let state = Arc::new(metadata(&setup));
        let machines = setup.hosts + setup.coordinators.max(setup.brokers) + 1;
        let mut clock = || MachineState {
            clock: Clock {
                since_boot_us: 1_000_000 + dice.below(1 << 40),
                drift_ppm: dice.below(2 * setup.drift_ppm_max + 1).cast_signed()
                    - setup.drift_ppm_max.cast_signed(),
                date_ms: DATE_MS + dice.below(setup.date_ms_max + 1),
                stood_still_us: 0,
            },
            paused: None,
        };
        let mut machines: Vec<MachineState> = (0..machines).map(|_| clock()).collect();
        if let Some(number) = setup.hurried_coordinator {
            machines[setup.hosts + number].clock.drift_ppm = HURRIED_PPM;
        }
        let shards =
            state.clusters.values().flat_map(|cluster| &cluster.chunks).flat_map(|chunk| &chunk.shards);
        let slots: Vec<_> = shards.map(|shard| shard.slots.ranges()[0].first()).collect();
        let mut world = Self {
            now: 0,
            checks: Checks::new(&slots),
            state,
            network: Network::default(),
            queue: BTreeMap::new(),
            order: 0,
            dice,
            machines,
            processes: BTreeMap::new(),
            addresses: (0..setup.hosts).map(proxy_address).collect(),
            proxies: Vec::new(),
            nodes: Vec::new(),
            coordinators: Vec::new(),
            brokers: Vec::new(),
            slots,
            setup,
            next_write: 0,
            next_write_at: WRITE_INTERVAL_US,
        };
        world.populate();
        world
    }

    fn populate(&mut self) {
        for host in 0..self.setup.hosts {
            for place in 0..2 {
                self.add_node(node_address(host, place), host);
            }
            self.add(Process::Proxy(host), host);
            let proxy = self.new_proxy(host);
            self.proxies.push(proxy);
            self.wake(Process::Proxy(host));
        }
        for number in 0..self.setup.brokers {
            self.add(Process::Broker(number), self.setup.hosts + number);
            let broker = self.new_broker(number);
            self.brokers.push(broker);
        }
        for number in 0..self.setup.coordinators {
            self.add(Process::Coordinator(number), self.setup.hosts + number);
            let coordinator = self.new_coordinator(number);
            self.coordinators.push(coordinator);
        }
    }

    /// The machine on which foreign replicas are.
    pub(super) fn elsewhere(&self) -> usize {
        self.machines.len() - 1
    }

    pub(super) fn add_node(&mut self, address: Address, machine: usize) -> usize {
        let place = self.nodes.len();
        self.nodes.push(Node::start(address, format!("node-{place}-0"), Vec::new()));
        self.add(Process::Node(place), machine);
        self.schedule(self.now + self.order % 10_000, Process::Node(place), Some(0), Event::Follow);
        place
    }

    fn add(&mut self, process: Process, machine: usize) {
        let status = Status {
            machine,
            incarnation: 0,
            is_running: true,
            is_stopped: false,
            is_working: false,
            waiting: Vec::new(),
        };
        self.processes.insert(process, status);
    }

    pub(super) fn wake(&mut self, process: Process) {
        let incarnation = self.processes[&process].incarnation;
        self.schedule(self.now, process, Some(incarnation), Event::Wake);
    }

    pub(super) fn new_proxy(&self, host: usize) -> Proxy {
        let incarnation = self.processes[&Process::Proxy(host)].incarnation;
        let process = format!("proxy-{host}-{incarnation}");
        let nodes = (0..2).map(|place| (node_address(host, place), 2 * host + place)).collect();
        let start = ProxyStart { address: proxy_address(host), process: &process, nodes };
        Proxy::start(start, self.machines[host].clock.moment(self.now))
    }

    /// Where there are several, none knows who reads at the others.
    pub(super) fn new_broker(&self, number: usize) -> Broker {
        let moment = self.machines[self.machine_of(Process::Broker(number))].clock.moment(self.now);
        let readings = (self.setup.brokers == 1).then(|| Readings::new(moment));
        Broker { fences: FenceClock::default(), readings }
    }

    pub(super) fn new_coordinator(&mut self, number: usize) -> Coordinator {
        let process = Process::Coordinator(number);
        let clock = self.machines[self.machine_of(process)].clock.clone();
        let watch = Watch {
            moment: clock.moment(self.now),
            date: clock.date(self.now),
            proxies: &self.addresses,
            planted: self.setup.planted,
        };
        // Some are configured apart, or restarted with another setting.
        let incarnation = self.processes[&process].incarnation as usize;
        let is_apart = (number + incarnation) % LEASE_APART_OF == LEASE_APART_OF - 1;
        let timing = Timing::default();
        let lease_ms = if is_apart { LEASE_APART_MS } else { timing.lease_ms };
        let start = CoordinatorStart {
            number,
            reader: (number * 1_000 + incarnation) as u64,
            brokers: self.setup.brokers,
            broker: number % self.setup.brokers,
            timing: Timing { lease_ms, ..timing },
        };
        let mut out = Out::new(process, self.processes[&process].incarnation);
        let coordinator = Coordinator::start(start, watch, &mut out);
        self.carry_out(out);
        coordinator
    }

    /// The proxies that have a place in the cluster now.
    #[must_use]
    pub fn members(&self) -> BTreeSet<usize> {
        let chunks = self.state.clusters.values().flat_map(|cluster| &cluster.chunks);
        let proxies = chunks.flat_map(|chunk| &chunk.proxies);
        proxies.filter_map(|proxy| self.addresses.iter().position(|known| known == proxy)).collect()
    }
}

impl World {
    /// Machines with a proxy and two nodes each.
    #[must_use]
    pub fn hosts(&self) -> usize {
        self.setup.hosts
    }

    /// How many coordinators there are.
    #[must_use]
    pub fn coordinator_count(&self) -> usize {
        self.setup.coordinators
    }

    /// How many brokers there are.
    #[must_use]
    pub fn broker_count(&self) -> usize {
        self.setup.brokers
    }
}
