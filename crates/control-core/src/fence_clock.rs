//! How long fences have stood, by the clock of the broker that is asked to act on them.
//!
//! A coordinator that promotes says how it knows that the old primary has stopped. Where that is so because its last lease
//! has run out, the broker does not take the coordinator's clock for it:
//! ```text
//!   coordinator whose clock is fast    fence ── 420 ms by its clock ──▶ promote
//!   broker                             fence ── 140 ms ───────────────▶ refused, asked again ── 420 ms ──▶ promoted
//!   old primary                        ─────── its lease lasts ──────────────────────────▶ stops
//! ```
//! It counts from when this broker first saw the fence, or from the last token of the proxy that is to stop, where it knows of
//! all readings ([`Readings`]). Dates in the metadata are of other brokers' clocks, which may be
//! apart. A request that comes late is harmless without that: it names its shard and its fence, and each fence that a shard ever
//! has has another epoch.
//!
//! **Contract.** A broker calls [`FenceClock::note`] with each state that it takes for current, and [`FenceClock::check`]
//! before it applies a command to one. `now` is a clock that never steps back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::{ATTACHED_FOR_MS, Address, Moment};

use crate::command::{Command, Stopped};
use crate::error::ApplyError;
use crate::lease::{LeaseClock, Readings, lease_end_ms};
use crate::state::{Fence, FenceId, Half, State};
use crate::timing::Timing;

/// A broker may hear of a fence that much later than the coordinator that acts on it; less than that fraction of a lease.
const HEARD_LATER: Duration = Duration::from_millis(10);

/// A fence has stood for that long at least, also where the last lease is over: until its replica has let go, and for as long
/// as a replica counts that was asked right before, a primary may serve. The coordinator measures that; this bounds what one
/// can do whose clock is fast.
const STANDS_MIN: Duration = Duration::from_millis(lease_end_ms(model::ATTACHED_SOON_MS) + 50);

/// When a broker first saw each fence that stands, and the limit of leases.
#[derive(Clone, Debug, Default)]
pub struct FenceClock {
    fences: BTreeMap<FenceId, Moment>,
    leases: LeaseClock,
}

impl FenceClock {
    /// Notes the fences of a state.
    pub fn note(&mut self, state: &State, now: Moment) {
        self.leases.note(state, now);
        let before = std::mem::take(&mut self.fences);
        for (name, cluster) in &state.clusters {
            for shard in cluster.shard_ids() {
                let Some(Fence { epoch, .. }) = cluster.shard(shard).fence else { continue };
                let id = FenceId { cluster: name.clone(), shard, epoch };
                let since = *before.get(&id).unwrap_or(&now);
                self.fences.insert(id, since);
            }
        }
    }

    /// Whether a command may be applied to a state as far as time goes.
    ///
    /// # Errors
    /// [`ApplyError::Retry`] where it lets another primary serve before the last lease has run out, or says that it has
    /// heard of a stop that was before the fence, or that longer leases have run out which may not have.
    pub fn check(
        &self,
        state: &State,
        command: &Command,
        readings: Option<&Readings>,
        now: Moment,
    ) -> Result<(), ApplyError> {
        self.leases.check(command, now)?;
        let Some((fenced, fence, stopped)) = lets_another_serve(state, command) else { return Ok(()) };
        // Of an earlier version, which does not say how it knows. A handover is completed by what was heard alone.
        let usual = Stopped::LeaseOver { lease_ms: Timing::default().lease_ms };
        let is_handover = fence.reason.is_handover();
        let stopped =
            stopped.unwrap_or(if is_handover { Stopped::Heard { epoch: fence.epoch } } else { usual });
        let lease_ms = match stopped {
            Stopped::Heard { epoch } if epoch >= fence.epoch => return Ok(()),
            Stopped::Heard { .. } => {
                return Err(ApplyError::Retry("the primary had stopped for another fence"));
            }
            Stopped::LeaseOver { lease_ms } => lease_ms.max(ATTACHED_FOR_MS).max(state.lease_limit.held_ms),
        };
        let lease_end = Duration::from_millis(lease_end_ms(lease_ms));
        let stands = self.fences.get(&fenced).map_or(Duration::ZERO, |since| now.since(*since));
        let is_silent_for = |readings: &Readings| {
            let stopping = stopping_proxy(state, &fenced)?;
            Some(now.since(readings.last_token(stopping)))
        };
        // A fence that this broker has not seen yet may be lifted before it is.
        let silent = readings.filter(|_| self.fences.contains_key(&fenced)).and_then(is_silent_for);
        let is_silent = silent.is_some_and(|silent| silent >= lease_end) && stands >= STANDS_MIN;
        if stands + HEARD_LATER < lease_end && !is_silent {
            return Err(ApplyError::Retry("the last lease of the primary may not have run out"));
        }
        Ok(())
    }
}

