//! One world: its processes, its network, its time, and what happens next.
//!
//! Everything is decided by the seed and the plan. An event goes to a process; what that wants then becomes messages,
//! which the network treats as it likes, and calls of itself. A process that is stopped, or whose machine is paused, finds
//! what came meanwhile when it goes on.

mod begin;
mod faults;
mod look;
mod nodes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use control_core::{Comeback, Command, FenceClock, KeysSeen, Readings, State, TimeMs, apply, leases_left};
use keeper::ProcessSeen;
use model::{Address, Slot};

use crate::check::Checks;
use crate::clock::{Clock, TrueUs};
use crate::coordinator::{Coordinator, Watch};
use crate::dice::Dice;
use crate::event::{BrokerAnswer, BrokerAsk, Event, NodeAsk, Process, ReplyTo};
use crate::network::{Machine, Network};
use crate::node::Node;
use crate::out::{Out, When};
use crate::planted::Planted;
use crate::proxy::{Proxy, Surroundings};
use crate::setup::Setup;

/// Between two writes of clients to each shard.
const WRITE_INTERVAL_US: u64 = 20_000;
/// How long it takes to look at a process.
const LOOK_US: u64 = 50;
/// How long a store takes, at most.
const STORE_US_MAX: u64 = 1_000;

/// Something that is going to happen.
#[derive(Debug)]
struct Scheduled {
    to: Process,
    /// To that process only, if it matters.
    incarnation: Option<u32>,
    event: Event,
}

/// Whether a process runs.
#[derive(Debug)]
struct Status {
    machine: Machine,
    incarnation: u32,
    is_running: bool,
    is_stopped: bool,
    /// It is stopped for others only: its process works.
    is_working: bool,
    /// What waits for it to go on.
    waiting: Vec<Scheduled>,
}

/// One machine.
#[derive(Debug)]
struct MachineState {
    clock: Clock,
    paused: Option<TrueUs>,
}

/// What a broker knows besides the metadata.
#[derive(Debug)]
struct Broker {
    fences: FenceClock,
    /// Who has read; `None` where others may have read elsewhere.
    readings: Option<Readings>,
}

/// A world.
#[derive(Debug)]
pub struct World {
    /// The true time.
    pub now: TrueUs,
    /// The metadata, as the store has it.
    pub state: Arc<State>,
    /// How messages fare.
    pub network: Network,
    /// What must hold.
    pub checks: Checks,
    /// What chooses among what can happen.
    pub dice: Dice,
    queue: BTreeMap<(TrueUs, u64), Scheduled>,
    order: u64,
    machines: Vec<MachineState>,
    processes: BTreeMap<Process, Status>,
    addresses: Vec<Address>,
    proxies: Vec<Proxy>,
    nodes: Vec<Node>,
    coordinators: Vec<Coordinator>,
    brokers: Vec<Broker>,
    slots: Vec<Slot>,
    setup: Setup,
    next_write: u64,
    next_write_at: TrueUs,
}

impl World {
    /// Lets time pass, unless something is found to be wrong.
    pub fn run(&mut self, for_ms: u64) {
        let end = self.now + for_ms * 1000;
        while self.checks.is_well() {
            let next = self.queue.first_key_value().map_or(end, |((at, _), _)| *at).min(self.next_write_at);
            if next >= end {
                break;
            }
            self.now = self.now.max(next);
            if next == self.next_write_at { self.clients_write() } else { self.step() }
        }
        self.now = end.max(self.now);
    }

    /// Lets time pass until something holds; whether it came to hold in time.
    pub fn run_until(&mut self, limit_ms: u64, mut holds: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + limit_ms * 1000;
        while self.now < end && self.checks.is_well() {
            if holds(self) {
                return true;
            }
            self.run(50);
        }
        holds(self)
    }

    /// Changes the metadata, as a broker does or an operator has it done.
    pub(crate) fn commit(
        &mut self,
        mut command: Command,
        broker: Option<usize>,
    ) -> Result<(), control_core::ApplyError> {
        let machine = broker.map_or(0, |broker| self.machine_of(Process::Broker(broker)));
        command.stamp(self.machines[machine].clock.date(self.now));
        let before = self.state.clone();
        if let Some(broker) = broker {
            let moment = self.machines[machine].clock.moment(self.now);
            let Broker { fences, readings } = &self.brokers[broker];
            fences.check(&before, &command, readings.as_ref(), moment)?;
        }
        let mut after = State::clone(&before);
        apply(&mut after, command.clone())?;
        self.state = Arc::new(after);
        self.checks.committed(&command, (&before, &self.state), &self.nodes, self.now);
        self.brokers_see();
        for coordinator in 0..self.coordinators.len() {
            // Whoever asked to be told of a change is.
            let after_us = self.dice.between(500, 6_000);
            let to = Process::Coordinator(coordinator);
            let joined = (0..self.brokers.len()).any(|broker| self.joins(to, Process::Broker(broker)));
            if joined {
                self.schedule(self.now + after_us, to, Some(self.processes[&to].incarnation), Event::Read);
            }
        }
        Ok(())
    }

