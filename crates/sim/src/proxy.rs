//! A proxy: the real keeper, with imitated workers that take writes, and lines to its nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use keeper::{Action, Answer, Caller, Event as Happened, Keeper, Purpose, Start, VisitFault};
use model::{Address, Epoch, Moment, RunId, Slot};

use crate::event::{Event, NodeAsk, Process, ProxyAnswer, ProxyAsk, ReplyTo, WriteAsk};
use crate::out::Out;
use crate::planted::Planted;

/// A node that has not answered for so long does not answer.
const VISIT_LIMIT_US: u64 = 1_000_000;
/// A question for a replica that was not answered for so long has failed.
const ASK_LIMIT_US: u64 = 700_000;
/// How long workers take to go by new metadata, at most.
const APPLY_US_MAX: u64 = 2_000;
/// How long workers take to say what they owe, at most.
const OWED_US_MAX: u64 = 300;

/// By how much workers are late that look at fences late.
const LATE: Duration = Duration::from_millis(200);

/// What the workers go by.
#[derive(Debug, Default)]
struct Served {
    epoch: Epoch,
    /// By shard: the node that has its slots here.
    shards: BTreeMap<usize, Address>,
}

/// A write that is on its way to a node.
#[derive(Debug)]
struct UnderWay {
    write: u64,
    shard: usize,
    node: Address,
    epoch: Epoch,
}

/// What became of a client's write at a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WriteOutcome {
    /// The client has its OK.
    Acknowledged {
        /// Which write.
        write: u64,
        /// The epoch of the view by which it was taken.
        epoch: Epoch,
        /// Who executed it.
        node: Address,
    },
    /// The primary may not be used: no lease, no attached replica.
    Fenced {
        /// The shard.
        shard: usize,
    },
}

/// One process of a proxy.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// Its nodes, by their places in the world.
    pub(crate) nodes: BTreeMap<Address, usize>,
    keeper: Keeper,
    /// Names this process.
    run_id: Option<RunId>,
    served: Served,
    fences: BTreeMap<Address, Option<Moment>>,
    /// By node: the connection that is used now.
    connections: BTreeMap<Address, u64>,
    under_way: BTreeMap<u64, UnderWay>,
    callers: BTreeMap<Caller, ReplyTo>,
    /// The process that answered the last visit.
    visited: BTreeMap<Address, String>,
    heartbeats: BTreeSet<keeper::Ticket>,
    next: u64,
    wakes: Option<Moment>,
    /// What became of writes since the world looked last.
    pub(crate) outcomes: Vec<WriteOutcome>,
}

/// What it takes to start one.
#[derive(Debug)]
pub(crate) struct ProxyStart<'a> {
    /// Its address.
    pub(crate) address: Address,
    /// Names the process.
    pub(crate) process: &'a str,
    /// Its nodes, by their places in the world.
    pub(crate) nodes: BTreeMap<Address, usize>,
}

/// What the world knows that a proxy's workers need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings<'a> {
    /// The clock of its machine.
    pub(crate) moment: Moment,
    /// The first slot of each shard.
    pub(crate) slots: &'a [Slot],
    /// The rule that does not hold.
    pub(crate) planted: Option<Planted>,
}

impl Proxy {
    /// A process that was just started.
    #[must_use]
    pub(crate) fn start(start: ProxyStart<'_>, now: Moment) -> Self {
        let (announced, process, node_addresses) = (start.address, start.process, BTreeSet::new());
        let keeper = Keeper::new(Start { announced, process, node_addresses }, now);
        Self {
            nodes: start.nodes,
            keeper,
            run_id: process.parse().ok(),
            served: Served::default(),
            fences: BTreeMap::new(),
            connections: BTreeMap::new(),
            under_way: BTreeMap::new(),
            callers: BTreeMap::new(),
            visited: BTreeMap::new(),
            heartbeats: BTreeSet::new(),
            next: 0,
            wakes: None,
            outcomes: Vec::new(),
        }
    }

    /// The node that workers send the writes of a shard to.
    #[must_use]
    pub(crate) fn server(&self, shard: usize) -> Option<&Address> {
        self.served.shards.get(&shard)
    }

