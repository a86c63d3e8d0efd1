//! What happens to nodes.

use model::Address;

use super::World;
use crate::event::{Event, NodeAsk, Process, ReplyTo};
use crate::node::{Node, Source};
use crate::out::Out;
use crate::planted::Planted;

/// How often a replica looks for what is new.
const FOLLOW_US: u64 = 10_000;
/// How often a primary looks whether a replica has acknowledged, and for how long.
const ACKNOWLEDGED_LOOK_US: u64 = 2_000;
const ACKNOWLEDGE_US_MAX: u64 = 200_000;

impl World {
    pub(super) fn node_event(&mut self, place: usize, event: Event, out: &mut Out) {
        match event {
            Event::AskNode(from, ask) => self.node_asked(place, from, ask, out),
            Event::Acknowledged(from, ask, replica, offset, until) => {
                let node = &self.nodes[place];
                let has =
                    |replica: &Address| node.acknowledged.get(replica).is_some_and(|has| *has >= offset);
                let is_any = || node.acknowledged.keys().any(has);
                let counts_any = self.setup.planted == Some(Planted::AnyReplicaCounts);
                let has_acknowledged = has(&replica) || (counts_any && is_any());
                if has_acknowledged || self.now >= until {
                    asked(from, ask, has_acknowledged, out);
                } else {
                    let again = Event::Acknowledged(from, ask, replica, offset, until);
                    out.later(ACKNOWLEDGED_LOOK_US, again);
                }
            }
            Event::Follow => {
                self.follow(place);
                out.later(FOLLOW_US, Event::Follow);
            }
            _ => unreachable!("not for a node"),
        }
    }

    fn node_asked(&mut self, place: usize, from: ReplyTo, ask: NodeAsk, out: &mut Out) {
        let now = self.now;
        let node = &mut self.nodes[place];
        match ask {
            NodeAsk::Visit { visit, role } => {
                let is_lost = role.as_ref().is_some_and(|(_, process)| *process != node.run_id);
                if let Some((role, _)) = role.filter(|_| !is_lost) {
                    node.set_role(&role);
                }
                let outcome = if is_lost {
                    Err(keeper::VisitFault::Failed("the connection is lost".to_owned()))
                } else {
                    Ok(Box::new(node.status(now)))
                };
                let event = keeper::Event::Visited { node: node.address.clone(), visit, outcome };
                out.answer(from, Event::Keeper(Box::new(event)));
            }
            NodeAsk::Replica { ask, .. } if node.following.is_some() => asked(from, ask, false, out),
            NodeAsk::Replica { ask, replica } => {
                node.log.push(None);
                let (offset, until) = (node.log.len(), now + ACKNOWLEDGE_US_MAX);
                let look = Event::Acknowledged(from, ask, replica, offset, until);
                out.later(ACKNOWLEDGED_LOOK_US, look);
            }
            NodeAsk::Write(ask) => {
                let is_done = node.following.is_none();
                if is_done {
                    node.log.push(Some(ask.write));
                }
                let shard = usize::try_from(from.request).expect("a shard's place");
                out.answer(from, Event::Written(ask, shard, is_done));
            }
            NodeAsk::Flush => node.log.clear(),
        }
    }

    fn follow(&mut self, place: usize) {
        let Some(primary) = self.nodes[place].following.clone() else { return };
        let now = self.now;
        let source = self.nodes.iter().position(|node| node.address == primary);
        let Some(source) = source.filter(|source| *source != place) else {
            self.nodes[place].follow(Source::Refused, now);
            return;
        };
        let (own, other) = (Process::Node(place), Process::Node(source));
        let is_hung = self.processes[&other].is_running && !self.acts(other);
        let begin = if !self.joins(own, other) || is_hung {
            self.nodes[place].follow(Source::Silent, now)
        } else if !self.processes[&other].is_running || self.nodes[source].is_without_data() {
            self.nodes[place].follow(Source::Refused, now)
        } else {
            let (replica, source) = two_of(&mut self.nodes, place, source);
            replica.follow(Source::Answers(source), now)
        };
        if let Some(begin) = begin {
            let node = &self.nodes[place];
            let writes: Vec<u64> = node.log[begin..].iter().copied().flatten().collect();
            if !writes.is_empty() && self.is_named_replica(&node.address, &primary) {
                self.checks.writes.replicated(&writes);
            }
        }
    }

    /// Whether the metadata name this node as the replica of that one.
    fn is_named_replica(&self, replica: &Address, primary: &Address) -> bool {
        let chunks = self.state.clusters.values().flat_map(|cluster| &cluster.chunks);
        chunks.into_iter().any(|chunk| {
            control_core::Half::BOTH
                .into_iter()
                .any(|shard| chunk.replica(shard) == replica && chunk.primary(shard) == primary)
        })
    }
}

fn asked(from: ReplyTo, ask: keeper::Ticket, has_acknowledged: bool, out: &mut Out) {
    out.answer(from, Event::Keeper(Box::new(keeper::Event::Asked { ask, has_acknowledged })));
}

fn two_of(nodes: &mut [Node], one: usize, other: usize) -> (&mut Node, &mut Node) {
    let [one, other] = nodes.get_disjoint_mut([one, other]).expect("two different nodes");
    (one, other)
}
