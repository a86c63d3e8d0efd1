//! What happens to nodes.

use model::Address;

use super::World;
use crate::event::{Event, NodeAsk, Process, ReplyTo};
use crate::node::{Link, Node, Source};
use crate::out::Out;
use crate::planted::Planted;

/// How often a replica looks for what is new.
const FOLLOW_US: u64 = 10_000;
/// How often a replica is asked whether it has everything, and for how long.
const ACKNOWLEDGED_LOOK_US: u64 = 2_000;
const ACKNOWLEDGE_US_MAX: u64 = 200_000;

impl World {
    pub(super) fn node_event(&mut self, place: usize, event: Event, out: &mut Out) {
        match event {
            Event::AskNode(from, ask) => self.node_asked(place, from, ask, out),
            Event::Acknowledged(from, ask, replica, offset, until) => {
                let is_any = || self.nodes[place].acknowledged.values().any(|has| *has >= offset);
                let counts_any = self.setup.planted == Some(Planted::AnyReplicaCounts);
                let has_acknowledged = self.says_it_has(place, &replica, offset) || (counts_any && is_any());
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

    /// Whether a replica says, to the proxy beside its primary, that it follows that one and is so far.
    fn says_it_has(&self, primary: usize, replica: &Address, offset: usize) -> bool {
        let Some(place) = self.nodes.iter().position(|node| node.address == *replica) else { return false };
        let (own, other) = (Process::Node(primary), Process::Node(place));
        let (node, is_asked) = (&self.nodes[place], self.acts(other) && self.joins(own, other));
        let follows = node.following.as_ref() == Some(&self.nodes[primary].address) && node.link == Link::Up;
        is_asked && follows && node.log.len() >= offset
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
    out.answer(
        from,
        Event::Keeper(Box::new(keeper::Event::Asked {
            ask,
            has_acknowledged,
            replica_after: std::time::Duration::ZERO,
        })),
    );
}

fn two_of(nodes: &mut [Node], one: usize, other: usize) -> (&mut Node, &mut Node) {
    let [one, other] = nodes.get_disjoint_mut([one, other]).expect("two different nodes");
    (one, other)
}