    /// Whether workers may use this node now.
    #[must_use]
    pub(crate) fn may_use(&self, node: &Address, around: Surroundings<'_>) -> bool {
        let until = self.fences.get(node).copied();
        let late = if around.planted == Some(Planted::FencesLate) { LATE } else { Duration::ZERO };
        let is_open = until.is_some_and(|until| until.is_none_or(|until| around.moment < until.plus(late)));
        is_open || (around.planted == Some(Planted::FencesIgnored) && until.is_some())
    }

    /// Something happens.
    pub(crate) fn handle(&mut self, event: Event, around: Surroundings<'_>, out: &mut Out) {
        match event {
            Event::AskProxy(from, ask) => self.asked(from, ask, around, out),
            Event::Keeper(event) => self.keep(*event, around, out),
            Event::Wake => {
                self.wakes = None;
                self.keep(Happened::Tick, around, out);
            }
            Event::Write(write, shard) => self.write(write, shard, around, out),
            Event::Written(ask, shard, is_done) => self.written(ask, shard, is_done, around),
            _ => unreachable!("not for a proxy"),
        }
    }

    fn asked(&mut self, from: ReplyTo, ask: ProxyAsk, around: Surroundings<'_>, out: &mut Out) {
        let ask = match ask {
            ProxyAsk::ByProcess(process, ask) => {
                let is_meant = process == self.run_id || around.planted == Some(Planted::AnyProcessTold);
                if !is_meant {
                    return out.answer(from, Event::FromProxy(from.request, Some(ProxyAnswer::Refused)));
                }
                *ask
            }
            ask => ask,
        };
        self.next += 1;
        let caller = Caller(self.next);
        self.callers.insert(caller, from);
        let event = match ask {
            ProxyAsk::Health(grant) => Happened::Health { caller, grant },
            ProxyAsk::SetRepl(command) => Happened::SetRepl { caller, command },
            ProxyAsk::SetCluster(command) => Happened::SetCluster { caller, command },
            ProxyAsk::Clean(epoch) => Happened::Clean { caller, epoch },
            ProxyAsk::ByProcess(..) => unreachable!("it was taken apart, and is not nested"),
        };
        self.keep(event, around, out);
    }

    fn keep(&mut self, mut event: Happened, around: Surroundings<'_>, out: &mut Out) {
        match &mut event {
            Happened::Visited { node, outcome: Ok(status), .. } => {
                self.visited.insert(node.clone(), status.run_id.clone());
                if around.planted == Some(Planted::RestartUnseen) {
                    "unseen".clone_into(&mut status.run_id);
                }
            }
            Happened::Visited { node, outcome: Err(_), .. } => drop(self.visited.remove(node)),
            Happened::Asked { ask, has_acknowledged, .. } => {
                let is_heartbeat = self.heartbeats.remove(ask);
                *has_acknowledged |= !is_heartbeat && around.planted == Some(Planted::HandoverUnasked);
            }
            Happened::Applied => self.serve(around),
            _ => {}
        }
        for action in self.keeper.handle(around.moment, event) {
            self.act(action, out);
        }
        let wakes = self.keeper.wakes_at();
        if let Some(at) = wakes.filter(|at| self.wakes.is_none_or(|known| *at < known)) {
            self.wakes = Some(at);
            out.at(at, Event::Wake);
        }
    }

    fn act(&mut self, action: Action, out: &mut Out) {
        let keeper = |event| Event::Keeper(Box::new(event));
        match action {
            Action::Apply => out.soon(APPLY_US_MAX, keeper(Happened::Applied)),
            Action::Answer { caller, answer } => self.answer(caller, answer, out),
            Action::Visit { node, visit } => self.visit(node, NodeAsk::Visit { visit, role: None }, out),
            Action::SetRole { node, visit, role, .. } => match self.visited.get(&node).cloned() {
                Some(process) => {
                    self.visit(node, NodeAsk::Visit { visit, role: Some((role, process)) }, out);
                }
                None => {
                    let outcome = Err(VisitFault::Failed("the connection is lost".to_owned()));
                    out.soon(OWED_US_MAX, keeper(Happened::Visited { node, visit, outcome }));
                }
            },
            Action::AskReplica { ask, primary, replica, purpose } => {
                if purpose == Purpose::Heartbeat {
                    self.heartbeats.insert(ask);
                }
                out.later(
                    ASK_LIMIT_US,
                    keeper(Happened::Asked { ask, has_acknowledged: false, replica_after: Duration::ZERO }),
                );
                out.send(
                    self.place(&primary),
                    Event::AskNode(out.reply(0), NodeAsk::Replica { ask, replica }),
                );
            }
            Action::AskOwed { ask, nodes } => {
                let replies = self.under_way.values().filter(|held| nodes.contains(&held.node)).count();
                out.soon(OWED_US_MAX, keeper(Happened::Owed { ask, replies }));
            }
            Action::CutOff { order, nodes } => {
                nodes.iter().for_each(|node| self.give_up(node));
                out.soon(OWED_US_MAX, keeper(Happened::CutOff { order }));
            }
            Action::Fence(fences) => self.fences = fences.into_iter().collect(),
            Action::Clean { nodes } => {
                for node in &nodes {
                    out.send(self.place(node), Event::AskNode(out.reply(0), NodeAsk::Flush));
                }
                out.later(5_000, keeper(Happened::Cleaned(Ok(()))));
            }
            Action::LookAtProcess { node, .. } => {
                out.send(self.place(&node), Event::LookAtProcess(out.reply(0)));
            }
            Action::Forget { .. } | Action::EndHeartbeat { .. } | Action::Lives { .. } => {}
        }
    }