/// How much longer a lease may last of each proxy that a fence is to stop, by those who have read the metadata: for the
/// coordinators that wait for that.
#[must_use]
pub fn leases_left(state: &State, readings: &Readings, now: Moment) -> BTreeMap<Address, Duration> {
    let held_ms = state.lease_limit.held_ms.max(Timing::default().lease_ms);
    let lease_end = Duration::from_millis(lease_end_ms(held_ms));
    let clusters = state.clusters.values();
    let stopping: BTreeSet<&Address> = clusters
        .flat_map(|cluster| &cluster.chunks)
        .flat_map(|chunk| Half::BOTH.map(|shard| (chunk, shard)))
        .filter(|(chunk, shard)| chunk.shard(*shard).fence.is_some())
        .map(|(chunk, shard)| chunk.stopping_proxy(shard))
        .collect();
    let left = |proxy: &Address| lease_end.saturating_sub(now.since(readings.last_token(proxy)));
    stopping.into_iter().map(|proxy| (proxy.clone(), left(proxy))).collect()
}

fn stopping_proxy<'a>(state: &'a State, fenced: &FenceId) -> Option<&'a Address> {
    let chunk = state.clusters.get(&fenced.cluster)?.chunks.get(fenced.shard.chunk)?;
    Some(chunk.stopping_proxy(fenced.shard.shard))
}

/// The fence of a shard that a command has another node serve than before, if it names that fence and it stands; and how it is
/// said to be known that the one before has stopped.
fn lets_another_serve(state: &State, command: &Command) -> Option<(FenceId, Fence, Option<Stopped>)> {
    let (cluster, primary, epoch, stopped) = match command {
        Command::IfUnchanged { command, .. } => return lets_another_serve(state, command),
        Command::FailOverShard { cluster, primary, fence: Some(fence), stopped, .. } => {
            (cluster, primary, fence, stopped)
        }
        Command::LiftFence { cluster, primary, fence, stopped } => (cluster, primary, fence, stopped),
        _ => return None,
    };
    let held = state.clusters.get(cluster)?;
    let id = held.shard_of_primary(primary)?;
    let shard = held.shard(id);
    // Lifted from a primary that nobody was replaced by, a fence lets the same one go on.
    let is_same = matches!(command, Command::LiftFence { .. }) && shard.deposed.is_none();
    let fence = shard.fence.filter(|fence| !is_same && fence.epoch == *epoch)?;
    Some((FenceId { cluster: cluster.clone(), shard: id, epoch: *epoch }, fence, *stopped))
}

#[cfg(test)]
mod tests {
    use model::Epoch;

    use super::*;
    use crate::command::NewProxy;
    use crate::state::{FenceReason, SyncState};
    use crate::time::TimeMs;

    /// A cluster of one chunk, of which the first primary is fenced; what a command about it needs.
    fn fenced(reason: FenceReason) -> (State, Address, Epoch) {
        let mut state = State::default();
        let mut done = |command| crate::apply(&mut state, command).map(drop).unwrap();
        for host in 1..=2 {
            let address = format!("10.0.0.{host}:5299").parse().unwrap();
            let nodes = [6379, 6380].map(|port| format!("10.0.0.{host}:{port}").parse().unwrap()).to_vec();
            done(Command::RegisterProxy(NewProxy { address, nodes, host: None, index: None }));
        }
        let (cluster, now): (model::ClusterName, _) = ("db".parse().unwrap(), TimeMs(1));
        let (name, config) = (cluster.clone(), BTreeMap::new());
        done(Command::CreateCluster { cluster: name, node_number: 4, config, now });
        let primary: Address = "10.0.0.1:6379".parse().unwrap();
        let replica = state.clusters[&cluster].chunks[0].replica(Half::First).clone();
        let mut done = |command| crate::apply(&mut state, command).map(drop).unwrap();
        done(Command::SetReplicaSync { cluster: cluster.clone(), replica, sync: SyncState::InSync });
        done(Command::FenceShard { cluster: cluster.clone(), primary: primary.clone(), reason, now });
        let fence = state.clusters[&cluster].chunks[0].shard(Half::First).fence.unwrap().epoch;
        (state, primary, fence)
    }

    fn promotion(primary: &Address, fence: Epoch, stopped: Option<Stopped>) -> Command {
        Command::FailOverShard {
            cluster: "db".parse().unwrap(),
            primary: primary.clone(),
            fence: Some(fence),
            force: false,
            behind_bytes: None,
            empty_primary: None,
            process: None,
            stopped,
            now: TimeMs(2),
        }
    }