    /// Each broker that acts hears of a change at once.
    fn brokers_see(&mut self) {
        for broker in 0..self.brokers.len() {
            let process = Process::Broker(broker);
            if self.acts(process) {
                let moment = self.machines[self.machine_of(process)].clock.moment(self.now);
                self.brokers[broker].fences.note(&self.state, moment);
            }
        }
    }

    /// An operator has the metadata changed.
    ///
    /// # Errors
    /// When the broker refuses that.
    pub fn order(&mut self, command: Command) -> Result<(), control_core::ApplyError> {
        self.commit(command, None)
    }

    /// An operator decides about primaries that came back while their replica may have more: whoever has more serves.
    pub(crate) fn decide_comebacks(&mut self) {
        for (primary, [own, others]) in self.waiting() {
            let cluster: model::ClusterName = "db".parse().expect("a name");
            let (keys, process) = (KeysSeen::default(), None);
            let command = if own >= others {
                Command::DecideComeback {
                    cluster,
                    primary,
                    comeback: Comeback::Serves,
                    keys,
                    process,
                    by_operator: true,
                }
            } else {
                Command::fail_over_unfenced(cluster, primary, true, TimeMs(0))
            };
            // What has changed meanwhile needs no operator any more.
            let _ = self.order(command);
        }
    }

    fn schedule(&mut self, at: TrueUs, to: Process, incarnation: Option<u32>, event: Event) {
        self.order += 1;
        self.queue.insert((at, self.order), Scheduled { to, incarnation, event });
    }

    fn step(&mut self) {
        let Some((_, scheduled)) = self.queue.pop_first() else { return };
        let status = self.processes.get_mut(&scheduled.to).expect("it is in the world");
        if status.is_stopped || self.machines[status.machine].paused.is_some() {
            return status.waiting.push(scheduled);
        }
        if !status.is_running {
            return self.refuse(scheduled.to, &scheduled.event);
        }
        if scheduled.incarnation.is_none_or(|meant| meant == status.incarnation) {
            let mut out = Out::new(scheduled.to, status.incarnation);
            self.deliver(scheduled.to, scheduled.event, &mut out);
            self.carry_out(out);
        }
    }

    fn deliver(&mut self, to: Process, event: Event, out: &mut Out) {
        let clock = self.machines[self.machine_of(to)].clock.clone();
        let (moment, date) = (clock.moment(self.now), clock.date(self.now));
        match to {
            Process::Proxy(place) => {
                let around = Surroundings { moment, slots: &self.slots, planted: self.setup.planted };
                self.proxies[place].handle(event, around, out);
                self.note_outcomes(place);
            }
            Process::Coordinator(place) => {
                let watch = Watch { moment, date, proxies: &self.addresses, planted: self.setup.planted };
                self.coordinators[place].handle(event, watch, out);
            }
            Process::Broker(place) => match event {
                Event::AskBroker(from, ask) => out.soon(STORE_US_MAX, Event::Look(from, ask)),
                Event::Look(from, ask) => self.look_at_store(place, from, ask, out),
                _ => unreachable!("not for a broker"),
            },
            Process::Node(place) => self.node_event(place, event, out),
        }
    }

    fn look_at_store(&mut self, broker: usize, from: ReplyTo, ask: BrokerAsk, out: &mut Out) {
        let moment = self.machines[self.machine_of(Process::Broker(broker))].clock.moment(self.now);
        let Broker { fences, readings } = &mut self.brokers[broker];
        fences.note(&self.state, moment);
        let answer = match ask {
            BrokerAsk::Read(note) => {
                let is_passed_over = self.setup.planted == Some(Planted::ReadersForgotten)
                    && from.process != Process::Coordinator(0);
                let left = readings.as_mut().map(|readings| {
                    if !is_passed_over {
                        readings.note(Some(note), moment);
                    }
                    leases_left(&self.state, readings, moment)
                });
                let whole = |left: Duration| left.as_micros().div_ceil(1_000) as u64;
                let left = left.into_iter().flatten().map(|(proxy, left)| (proxy, whole(left))).collect();
                BrokerAnswer::State(self.state.clone(), left)
            }
            BrokerAsk::Apply(command) => {
                // Another coordinator may have been first.
                let _ = self.commit(*command, Some(broker));
                BrokerAnswer::Applied
            }
        };
        out.answer(from, Event::FromBroker(from.request, Some(answer)));
    }

