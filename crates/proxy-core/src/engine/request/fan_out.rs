//! Commands without a key: sent to each of this proxy's own primaries, the replies merged. With `active_redirection` the
//! other proxies that own slots are asked, too, so that a client sees one server.

use crate::command::{Args, Command, Merge};
use crate::engine::Engine;
use crate::engine::request::dispatch::{Request, Taken};
use crate::engine::request::held::words;
use crate::engine::state::backend::Part;
use crate::engine::state::gather::{Gather, Kind};
use crate::engine::state::ids::{BackendId, NodeKey, SessionId};
use crate::engine::state::node_kind::NodeKind;
use crate::engine::state::order::ReplySlot;
use crate::engine::state::session::{Phase, WaitFor};
use crate::errors;
use crate::face::Face;
use crate::merge::{
    SCAN_NODES_MAX, ScanLevel, ScanMembers, ScanProcess, ScanShards, ScanStep, scan_cursor_of, scan_words,
};
use crate::route::TargetIndex;

/// Who is asked for a part of an answer.
#[derive(Debug, Clone, Copy)]
enum Asked {
    /// A node beside this proxy.
    Node(TargetIndex),
    /// Another proxy, which answers for the nodes beside it.
    Proxy(NodeKey),
}

impl Engine {
    pub(in crate::engine) fn fan_out(
        &mut self,
        id: SessionId,
        command: &Command,
        kind: Merge,
        request: Request<'_>,
    ) -> Taken {
        let args = request.args;
        let proxies = self.proxies_asked(id, request.hops);
        if proxies.is_empty() && self.answer_without_nodes(id, command, kind) {
            return Taken::Yes;
        }
        let has_data = self.shared.view.as_deref().is_none_or(|view| view.routes.has_data(Face::Primary));
        let mut targets = if proxies.is_empty() || has_data { self.keyless_targets(id) } else { Vec::new() };
        targets.truncate(SCAN_NODES_MAX);
        // With one primary as with several: there may be more at the next step.
        if kind == Merge::Scan && !(targets.is_empty() && proxies.is_empty()) {
            return self.scan(id, command, args, (&targets, &proxies));
        }
        let nodes = targets.into_iter().map(Asked::Node);
        let mut asked: Vec<Asked> = nodes.chain(proxies.into_iter().map(Asked::Proxy)).collect();
        if kind == Merge::AnyNonNull {
            self.shuffle_well(&mut asked);
        }
        match asked[..] {
            [] => {
                self.reply_without_nodes(id);
                Taken::Yes
            }
            [Asked::Node(only)] => self.forward(id, only, command.id, Request { origin: None, ..request }),
            _ => self.scatter(id, (command, kind), args, &asked),
        }
    }

    /// The other proxies that have a part of the answer: those that own slots, where this one answers for all of them, and
    /// is not asked by one of them.
    fn proxies_asked(&self, id: SessionId, hops: Option<u8>) -> Vec<NodeKey> {
        let answers_for_all = hops.is_none()
            && self.shared.settings.active_redirection
            && self.sessions[id].profile.face == Face::Primary;
        if answers_for_all { self.nodes.owning_proxies().to_vec() } else { Vec::new() }
    }

    /// Leaves out those that cannot be reached, where others can, and lets each be the first at random.
    fn shuffle_well(&mut self, asked: &mut Vec<Asked>) {
        let is_well = |engine: &Engine, asked: &Asked| match *asked {
            Asked::Node(target) => engine.is_well(target),
            Asked::Proxy(proxy) => !engine.is_unreachable(proxy),
        };
        if asked.iter().any(|asked| is_well(self, asked)) {
            asked.retain(|asked| is_well(self, asked));
        }
        let first = self.random.next() % (asked.len() as u64).max(1);
        asked.rotate_left(first as usize);
    }

    /// Whether a node or proxy is known not to be reached now.
    fn is_unreachable(&self, node: NodeKey) -> bool {
        self.nodes.nodes[node].shared().any(|backend| self.backends[backend].is_unreachable())
    }

    /// Whether a target's node can be reached, as far as is known, and may be asked.
    pub(in crate::engine) fn is_well(&self, target: TargetIndex) -> bool {
        let Some(node) = self.nodes.of_target(target) else { return false };
        !self.is_unreachable(node) && !self.is_fenced(&self.nodes.nodes[node].address)
    }