    #[test]
    fn a_promotion_waits_for_the_last_lease() {
        let at = |ms: u64| Moment(Duration::from_millis(1_000_000 + ms));
        let over = |lease_ms| Some(Stopped::LeaseOver { lease_ms });
        let dead = FenceReason::Dead;
        // How it is known, and from when on it is believed, in milliseconds since the fence was seen.
        for (reason, heard, stopped, from_ms) in [
            (dead, 0, over(400), 410),
            (dead, 0, over(1_000), 1_040),
            (dead, 0, over(0), 410),
            (dead, 0, None, 410),
            (dead, 0, Some(Stopped::Heard { epoch: Epoch(0) }), 0),
            (dead, 1, Some(Stopped::Heard { epoch: Epoch(0) }), u64::MAX),
            (FenceReason::Handover, 0, None, 0),
            (FenceReason::Planned, 0, over(400), 410),
        ] {
            let (state, primary, fence) = fenced(reason);
            let stopped = stopped.map(|stopped| match stopped {
                Stopped::Heard { .. } => Stopped::Heard { epoch: Epoch(fence.0 - heard) },
                stopped => stopped,
            });
            let mut clock = FenceClock::default();
            clock.note(&state, at(0));
            clock.note(&state, at(5));
            let command = promotion(&primary, fence, stopped);
            for ms in [0, 200, 409, 410, 1_039, 1_040, 5_000] {
                let is_refused = clock.check(&state, &command, None, at(ms)).is_err();
                assert_eq!(is_refused, ms < from_ms, "{reason:?} {stopped:?} at {ms}");
            }
        }
    }

    /// The proxy has been silent since before the fence: its last lease counts from then, where all readings are known.
    #[test]
    fn a_lease_may_be_over_before_one_has_passed_since_the_fence() {
        let at = |ms: u64| Moment(Duration::from_millis(1_000_000 + ms));
        let (state, primary, fence) = fenced(FenceReason::Dead);
        let promotion = |lease_ms| promotion(&primary, fence, Some(Stopped::LeaseOver { lease_ms }));
        let proxy: Address = "10.0.0.1:5299".parse().unwrap();
        let mut clock = FenceClock::default();
        clock.note(&state, at(300));
        // Since when the broker runs and the proxy is silent, for how long leases last, and from when on it is believed.
        for (started, silent_since, lease_ms, from_ms) in [
            (0, Some(20), 400, 455),
            (0, Some(80), 400, 500),
            (0, None, 400, 710),
            (0, Some(20), 1_000, 1_070),
            (150, Some(20), 400, 570),
        ] {
            let mut readings = Readings::new(at(started));
            readings.note(Some(note(1, [].into())), at(20));
            readings.note(Some(note(2, [].into())), at(80));
            let number = |since: u64| if since == 20 { 1 } else { 2 };
            let silent = silent_since.map(|since| (proxy.clone(), number(since)));
            readings.note(Some(note(3, silent.into_iter().collect())), at(310));
            for ms in [300, 400, 439, 440, 454, 455, 499, 500, 569, 570, 709, 710, 1_069, 1_070] {
                let checked = clock.check(&state, &promotion(lease_ms), Some(&readings), at(ms));
                assert_eq!(checked.is_err(), ms < from_ms, "{silent_since:?} {lease_ms} at {ms}");
            }
            let left = leases_left(&state, &readings, at(400));
            let last_ms = silent_since.unwrap_or(310).max(started);
            let expected = Duration::from_millis(420 + last_ms - 400);
            assert_eq!(left, BTreeMap::from([(proxy.clone(), expected)]), "{silent_since:?}");
        }
        // A broker that has not seen the fence may be wrong about what is read.
        let readings = Readings::new(at(0));
        let checked = FenceClock::default().check(&state, &promotion(400), Some(&readings), at(9_000));
        assert!(checked.is_err());
    }

    fn note(number: u64, silent: BTreeMap<Address, u64>) -> crate::lease::ReadingNote {
        crate::lease::ReadingNote { reader: 1, number, silent }
    }

    #[test]
    fn a_fence_that_was_not_seen_and_one_that_is_gone() {
        let at = |ms: u64| Moment(Duration::from_millis(ms));
        let (mut state, primary, fence) = fenced(FenceReason::Dead);
        let command = promotion(&primary, fence, Some(Stopped::LeaseOver { lease_ms: 400 }));
        let mut clock = FenceClock::default();
        assert!(clock.check(&state, &command, None, at(9_000)).is_err(), "this broker has just started");
        clock.note(&state, at(9_000));
        let cluster: model::ClusterName = "db".parse().unwrap();
        let lift =
            Command::LiftFence { cluster: cluster.clone(), primary: primary.clone(), fence, stopped: None };
        assert!(clock.check(&state, &lift, None, at(9_000)).is_ok(), "the same primary goes on");
        crate::apply(&mut state, lift).unwrap();
        assert!(
            clock.check(&state, &command, None, at(9_000)).is_ok(),
            "whoever applies it sees that the fence is gone"
        );
        assert!(crate::apply(&mut state.clone(), command).is_err());
        // A proxy is failed over by order: its replica is the primary, and fenced until the old one has stopped.
        let proxy = "10.0.0.1:5299".parse().unwrap();
        let order = Command::FailOverProxy { proxy, force: false, decided_after: None, now: TimeMs(3) };
        crate::apply(&mut state, order).unwrap();
        let chunk = &state.clusters[&cluster].chunks[0];
        let (primary, fence) =
            (chunk.primary(Half::First).clone(), chunk.shard(Half::First).fence.unwrap().epoch);
        clock.note(&state, at(10_000));
        let release = Command::LiftFence { cluster, primary, fence, stopped: None };
        assert!(clock.check(&state, &release, None, at(10_409)).is_err());
        assert!(clock.check(&state, &release, None, at(10_410)).is_ok());
    }
}