    fn carry_out(&mut self, out: Out) {
        let own = self.machine_of(out.process);
        for (when, event) in out.calls {
            let at = match when {
                When::After(after_us) => self.now + after_us,
                When::Within(within_us) => self.now + 10 + self.dice.below(within_us),
                When::At(moment) => self.machines[own].clock.when(moment, self.now),
            };
            self.schedule(at, out.process, Some(out.incarnation), event);
        }
        for (to, incarnation, event) in out.messages {
            match event {
                Event::LookAtProcess(from) => self.look_at_process(to, from),
                event => self.send(own, to, incarnation, event),
            }
        }
    }

    /// Nobody needs to answer for that: the kernel tells it.
    fn look_at_process(&mut self, of: Process, from: ReplyTo) {
        let Process::Node(place) = of else { return };
        let status = &self.processes[&of];
        let state = match (status.is_stopped, status.is_working) {
            (true, false) => 'T',
            (true, true) => 'R',
            (false, _) => 'S',
        };
        let seen = status.is_running.then_some(ProcessSeen { state, ticks: 0, ran_ns: 0 });
        let event = keeper::Event::Process { node: self.nodes[place].address.clone(), seen };
        let event = Event::Keeper(Box::new(event));
        self.schedule(self.now + LOOK_US, from.process, Some(from.incarnation), event);
    }

    fn send(&mut self, from: Machine, to: Process, incarnation: Option<u32>, event: Event) {
        let route = (from, self.machine_of(to));
        let arrivals = self.network.arrivals(route, self.now, &mut self.dice);
        if let [first, again @ ..] = arrivals.as_slice() {
            if let Some((at, copy)) = again.first().zip(copy_of(&event)) {
                self.schedule(*at, to, incarnation, copy);
            }
            self.schedule(*first, to, incarnation, event);
        }
    }

    /// Nobody listens where this was sent.
    fn refuse(&mut self, at: Process, event: &Event) {
        let from = self.machine_of(at);
        let keeper = |event| Event::Keeper(Box::new(event));
        let (to, answer) = match event {
            Event::AskProxy(from, _) => (*from, Event::FromProxy(from.request, None)),
            Event::AskBroker(from, _) => (*from, Event::FromBroker(from.request, None)),
            Event::AskNode(from, NodeAsk::Visit { visit, .. }) => {
                let Process::Node(place) = at else { return };
                let (node, outcome) = (
                    self.nodes[place].address.clone(),
                    Err(keeper::VisitFault::Failed("refused".to_owned())),
                );
                (*from, keeper(keeper::Event::Visited { node, visit: *visit, outcome }))
            }
            Event::AskNode(from, NodeAsk::Replica { ask, .. }) => (
                *from,
                keeper(keeper::Event::Asked {
                    ask: *ask,
                    has_acknowledged: false,
                    replica_after: Duration::ZERO,
                }),
            ),
            _ => return,
        };
        self.send(from, to.process, Some(to.incarnation), answer);
    }

    fn machine_of(&self, process: Process) -> Machine {
        self.processes[&process].machine
    }

    fn joins(&self, one: Process, other: Process) -> bool {
        self.network.joins(self.machine_of(one), self.machine_of(other))
    }

    /// Whether a process does what it is asked to.
    fn acts(&self, process: Process) -> bool {
        let status = &self.processes[&process];
        status.is_running && !status.is_stopped && self.machines[status.machine].paused.is_none()
    }

    fn clients_write(&mut self) {
        self.next_write_at += WRITE_INTERVAL_US;
        for shard in 0..self.slots.len() {
            for place in 0..self.proxies.len() {
                // Clients that know an old topology are there all the time.
                if self.processes[&Process::Proxy(place)].is_running
                    && self.proxies[place].server(shard).is_some()
                {
                    self.next_write += 1;
                    let after_us = self.dice.between(50, 500);
                    self.checks.writes.sent(self.next_write, shard);
                    let event = Event::Write(self.next_write, shard);
                    self.schedule(self.now + after_us, Process::Proxy(place), None, event);
                }
            }
        }
    }

    fn note_outcomes(&mut self, place: usize) {
        for outcome in std::mem::take(&mut self.proxies[place].outcomes) {
            let is_owed = self.is_lease_owed(place);
            self.checks.wrote(&outcome, is_owed, self.now);
        }
    }
}

/// A message that may come twice. Answers do not matter twice.
fn copy_of(event: &Event) -> Option<Event> {
    match event {
        Event::AskProxy(from, ask) => Some(Event::AskProxy(*from, ask.clone())),
        Event::AskBroker(from, ask) => Some(Event::AskBroker(*from, ask.clone())),
        _ => None,
    }
}