    /// SCRIPT KILL and FUNCTION KILL: to each primary on a connection for nothing else, because on the others they would
    /// wait behind the script that they are to end. What the session asked before and asks afterwards keeps its order.
    pub(in crate::engine) fn ask_apart(
        &mut self,
        id: SessionId,
        command: &Command,
        request: Request<'_>,
    ) -> Taken {
        let args = request.args;
        let session = &mut self.sessions[id];
        if session.outstanding() > 0 {
            session.phase = Phase::Waiting(WaitFor::Replies);
            return Taken::Later;
        }
        let protocol = session.profile.protocol;
        let targets = self.nodes.primaries().iter().take(SCAN_NODES_MAX);
        let nodes = targets.filter_map(|&target| self.nodes.of_target(target));
        let all: Vec<NodeKey> = nodes.chain(self.proxies_asked(id, request.hops)).collect();
        let Some(&first) = all.first() else {
            self.clients().reply_now(id, |out| errors::write(out, errors::CLUSTER_NOT_FOUND));
            return Taken::Yes;
        };
        let mut backends: Vec<BackendId> = Vec::with_capacity(all.len());
        for node in all {
            if self.nodes.nodes[node].doubted {
                continue;
            }
            let backend = self.connections().apart_backend(protocol, node);
            if !self.backends[backend].is_unreachable() {
                backends.push(backend);
            }
        }
        if backends.is_empty() {
            self.connections().reply_unreachable(id, first);
            return Taken::Yes;
        }
        if let Some(&full) = backends.iter().find(|&&backend| !self.takes_more(backend)) {
            self.sending().wait_for_room(id, full);
            return Taken::Later;
        }
        for (part, &backend) in backends.iter().enumerate() {
            let owed = self.sending().owe(backend, id, command.id, Some(Part::new(part)));
            assert!(owed, "room was made sure of before the first part was sent");
            match self.nodes.nodes[self.backends[backend].purpose.node].kind {
                NodeKind::Local => self.sending().send(backend, args.frame, None),
                NodeKind::Proxy => self.send_part(id, backend, words(args)),
            }
        }
        let session = &mut self.sessions[id];
        let sequence = session.take_sequence();
        let gather = Gather::new(Kind::Merged(Merge::OneOk), protocol, backends.len());
        *session.reply_slot(sequence) = ReplySlot::Gather(Box::new(gather));
        self.clients().take_barrier(id);
        Taken::Yes
    }

    fn scatter(
        &mut self,
        id: SessionId,
        (command, kind): (&Command, Merge),
        args: Args<'_>,
        asked: &[Asked],
    ) -> Taken {
        let hops = self.part_hops();
        let is_forwarded = asked.iter().any(|asked| matches!(asked, Asked::Proxy(_)));
        if is_forwarded && !self.goes_as_before(id, hops) {
            return Taken::Later;
        }
        let mut backends = Vec::with_capacity(asked.len());
        for &asked in asked {
            let backend = match asked {
                Asked::Node(target) => self.connections().backend_for(id, target),
                Asked::Proxy(proxy) => self.connections().backend_of_node(id, proxy, Some(hops)),
            };
            let Some(backend) = backend else { return Taken::Yes };
            backends.push(backend);
        }
        if let Some(&full) = backends.iter().find(|&&backend| !self.takes_more(backend)) {
            self.sending().wait_for_room(id, full);
            return Taken::Later;
        }
        for (part, (&backend, asked)) in backends.iter().zip(asked).enumerate() {
            let owed = self.sending().owe(backend, id, command.id, Some(Part::new(part)));
            assert!(owed, "room was made sure of before the first part was sent");
            match asked {
                Asked::Node(_) => self.sending().send(backend, args.frame, None),
                Asked::Proxy(_) => self.send_part(id, backend, words(args)),
            }
        }
        let session = &mut self.sessions[id];
        let sequence = session.take_sequence();
        let gather = Gather::new(Kind::Merged(kind), session.profile.protocol, backends.len());
        *session.reply_slot(sequence) = ReplySlot::Gather(Box::new(gather));
        Taken::Yes
    }

