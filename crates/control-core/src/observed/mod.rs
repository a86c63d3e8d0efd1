//! What one coordinator has seen of the proxies and their nodes.

mod proxy;
mod seen;

use std::collections::{BTreeMap, HashMap};

use model::{ATTACHED_FOR_MS, ATTACHED_SOON_MS, Address, Epoch, NodeState, ProxyHealth, Role};

pub use self::proxy::ProxyObservation;
pub(crate) use self::seen::Alone;
pub use self::seen::{DatedSeen, FenceSeen, LateSeen, ReplicaSeen, ReportsSeen};
use crate::lease::lease_end_ms;
use crate::state::{Chunk, Fence, FenceId, LeaseLimit, Proxy, ReporterId, Shard, ShardId, State};
use crate::time::TimeMs;
use crate::timing::Timing;

/// How long it counts that a coordinator hears a proxy which others report. It says so again in time while that is so;
/// where it died with the proxy, the proxy is given up after this.
pub(crate) const VOUCHED_MS: u64 = 5_000;

/// All that one coordinator has seen. It is memory only: a coordinator that restarts knows nothing, and
/// does nothing about a proxy until it has watched it long enough.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Who it is.
    pub coordinator: ReporterId,
    /// How long it waits for what.
    pub timing: Timing,
    /// Whether it may take primaries out of service.
    pub may_fail_over: bool,
    /// What it saw of each proxy. Not sorted, because each turn looks up every proxy many times; so nothing may depend on
    /// the order of its rows.
    pub proxies: HashMap<Address, ProxyObservation>,
    /// What it saw of each fence.
    pub fences: BTreeMap<FenceId, FenceSeen>,
    /// What it saw in the metadata of each replica.
    pub replicas: HashMap<Address, ReplicaSeen>,
    /// When each node was last seen to be busy, within [`Timing::link_broken_ms`].
    pub busy: HashMap<Address, TimeMs>,
    /// The primaries that were last seen to have no replica attached.
    pub alone: HashMap<Address, Alone>,
    /// The proxies that answer and have an older view, or older roles, than the metadata has for them.
    pub late: HashMap<Address, LateSeen>,
    /// What it saw in the metadata of reports and of coordinators that vouch. Ages count by this coordinator's clock, from
    /// when it first saw what another clock has dated.
    pub reports: HashMap<Address, ReportsSeen>,
    /// When the last lease is over at the latest, by the broker that gave the metadata which are looked at, of each proxy
    /// that a fence is to stop.
    pub leases_over: BTreeMap<Address, TimeMs>,
    /// The limit of leases in the metadata, and when it was first seen.
    pub lease_limit: Option<(LeaseLimit, TimeMs)>,
    /// When the reading began that gave the metadata which are looked at.
    pub read_at: Option<TimeMs>,
    /// When it last looked at all.
    pub last_turn: TimeMs,
    /// When it last heard of any proxy.
    pub last_answer: TimeMs,
}

impl Observed {
    /// A coordinator that has seen nothing yet.
    #[must_use]
    pub fn new(coordinator: ReporterId, timing: Timing, now: TimeMs) -> Self {
        Self {
            coordinator,
            timing,
            may_fail_over: true,
            proxies: HashMap::new(),
            fences: BTreeMap::new(),
            replicas: HashMap::new(),
            busy: HashMap::new(),
            alone: HashMap::new(),
            late: HashMap::new(),
            reports: HashMap::new(),
            leases_over: BTreeMap::new(),
            lease_limit: None,
            read_at: None,
            last_turn: now,
            last_answer: now,
        }
    }