    fn visit(&self, node: Address, ask: NodeAsk, out: &mut Out) {
        let NodeAsk::Visit { visit, .. } = ask else { return };
        out.send(self.place(&node), Event::AskNode(out.reply(0), ask));
        let outcome = Err(VisitFault::Silent("no answer in time".to_owned()));
        out.later(VISIT_LIMIT_US, Event::Keeper(Box::new(Happened::Visited { node, visit, outcome })));
    }

    fn place(&self, node: &Address) -> Process {
        Process::Node(*self.nodes.get(node).expect("metadata names own nodes only"))
    }

    fn answer(&mut self, caller: Caller, answer: Answer, out: &mut Out) {
        let Some(to) = self.callers.remove(&caller) else { return };
        let answer = match answer {
            Answer::Health(health) => ProxyAnswer::Health(health),
            // That it has this, or something newer, is no failure.
            Answer::Done | Answer::Refused(keeper::Refusal::OldEpoch) => ProxyAnswer::Done,
            Answer::Refused(_) | Answer::NotEmptyView | Answer::NotCleaned { .. } => ProxyAnswer::Refused,
        };
        out.answer(to, Event::FromProxy(to.request, Some(answer)));
    }

    /// The workers go by the view that was accepted last.
    fn serve(&mut self, around: Surroundings<'_>) {
        self.served = Served::default();
        let Some(view) = self.keeper.metadata().view() else { return };
        self.served.epoch = view.epoch;
        for local in &view.local {
            for (shard, slot) in around.slots.iter().enumerate() {
                if local.slots.iter().any(|slots| slots.tag.owns() && slots.ranges.contains(*slot)) {
                    self.served.shards.insert(shard, local.address.clone());
                }
            }
        }
    }

    fn write(&mut self, write: u64, shard: usize, around: Surroundings<'_>, out: &mut Out) {
        let Some(node) = self.served.shards.get(&shard).cloned() else { return };
        if !self.may_use(&node, around) {
            self.give_up(&node);
            return self.outcomes.push(WriteOutcome::Fenced { shard });
        }
        let connection = *self.connections.entry(node.clone()).or_default();
        let (to, epoch) = (self.place(&node), self.served.epoch);
        self.under_way.insert(write, UnderWay { write, shard, node, epoch });
        out.send(to, Event::AskNode(out.reply(shard as u64), NodeAsk::Write(WriteAsk { write, connection })));
    }

    fn written(&mut self, ask: WriteAsk, shard: usize, is_done: bool, around: Surroundings<'_>) {
        let Some(held) = self.under_way.remove(&ask.write).filter(|held| held.shard == shard) else { return };
        if self.connections.get(&held.node) != Some(&ask.connection) {
            return;
        }
        // The look before the delivery.
        if !self.may_use(&held.node, around) && self.fences.contains_key(&held.node) {
            return self.give_up(&held.node);
        }
        if is_done {
            let (write, epoch, node) = (held.write, held.epoch, held.node);
            self.outcomes.push(WriteOutcome::Acknowledged { write, epoch, node });
        }
    }

    /// The connections to a node are given up: what is due is answered with an error.
    fn give_up(&mut self, node: &Address) {
        *self.connections.entry(node.clone()).or_default() += 1;
        self.under_way.retain(|_, held| held.node != *node);
    }
}