    /// What goes with a part that another proxy is asked for. It answers for itself whatever this says; but so the part goes
    /// over the connection that the session's requests with keys go over, in their order.
    fn part_hops(&self) -> u8 {
        self.shared.settings.max_redirections.saturating_sub(1)
    }

    /// Asks another proxy for its part of an answer.
    fn send_part<'a>(
        &mut self,
        id: SessionId,
        backend: BackendId,
        words: (usize, impl Iterator<Item = &'a [u8]>),
    ) {
        self.send_forwarded(id, backend, (self.part_hops(), true), words);
    }

    /// SCAN over the primaries here, and over the other proxies asked, one after the other: the cursor says which, and where
    /// in it.
    fn scan(
        &mut self,
        id: SessionId,
        command: &Command,
        args: Args<'_>,
        (targets, proxies): (&[TargetIndex], &[NodeKey]),
    ) -> Taken {
        let cursor = match scan_cursor_of(args) {
            Ok(cursor) => cursor,
            Err(error) => {
                self.clients().reply_now(id, |out| errors::write(out, error));
                return Taken::Yes;
            }
        };
        let member = self.scan_member(cursor, !targets.is_empty(), proxies);
        if member.proxy.is_some() && !self.goes_as_before(id, self.part_hops()) {
            return Taken::Later;
        }
        let (backend, step) = match member.proxy {
            Some(proxy) => {
                let hops = self.part_hops();
                let step =
                    ScanStep::elsewhere(member.cursor, member.place.expect("a proxy is one of several"));
                (self.connections().backend_of_node(id, proxy, Some(hops)), step)
            }
            None => {
                let layout = self.shared.view.as_deref().map_or(0, |view| view.routes.layout());
                let step = ScanShards::new(layout, targets.len()).step(member.cursor).within(member.place);
                (self.connections().backend_for(id, targets[step.shard]), step)
            }
        };
        let Some(backend) = backend else { return Taken::Yes };
        if !self.takes_more(backend) {
            self.sending().wait_for_room(id, backend);
            return Taken::Later;
        }
        if member.proxy.is_none() {
            self.ask_process(backend);
        }
        // Asking for the process may have taken the room.
        if !self.sending().owe(backend, id, command.id, Some(Part::new(0))) {
            return Taken::Later;
        }
        let mut digits = itoa::Buffer::new();
        let request = scan_words(args, digits.format(step.backend_cursor));
        if member.proxy.is_some() {
            self.send_part(id, backend, (request.len(), request.into_iter()));
        } else {
            let mut frame = self.pool.buffer();
            resp::encode::request(&mut frame, &request);
            self.sending().send(backend, &frame, None);
            self.pool.recycle(frame);
        }
        let address = self.nodes.nodes[self.backends[backend].purpose.node].address.to_string();
        let process = ScanProcess::new(&address, "");
        let session = &mut self.sessions[id];
        let sequence = session.take_sequence();
        let gather = Gather::new(Kind::Scan(step, process), session.profile.protocol, 1);
        *session.reply_slot(sequence) = ReplySlot::Gather(Box::new(gather));
        Taken::Yes
    }

    /// The member of a scan that a cursor leads to: this proxy, or one of the others asked.
    fn scan_member(&self, cursor: u64, is_member: bool, proxies: &[NodeKey]) -> ScanMember {
        if proxies.is_empty() {
            return ScanMember { proxy: None, cursor, place: None };
        }
        let address = |&proxy: &NodeKey| (self.nodes.nodes[proxy].address.to_string(), Some(proxy));
        let mut members: Vec<(String, Option<NodeKey>)> = proxies.iter().map(address).collect();
        if is_member {
            members.push((self.shared.settings.announce_address.to_string(), None));
        }
        members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let scanned = ScanMembers::new(members.iter().map(|(address, _)| address.as_str()));
        let (member, cursor, place) = scanned.step(cursor);
        ScanMember { proxy: members[member].1, cursor, place: Some(place) }
    }
}

/// Where a scan goes on.
struct ScanMember {
    /// Which proxy has it; `None` for this one.
    proxy: Option<NodeKey>,
    /// The cursor there.
    cursor: u64,
    /// Its place among the members, where there are several.
    place: Option<ScanLevel>,
}
