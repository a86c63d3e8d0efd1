//! Taking primaries that are gone out of service, handing over those that shall move, and replacing proxies
//! that are of no use.
//!
//! ```text
//!             gone, replica usable            its proxy has the view without slots,
//!             or to be handed over            or its last lease has run out
//!   serving ───────────────────────▶ fenced ────────────────────────────────────────▶ the replica serves
//!      ▲                                │
//!      └────────────────────────────────┘ it is well again, or the replica is not usable any more
//! ```
//! Where somebody else had a replica take over before its primary had stopped, the new primary is the one that is
//! fenced, until the old one has stopped in the same way.

use model::{ATTACHED_FOR_MS, ATTACHED_SOON_MS, Address, ClusterName, NodeState};

use super::action::Action;
use super::watch::Watch;
use crate::allocate::replacement;
use crate::command::{Command, Stopped};
use crate::diagnose::{NodeCondition, ProxyCondition, node_health, proxy_health};
use crate::lease::lease_end_ms;
use crate::observed::{FenceSeen, ProxyObservation};
use crate::state::{Chunk, Fence, FenceId, FenceReason, Half, Proxy, ShardId, State, SyncState};
use crate::time::TimeMs;

/// Adds what there is to repair.
pub(super) fn repair(watch: &Watch<'_>, actions: &mut Vec<Action>) {
    for (name, cluster) in watch.trusted() {
        for (number, chunk) in cluster.chunks.iter().enumerate() {
            let place = Place { watch, name, number, chunk, has_free: false };
            actions
                .extend(Half::BOTH.into_iter().filter_map(|shard| place.release(shard)).map(Action::Apply));
        }
    }
    if !watch.observed.may_fail_over {
        return;
    }
    // Looked up once: where nothing is free, no half needs to look for a spare, turn after turn.
    let has_free = may_replace(watch.state) && !watch.state.settings.ordered_proxies;
    for (name, cluster) in watch.trusted() {
        for (number, chunk) in cluster.chunks.iter().enumerate() {
            let place = Place { watch, name, number, chunk, has_free };
            for shard in Half::BOTH {
                actions.extend(place.repair_shard(shard).map(Action::Apply));
            }
            for half in Half::BOTH {
                actions.extend(place.repair_half(half).map(Action::Apply));
            }
        }
    }
    // A dead proxy of the pool must not be given to anybody.
    let is_free = |proxy: &&Address| {
        let record = watch.state.proxies.get(proxy);
        watch.is_trusted(proxy)
            && record.is_some_and(|record| record.cluster.is_none() && record.failed_since.is_none())
    };
    for proxy in watch.state.failures.keys().filter(is_free) {
        if watch.observed.is_reported(watch.state, proxy, watch.now) {
            actions.push(Action::Apply(fail_over(watch, proxy)));
        }
    }
}

fn fail_over(watch: &Watch<'_>, proxy: &Address) -> Command {
    let decided_after = watch.state.proxies.get(proxy).map(|record| record.comebacks);
    Command::FailOverProxy { proxy: proxy.clone(), force: false, decided_after, now: watch.now }
}

/// Whether any proxy might take another's place: also one that was there before, in its own place again.
fn may_replace(state: &State) -> bool {
    state.proxies.values().any(Proxy::is_free)
}

/// How a primary is.
#[derive(PartialEq, Eq)]
enum Primary {
    Unknown,
    Well,
    Gone,
}

struct Place<'a> {
    watch: &'a Watch<'a>,
    name: &'a ClusterName,
    /// The chunk's place in the cluster's list.
    number: usize,
    chunk: &'a Chunk,
    has_free: bool,
}

