//! Commands without a key: sent to each of this proxy's own primaries, the replies merged.

use crate::command::{Args, Command, Merge};
use crate::engine::Engine;
use crate::engine::request::dispatch::{Request, Taken};
use crate::engine::state::backend::Part;
use crate::engine::state::gather::{Gather, Kind};
use crate::engine::state::ids::{NodeKey, SessionId};
use crate::engine::state::order::ReplySlot;
use crate::engine::state::session::{Phase, WaitFor};
use crate::errors;
use crate::merge::{SCAN_NODES_MAX, ScanShards, scan_cursor_of, scan_request};
use crate::route::TargetIndex;

impl Engine {
    pub(in crate::engine) fn fan_out(
        &mut self,
        id: SessionId,
        command: &Command,
        kind: Merge,
        args: Args<'_>,
    ) -> Taken {
        if self.answer_without_nodes(id, command, kind) {
            return Taken::Yes;
        }
        let mut targets = self.keyless_targets(id);
        targets.truncate(SCAN_NODES_MAX);
        if kind == Merge::AnyNonNull {
            self.shuffle_well(&mut targets);
        }
        match targets[..] {
            [] => {
                self.reply_without_nodes(id);
                Taken::Yes
            }
            // With one primary as with several: there may be more at the next step.
            _ if kind == Merge::Scan => self.scan(id, command, args, &targets),
            [only] => self.forward(id, only, command.id, Request { args, origin: None, hops: None }),
            _ => self.scatter(id, (command, kind), args, &targets),
        }
    }

    /// Leaves out those that cannot be reached, where others can, and lets each be the first at random.
    fn shuffle_well(&mut self, targets: &mut Vec<TargetIndex>) {
        if targets.iter().any(|&target| self.is_well(target)) {
            targets.retain(|&target| self.is_well(target));
        }
        let first = self.random() % (targets.len() as u64).max(1);
        targets.rotate_left(first as usize);
    }

    /// Whether a target's node can be reached, as far as is known, and may be asked.
    pub(in crate::engine) fn is_well(&self, target: TargetIndex) -> bool {
        let Some(node) = self.nodes.of_target(target).map(|node| &self.nodes.nodes[node]) else {
            return false;
        };
        !node.shared().any(|backend| self.backends[backend].is_unreachable())
            && !self.is_fenced(&node.address)
    }

    /// SCRIPT KILL and FUNCTION KILL: to each primary on a connection of its own, because on the others they would wait
    /// behind the script that they are to end. What the session asked before and asks afterwards keeps its order.
    pub(in crate::engine) fn ask_apart(&mut self, id: SessionId, command: &Command, args: Args<'_>) -> Taken {
        let session = &mut self.sessions[id];
        if session.outstanding() > 0 {
            session.phase = Phase::Waiting(WaitFor::Replies);
            return Taken::Later;
        }
        let targets = self.nodes.primaries().iter().take(SCAN_NODES_MAX);
        let all: Vec<NodeKey> = targets.filter_map(|&target| self.nodes.of_target(target)).collect();
        let Some(&first) = all.first() else {
            self.reply_now(id, |out| errors::write(out, errors::CLUSTER_NOT_FOUND));
            return Taken::Yes;
        };
        let nodes: Vec<NodeKey> = all.into_iter().filter(|&node| !self.nodes.nodes[node].doubted).collect();
        if nodes.is_empty() {
            self.reply_unreachable(id, first);
            return Taken::Yes;
        }
        for (part, &node) in nodes.iter().enumerate() {
            let backend = self.apart_backend(id, node);
            let owed = self.owe(backend, id, command.id, Some(Part::new(part)));
            assert!(owed, "a connection that nobody else uses has room");
            self.send(backend, args.frame, None);
        }
        let session = &mut self.sessions[id];
        let sequence = session.take_sequence();
        let gather = Gather::new(Kind::Merged(Merge::OneOk), session.profile.protocol, nodes.len());
        *session.reply_slot(sequence) = ReplySlot::Gather(Box::new(gather));
        self.take_barrier(id);
        Taken::Yes
    }

    fn scatter(
        &mut self,
        id: SessionId,
        (command, kind): (&Command, Merge),
        args: Args<'_>,
        targets: &[TargetIndex],
    ) -> Taken {
        let mut backends = Vec::with_capacity(targets.len());
        for &target in targets {
            let Some(backend) = self.backend_for(id, target) else { return Taken::Yes };
            backends.push(backend);
        }
        let room = self.backend_room;
        if let Some(&full) = backends.iter().find(|&&backend| self.backends[backend].out.len() >= room) {
            self.wait_for_room(id, full);
            return Taken::Later;
        }
        for (part, &backend) in backends.iter().enumerate() {
            let owed = self.owe(backend, id, command.id, Some(Part::new(part)));
            assert!(owed, "room was made sure of before the first part was sent");
            self.send(backend, args.frame, None);
        }
        let session = &mut self.sessions[id];
        let sequence = session.take_sequence();
        let gather = Gather::new(Kind::Merged(kind), session.profile.protocol, backends.len());
        *session.reply_slot(sequence) = ReplySlot::Gather(Box::new(gather));
        Taken::Yes
    }

    /// SCAN over the primaries, one after the other: the cursor says which, and where in it.
    fn scan(&mut self, id: SessionId, command: &Command, args: Args<'_>, targets: &[TargetIndex]) -> Taken {
        let cursor = match scan_cursor_of(args) {
            Ok(cursor) => cursor,
            Err(error) => {
                self.reply_now(id, |out| errors::write(out, error));
                return Taken::Yes;
            }
        };
        let step = self.scan_shards(targets).step(cursor);
        let Some(backend) = self.backend_for(id, targets[step.shard]) else { return Taken::Yes };
        if !self.owe(backend, id, command.id, Some(Part::new(0))) {
            return Taken::Later;
        }
        let mut frame = self.pool.buffer();
        scan_request(args, step.backend_cursor, &mut frame);
        self.send(backend, &frame, None);
        self.pool.recycle(frame);
        let session = &mut self.sessions[id];
        let sequence = session.take_sequence();
        let gather = Gather::new(Kind::Scan(step), session.profile.protocol, 1);
        *session.reply_slot(sequence) = ReplySlot::Gather(Box::new(gather));
        Taken::Yes
    }

    /// What cursors are bound to: the shards here, and the processes that serve them.
    fn scan_shards(&self, targets: &[TargetIndex]) -> ScanShards {
        let layout = self.shared.view.as_deref().map_or(0, |view| view.routes.layout());
        let nodes = targets.iter().filter_map(|&target| self.nodes.of_target(target));
        let processes: Vec<(String, &str)> = nodes
            .map(|node| &self.nodes.nodes[node].address)
            .map(|address| {
                (address.to_string(), self.shared.run_ids.get(address).map_or("", |run_id| &**run_id))
            })
            .collect();
        ScanShards::new(layout, processes.iter().map(|(address, run_id)| (address.as_str(), *run_id)))
    }
}
