//! How long fences have stood, by the clock of the broker that is asked to act on them.
//!
//! A coordinator that promotes says how it knows that the old primary has stopped. Where that is so because its last lease
//! has run out, the broker does not take the coordinator's clock for it:
//! ```text
//!   coordinator whose clock is fast    fence ── 420 ms by its clock ──▶ promote
//!   broker                             fence ── 140 ms ───────────────▶ refused, asked again ── 420 ms ──▶ promoted
//!   old primary                        ─────── its lease lasts ──────────────────────────▶ stops
//! ```
//! It counts from when this broker first saw the fence: dates in the metadata are of other brokers' clocks, which may be
//! apart. A request that comes late is harmless without that: it names its shard and its fence, and each fence that a shard ever
//! has has another epoch.
//!
//! **Contract.** A broker calls [`FenceClock::note`] with each state that it takes for current, and [`FenceClock::check`]
//! before it applies a command to one. `now` is a clock that never steps back.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{ATTACHED_FOR_MS, Moment};

use crate::command::{Command, Stopped};
use crate::error::ApplyError;
use crate::lease::{LeaseClock, lease_end_ms};
use crate::state::{Fence, FenceId, State};
use crate::timing::Timing;

/// A broker may hear of a fence that much later than the coordinator that acts on it; less than that fraction of a lease.
const HEARD_LATER: Duration = Duration::from_millis(10);

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
    pub fn check(&self, state: &State, command: &Command, now: Moment) -> Result<(), ApplyError> {
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
        let stands = self.fences.get(&fenced).map_or(Duration::ZERO, |since| now.since(*since));
        if stands + HEARD_LATER < Duration::from_millis(lease_end_ms(lease_ms)) {
            return Err(ApplyError::Retry("the last lease of the primary may not have run out"));
        }
        Ok(())
    }
}

/// The fence of a shard that a command has another node serve than before, if it names that fence and it stands; and how it is
/// said to be known that the one before has stopped.
fn lets_another_serve(state: &State, command: &Command) -> Option<(FenceId, Fence, Option<Stopped>)> {
    let (cluster, primary, epoch, stopped) = match command {
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
    use crate::state::{FenceReason, Half, SyncState};
    use crate::time::TimeMs;

    /// A cluster of one chunk, of which the first primary is fenced; what a command about it needs.
    fn fenced(reason: FenceReason) -> (State, model::Address, Epoch) {
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
        let primary: model::Address = "10.0.0.1:6379".parse().unwrap();
        let replica = state.clusters[&cluster].chunks[0].replica(Half::First).clone();
        let mut done = |command| crate::apply(&mut state, command).map(drop).unwrap();
        done(Command::SetReplicaSync { cluster: cluster.clone(), replica, sync: SyncState::InSync });
        done(Command::FenceShard { cluster: cluster.clone(), primary: primary.clone(), reason, now });
        let fence = state.clusters[&cluster].chunks[0].shard(Half::First).fence.unwrap().epoch;
        (state, primary, fence)
    }

    fn promotion(primary: &model::Address, fence: Epoch, stopped: Option<Stopped>) -> Command {
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
                let is_refused = clock.check(&state, &command, at(ms)).is_err();
                assert_eq!(is_refused, ms < from_ms, "{reason:?} {stopped:?} at {ms}");
            }
        }
    }

    #[test]
    fn a_fence_that_was_not_seen_and_one_that_is_gone() {
        let at = |ms: u64| Moment(Duration::from_millis(ms));
        let (mut state, primary, fence) = fenced(FenceReason::Dead);
        let command = promotion(&primary, fence, Some(Stopped::LeaseOver { lease_ms: 400 }));
        let mut clock = FenceClock::default();
        assert!(clock.check(&state, &command, at(9_000)).is_err(), "this broker has just started");
        clock.note(&state, at(9_000));
        let cluster: model::ClusterName = "db".parse().unwrap();
        let lift =
            Command::LiftFence { cluster: cluster.clone(), primary: primary.clone(), fence, stopped: None };
        assert!(clock.check(&state, &lift, at(9_000)).is_ok(), "the same primary goes on");
        crate::apply(&mut state, lift).unwrap();
        assert!(
            clock.check(&state, &command, at(9_000)).is_ok(),
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
        assert!(clock.check(&state, &release, at(10_409)).is_err());
        assert!(clock.check(&state, &release, at(10_410)).is_ok());
    }
}