    /// Notes what the broker that gave a reading says of the last leases: how much longer, from now on, each may last. To be
    /// called before [`Self::note_state`] with that reading.
    pub fn note_leases_left<'a>(&mut self, left: impl Iterator<Item = (&'a Address, u64)>, now: TimeMs) {
        self.leases_over = left.map(|(proxy, left_ms)| (proxy.clone(), TimeMs(now.0 + left_ms))).collect();
    }

    /// Notes what the metadata has of proxies and fences, and when the reading began that gave them. To be called with each
    /// new state and before each [`crate::reconcile`].
    pub fn note_state(&mut self, state: &State, read_at: TimeMs, now: TimeMs) {
        self.read_at = Some(read_at);
        if now.since(self.last_turn) > self.timing.stall_ms {
            // The machine slept or this process was stopped: the silence was ours.
            self.watch_anew(now);
        }
        self.last_turn = now;
        let since =
            self.lease_limit.filter(|(limit, _)| *limit == state.lease_limit).map_or(now, |(_, since)| since);
        self.lease_limit = Some((state.lease_limit, since));
        self.proxies.retain(|address, _| state.proxies.contains_key(address));
        // Of a proxy that is registered no more nothing is heard.
        let is_known = |node: &Address| state.proxies.values().any(|record| record.nodes.contains(node));
        if self.alone.len() > state.proxies.len() * 2 {
            self.alone.retain(|node, _| is_known(node));
        }
        for (address, record) in &state.proxies {
            let has_failed = record.failed_since.is_some();
            if let Some(seen) = self.proxies.get_mut(address) {
                seen.failed_seen = has_failed.then(|| seen.failed_seen.unwrap_or(now));
            } else {
                self.proxies.insert(address.clone(), ProxyObservation::new(has_failed, now));
            }
        }
        let mut fences = BTreeMap::new();
        for (name, cluster) in &state.clusters {
            for ShardId { chunk: place, shard } in cluster.shard_ids() {
                let chunk = &cluster.chunks[place];
                self.note_replica(chunk.replica(shard), chunk.shard(shard), now);
                if let Some(Fence { epoch, .. }) = chunk.shard(shard).fence {
                    let id = FenceId { cluster: name.clone(), shard: ShardId { chunk: place, shard }, epoch };
                    let seen = self.fence_seen(&id, chunk, now);
                    fences.insert(id, seen);
                }
            }
        }
        self.fences = fences;
        self.replicas.retain(|_, seen| seen.last == now);
        self.note_reports(state, now);
        self.note_late(state, now);
    }

    /// Follows which proxies are to be given something. One that takes what it is given, however much, is not late.
    fn note_late(&mut self, state: &State, now: TimeMs) {
        let mut before = std::mem::take(&mut self.late);
        for (proxy, record) in &state.proxies {
            let Some(seen) = self.proxies.get(proxy) else { continue };
            let is_heard = seen.answered.is_some_and(|at| now.since(at) <= self.timing.proxy_dead_ms);
            let Some(health) = seen.health.as_ref().filter(|_| is_heard) else { continue };
            let Some(wanted) = given_epoch(state, record) else { continue };
            let has = health.view_epoch.min(health.roles_epoch);
            if has < wanted {
                let known = before.remove(proxy).filter(|known| known.has == has);
                self.late.insert(proxy.clone(), known.unwrap_or(LateSeen { has, since: now }));
            }
        }
    }

    fn note_replica(&mut self, replica: &Address, shard: &Shard, now: TimeMs) {
        let (sync, comeback) = (shard.replica, shard.comeback);
        let Some(seen) = self.replicas.get_mut(replica) else {
            let changed = DatedSeen { at: shard.changed, since: now };
            let seen = ReplicaSeen { changed, sync, since: now, comeback, comeback_since: now, last: now };
            self.replicas.insert(replica.clone(), seen);
            return;
        };
        let since = if seen.sync == sync { seen.since } else { now };
        let changed = DatedSeen::follow(Some(seen.changed), shard.changed, now);
        let comeback_since = if seen.comeback == comeback { seen.comeback_since } else { now };
        *seen = ReplicaSeen { changed, sync, since, comeback, comeback_since, last: now };
    }

    fn note_reports(&mut self, state: &State, now: TimeMs) {
        let mut before = std::mem::take(&mut self.reports);
        for (proxy, record) in &state.proxies {
            let reports = state.failures.get(proxy);
            // A vouch is followed from when it is first seen, disputed or not: its age counts by the own clock, and one
            // from an earlier dispute is old when the next begins.
            if reports.is_none() && record.vouched.is_none() {
                continue;
            }
            let known = before.remove(proxy).unwrap_or_default();
            let follow = |(reporter, at): (&ReporterId, &TimeMs)| {
                let seen = known.reports.get(reporter).copied();
                (reporter.clone(), DatedSeen::follow(seen, *at, now))
            };
            let vouch = record.vouched.as_ref();
            let vouch = vouch.map(|vouch| DatedSeen::follow(known.vouch, vouch.at, now));
            let reports = reports.into_iter().flatten().map(follow).collect();
            self.reports.insert(proxy.clone(), ReportsSeen { reports, vouch });
        }
    }

    /// How long ago the roles of a replica's shard were changed, as far as this coordinator has watched.
    pub(crate) fn roles_settled_ms(&self, replica: &Address, now: TimeMs) -> u64 {
        self.replicas.get(replica).map_or(0, |seen| now.since(seen.changed.since))
    }

    /// Whether enough coordinators report a proxy, and nobody hears it.
    pub(crate) fn is_reported(&self, state: &State, proxy: &Address, now: TimeMs) -> bool {
        let Some(seen) = self.reports.get(proxy) else { return false };
        let counts = |report: &&DatedSeen| now.since(report.since) <= state.settings.failure_ttl_ms;
        let is_heard = seen.vouch.is_some_and(|vouch| now.since(vouch.since) <= VOUCHED_MS);
        seen.reports.values().filter(counts).count() >= state.settings.failure_quorum.max(1) && !is_heard
    }

    fn fence_seen(&self, id: &FenceId, chunk: &Chunk, now: TimeMs) -> FenceSeen {
        let (shard, fence) = (id.shard.shard, id.epoch);
        let held = self.fences.get(id).copied().unwrap_or(FenceSeen {
            since: now,
            detached: None,
            lease_over: None,
        });
        let health = self.proxies.get(chunk.detaching_proxy(shard)).and_then(|seen| seen.health.as_ref());
        let has_let_go = health.is_some_and(|health| {
            let node = health.nodes.iter().find(|node| node.address == *chunk.detaching_node(shard));
            // That its proxy has the roles is not enough: a node that hangs has not heard of them.
            let told = node.and_then(|node| node.role_epoch).unwrap_or(health.roles_epoch);
            told >= fence
        });
        let lease_over = self.leases_over.get(chunk.stopping_proxy(shard)).copied();
        FenceSeen {
            detached: held.detached.or(has_let_go.then_some(now)),
            lease_over: lease_over.into_iter().chain(held.lease_over).min(),
            ..held
        }
    }

    /// Notes a proxy's answer that has come now, and when the probe that it answers had been sent.
    pub fn note_answer(&mut self, proxy: &Address, health: ProxyHealth, asked: TimeMs, now: TimeMs) {
        if now.since(self.last_answer) >= self.timing.proxy_dead_ms {
            // Nobody was heard at all: this coordinator was cut off, and the proxy that is heard first again must
            // not make the others dead.
            self.watch_anew(now);
        }
        self.last_answer = now;
        self.busy.retain(|_, at| now.since(*at) < self.timing.link_broken_ms);
        let is_busy = |state| matches!(state, NodeState::Busy { .. });
        let busy = health.nodes.iter().filter(|node| is_busy(node.state));
        self.busy.extend(busy.map(|node| (node.address.clone(), now)));
        self.note_alone(&health, now);
        if let Some(seen) = self.proxies.get_mut(proxy) {
            if !seen.is_of_known_process(&health) {
                seen.process_since = Some(now);
            }
            (seen.asked, seen.answered) = (Some(asked), Some(now));
            (seen.health, seen.is_unaskable) = (Some(health), false);
        }
    }

    fn note_alone(&mut self, health: &ProxyHealth, now: TimeMs) {
        for node in &health.nodes {
            let serves = node.state == NodeState::Up && node.role == Role::Primary && !node.restarted;
            if !serves || node.attached {
                self.alone.remove(&node.address);
                continue;
            }
            let new = Alone { since: now, stopped_since: None };
            let seen = self.alone.entry(node.address.clone()).or_insert(new);
            let has_no_lease = health.lease_ms == Some(0);
            seen.stopped_since = has_no_lease.then(|| seen.stopped_since.unwrap_or(now));
        }
    }

    /// Notes that a proxy gave no answer: because it is silent, or because this coordinator cannot ask it. From the
    /// last time that it could not, silence begins to count.
    pub fn note_no_answer(&mut self, proxy: &Address, could_ask: bool, now: TimeMs) {
        let Some(seen) = self.proxies.get_mut(proxy) else { return };
        if !could_ask {
            seen.watched_since = now;
        }
        seen.is_unaskable = !could_ask;
    }

    /// When next something comes to hold by the passing of time alone, that nobody waits longer for than needed: a proxy has
    /// been silent for long enough, or a fenced primary has stopped. `None` where nothing of that kind is to come.
    #[must_use]
    pub fn due_after(&self, now: TimeMs) -> Option<TimeMs> {
        let askable = self.proxies.values().filter(|seen| !seen.is_unaskable);
        let silent = askable.map(|seen| TimeMs(seen.heard().0 + self.timing.proxy_dead_ms));
        let held_ms = self.lease_limit.map_or(0, |(limit, _)| limit.held_ms);
        let lease_ms = lease_end_ms(self.timing.lease_ms.max(held_ms));
        let stopped = self.fences.values().flat_map(|seen| {
            let detached = |ms| seen.detached.map(|at| TimeMs(at.0 + lease_end_ms(ms)));
            let alone = [detached(ATTACHED_SOON_MS), detached(ATTACHED_FOR_MS)];
            let over = [Some(TimeMs(seen.since.0 + lease_ms)), seen.lease_over];
            alone.into_iter().chain(over).flatten()
        });
        silent.chain(stopped).filter(|at| *at > now).min()
    }

    /// What was silent until now is not dead for that.
    fn watch_anew(&mut self, now: TimeMs) {
        self.proxies.values_mut().for_each(|seen| seen.watched_since = now);
    }
}

/// The epoch of what a proxy is to have; `None` where it is told nothing for now.
fn given_epoch(state: &State, record: &Proxy) -> Option<Epoch> {
    if record.review || record.is_new {
        return None;
    }
    match record.cluster.as_ref().filter(|_| !record.dirty) {
        Some(name) => state.clusters.get(name).filter(|cluster| !cluster.review).map(|cluster| cluster.epoch),
        None => Some(record.epoch),
    }
}