impl Place<'_> {
    /// Lets a new primary serve whose predecessor had not been stopped, once that has stopped.
    fn release(&self, shard: Half) -> Option<Command> {
        self.chunk.shard(shard).deposed.as_ref()?;
        let fence = self.chunk.shard(shard).fence?;
        self.is_stopped(shard, fence).then(|| self.lift(shard, fence))
    }

    fn repair_shard(&self, shard: Half) -> Option<Command> {
        if self.chunk.shard(shard).deposed.is_some() {
            return None;
        }
        let primary = self.primary(shard);
        let can_promote = self.can_promote(shard);
        let Some(fence) = self.chunk.shard(shard).fence else {
            return (primary == Primary::Gone && can_promote).then(|| self.fence(shard, FenceReason::Dead));
        };
        match (primary, fence.reason) {
            (_, reason) if !can_promote && (self.is_unfit(shard) || reason.is_handover()) => {
                Some(self.lift(shard, fence))
            }
            (Primary::Gone, reason) if reason.is_handover() => Some(self.fence(shard, FenceReason::Dead)),
            (Primary::Gone, _) => {
                (can_promote && self.is_stopped(shard, fence) && self.has_let_go(shard, fence))
                    .then(|| self.promote(shard, fence))
            }
            (Primary::Well, FenceReason::Dead) => {
                self.is_well_since(shard, fence).then(|| self.lift(shard, fence))
            }
            (Primary::Well, reason) if reason.is_handover() && self.is_caught_up(shard, fence) => {
                Some(self.promote(shard, fence))
            }
            (_, reason)
                if reason.is_handover()
                    && self.fenced_for_ms(shard, fence) > self.watch.observed.timing.handover_ms_max =>
            {
                Some(self.lift(shard, fence))
            }
            _ => None,
        }
    }

    /// How the primary of a shard is. Its proxy's death is for a quorum to say; what a living proxy says of
    /// its own node needs no second witness.
    fn primary(&self, shard: Half) -> Primary {
        let proxy = self.chunk.primary_proxy(shard);
        let is_reported = self.is_given_up(proxy);
        match self.watch.primary(self.chunk, shard) {
            NodeCondition::Unreachable if is_reported => Primary::Gone,
            NodeCondition::Dead | NodeCondition::Loading | NodeCondition::Restarted
                if self.is_known_since_sync(shard) =>
            {
                Primary::Gone
            }
            // It was dead, is known to be busy now, and its replica has let go or is about to: waiting would only be longer.
            NodeCondition::Busy if self.is_fenced_as_dead(shard) => Primary::Gone,
            // While others say that it is gone, this one's word alone does not keep it in service: else one
            // would fence it and the other lift the fence, again and again.
            NodeCondition::Primary if !is_reported => Primary::Well,
            _ => Primary::Unknown,
        }
    }

    /// Whether what is known of the primary is newer than that its replica is in sync, as far as the metadata says so. A primary
    /// whose replica has just come to be in sync serves: what was heard of it before that, from its start or from before
    /// another coordinator let it serve, is over.
    fn is_known_since_sync(&self, shard: Half) -> bool {
        let replica = self.watch.observed.replicas.get(self.chunk.replica(shard));
        let noted = replica.filter(|seen| seen.sync == SyncState::InSync).map(|seen| seen.since);
        noted.is_none_or(|noted| self.watch.is_newer(self.chunk.primary_proxy(shard), noted))
    }

    /// Whether a primary that is well was still so, or again, after it had been fenced. The coordinator that fenced
    /// it may have heard of its death first, and its replica, which has let go, would be made to follow a dead node
    /// and be of no use.
    fn is_well_since(&self, shard: Half, fence: Fence) -> bool {
        let fenced = self.seen(shard, fence);
        fenced.is_some_and(|seen| self.watch.is_newer(self.chunk.primary_proxy(shard), seen.since))
    }

    fn is_fenced_as_dead(&self, shard: Half) -> bool {
        self.chunk.shard(shard).fence.is_some_and(|fence| fence.reason == FenceReason::Dead)
    }

    fn is_given_up(&self, proxy: &Address) -> bool {
        let state = self.watch.state;
        state.is_failed(proxy) || self.watch.observed.is_reported(state, proxy, self.watch.now)
    }

    /// Whether the replica has the data and lives. A link that broke is what a dead primary leaves behind;
    /// and behind a fence it may have let go already.
    fn can_promote(&self, shard: Half) -> bool {
        if self.was_never_served(shard) {
            let empty = self.watch.replica(self.chunk, shard);
            return matches!(empty, NodeCondition::Syncing | NodeCondition::LinkBroken { .. })
                || (empty == NodeCondition::Primary && self.chunk.shard(shard).fence.is_some());
        }
        let lives = match self.watch.replica(self.chunk, shard) {
            NodeCondition::Following | NodeCondition::LinkBroken { .. } => true,
            NodeCondition::Primary => self.chunk.shard(shard).fence.is_some(),
            _ => false,
        };
        lives && self.chunk.shard(shard).replica == SyncState::InSync
    }

    /// Whether the primary was dead on arrival: no coordinator has seen it live since it got its place, which the metadata
    /// tells, nor does this one now, and nobody has seen its replica in sync. Then there are no data that the replica could
    /// lack.
    fn was_never_served(&self, shard: Half) -> bool {
        let held = self.chunk.shard(shard);
        let is_dead = || {
            matches!(
                self.watch.primary(self.chunk, shard),
                NodeCondition::Unreachable | NodeCondition::Dead | NodeCondition::Unknown
            )
        };
        held.is_unbegun && held.replica == SyncState::Fresh && is_dead()
    }

    /// Whether the replica is known not to have the data. One that is only not heard for a moment may have it, and
    /// must not be made to follow its primary again: that may have lost its memory by now, and the replica would lose
    /// it, too.
    fn is_unfit(&self, shard: Half) -> bool {
        self.chunk.shard(shard).replica != SyncState::InSync && !self.was_never_served(shard)
    }

    /// Whether the fenced primary cannot take writes any more, whatever became of it.
    ///
    /// Its proxy has the view without its slots; or neither of the two things that let it serve is left: the
    /// last lease has run out, and the replica has let go for as long as it counts as attached after it was asked. Both are
    /// counted from when this coordinator saw them, which is never before they were.
    fn is_stopped(&self, shard: Half, fence: Fence) -> bool {
        let detached = self.seen(shard, fence).and_then(|seen| seen.detached);
        let is_alone = detached
            .is_some_and(|since| self.watch.now.since(since) >= lease_end_ms(self.attached_ms(shard, since)));
        self.has_heard(shard, fence) || (is_alone && self.is_lease_over(shard, fence))
    }

    /// For how long the old primary may go on by a replica that has let go then. A proxy that had a lease a moment ago goes by
    /// less than another: it said until when at least.
    fn attached_ms(&self, shard: Half, detached: TimeMs) -> u64 {
        let seen = self.watch.observed.proxies.get(self.chunk.stopping_proxy(shard));
        let soon_until = seen.and_then(ProxyObservation::attached_soon_until);
        if soon_until.is_some_and(|until| detached < until) { ATTACHED_SOON_MS } else { ATTACHED_FOR_MS }
    }

    /// Whether the last lease has run out: one that was granted right before the fence, or one by the last token that anybody
    /// had, where the broker knows of all who grant.
    fn is_lease_over(&self, shard: Half, fence: Fence) -> bool {
        let lease_ms = self.lease_ms(shard);
        let is_limited = lease_ms <= self.watch.state.lease_limit.held_ms;
        let over = self.seen(shard, fence).and_then(|seen| seen.lease_over).filter(|_| is_limited);
        over.is_some_and(|over| over <= self.watch.now)
            || self.fenced_for_ms(shard, fence) >= lease_end_ms(lease_ms)
    }

    /// Whether the replica was seen to have let go of the primary. One that still follows when it is promoted, by a proxy
    /// that hangs then, would follow on: and copy nothing, when that node is emptied for the next cluster.
    fn has_let_go(&self, shard: Half, fence: Fence) -> bool {
        self.seen(shard, fence).is_some_and(|seen| seen.detached.is_some())
    }

    /// How long a lease may last: another coordinator may grant longer ones than this, or have granted them.
    fn lease_ms(&self, shard: Half) -> u64 {
        let health = proxy_health(self.watch.observed, self.chunk.stopping_proxy(shard));
        let seen_ms = health.map_or(0, |health| health.lease_longest_ms);
        seen_ms.max(self.watch.observed.timing.lease_ms).max(self.watch.state.lease_limit.held_ms)
    }

    fn has_heard(&self, shard: Half, fence: Fence) -> bool {
        let epoch = self.watch.view_epoch(self.chunk.stopping_proxy(shard));
        epoch.is_some_and(|epoch| epoch >= fence.epoch)
    }

    /// How it is known that a primary which has stopped has.
    fn stopped(&self, shard: Half, fence: Fence) -> Stopped {
        match self.watch.view_epoch(self.chunk.stopping_proxy(shard)).filter(|epoch| *epoch >= fence.epoch) {
            Some(epoch) => Stopped::Heard { epoch },
            None => Stopped::LeaseOver { lease_ms: self.lease_ms(shard) },
        }
    }

    /// What was seen of the fence of a shard.
    fn seen(&self, shard: Half, fence: Fence) -> Option<&FenceSeen> {
        let shard = ShardId { chunk: self.number, shard };
        self.watch.observed.fences.get(&FenceId { cluster: self.name.clone(), shard, epoch: fence.epoch })
    }

    fn fenced_for_ms(&self, shard: Half, fence: Fence) -> u64 {
        self.seen(shard, fence).map_or(0, |seen| self.watch.now.since(seen.since))
    }

    /// Whether the replica has all that the primary had when it stopped: the primary's proxy has asked it, or both
    /// are equally far. Either counts only in an answer that was given after the primary had stopped.
    fn is_caught_up(&self, shard: Half, fence: Fence) -> bool {
        let health =
            node_health(self.watch.observed, self.chunk.primary_proxy(shard), self.chunk.primary(shard));
        let is_replicated = health.is_some_and(|health| health.replicated);
        self.has_heard(shard, fence) && (is_replicated || self.behind_bytes(shard) == Some(0))
    }

    fn behind_bytes(&self, shard: Half) -> Option<u64> {
        let offset = |proxy, node| Some(node_health(self.watch.observed, proxy, node)?.offset);
        let primary = offset(self.chunk.primary_proxy(shard), self.chunk.primary(shard))?;
        let replica = offset(self.chunk.replica_proxy(shard), self.chunk.replica(shard))?;
        Some(primary.saturating_sub(replica))
    }

    fn fence(&self, shard: Half, reason: FenceReason) -> Command {
        let (cluster, primary) = (self.name.clone(), self.chunk.primary(shard).clone());
        Command::FenceShard { cluster, primary, reason, now: self.watch.now }
    }

    fn lift(&self, shard: Half, fence: Fence) -> Command {
        let (cluster, primary) = (self.name.clone(), self.chunk.primary(shard).clone());
        // A primary that nobody was replaced by may go on without that.
        let stopped = self.chunk.shard(shard).deposed.as_ref().map(|_| self.stopped(shard, fence));
        Command::LiftFence { cluster, primary, fence: fence.epoch, stopped }
    }

    fn promote(&self, shard: Half, fence: Fence) -> Command {
        Command::FailOverShard {
            cluster: self.name.clone(),
            primary: self.chunk.primary(shard).clone(),
            fence: Some(fence.epoch),
            force: false,
            // What was seen of a primary that is handed over is older than what its proxy has made sure of.
            behind_bytes: self.behind_bytes(shard).filter(|_| !fence.reason.is_handover()),
            empty_primary: None,
            process: None,
            stopped: Some(self.stopped(shard, fence)),
            now: self.watch.now,
        }
    }

    /// Replaces a half that is dead, or whose node has been dead for long, once its primaries have moved.
    fn repair_half(&self, half: Half) -> Option<Command> {
        let (proxy, partner) = (self.chunk.proxy(half), self.chunk.proxy(half.other()));
        let is_dead = self.watch.proxy(proxy) == ProxyCondition::Dead && self.is_given_up(proxy);
        let is_crippled = !is_dead && self.has_lost_node(proxy);
        // Without a living partner what this half holds may be the last copy. It keeps its place.
        if !(is_dead || is_crippled) || !self.watch.is_alive(partner) {
            return None;
        }
        let state = self.watch.state;
        let has_spare = || self.has_free && replacement(state, proxy, partner).is_some();
        let mut primaries = self.chunk.primaries_in(half).peekable();
        if primaries.peek().is_some() {
            let can_move = |shard: &Half| {
                let held = self.chunk.shard(*shard);
                let settled_ms =
                    self.watch.observed.roles_settled_ms(self.chunk.replica(*shard), self.watch.now);
                let is_quiet = settled_ms >= self.watch.observed.timing.balance_quiet_ms;
                held.fence.is_none()
                    && is_quiet
                    && self.can_promote(*shard)
                    && self.watch.is_attached(self.chunk, *shard)
            };
            let moved = primaries.find(can_move).filter(|_| is_crippled && has_spare())?;
            return Some(self.fence(moved, FenceReason::Handover));
        }
        if self.holds_the_only_data(half) {
            return None;
        }
        let is_news = is_dead && !state.is_failed(proxy);
        (is_news || has_spare()).then(|| fail_over(self.watch, proxy))
    }

    /// Whether a primary of the other half is gone, and its replica here had all of it: a node that took this half's
    /// place would begin with nothing, and so would the shard.
    fn holds_the_only_data(&self, half: Half) -> bool {
        self.chunk.primaries_in(half.other()).any(|shard| {
            self.chunk.shard(shard).replica == SyncState::InSync && self.primary(shard) == Primary::Gone
        })
    }

    fn has_lost_node(&self, proxy: &Address) -> bool {
        let limit = self.watch.observed.timing.node_replace_ms;
        let health = proxy_health(self.watch.observed, proxy);
        let is_lost = |state: NodeState| match state {
            NodeState::Down { for_ms } | NodeState::Unseen { for_ms } => for_ms >= limit,
            NodeState::Up | NodeState::Loading | NodeState::Busy { .. } => false,
        };
        health.is_some_and(|health| health.nodes.iter().any(|node| is_lost(node.state)))
            && self.watch.is_alive(proxy)
    }
}
