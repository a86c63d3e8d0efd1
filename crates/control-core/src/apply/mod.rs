//! Applies a command to the state: the only way in which the state changes.

mod clusters;
mod comebacks;
mod epochs;
mod failover;
mod failures;
mod fences;
mod leases;
mod migrations;
mod nodes;
mod proxies;
mod reviews;
mod scaling;
mod settled;

use crate::command::{Command, Reply};
use crate::error::ApplyError;
use crate::state::State;

/// Applies one command. When it is refused, the state is as it was.
///
/// Deterministic: the same commands on the same state give the same state and the same replies.
pub fn apply(state: &mut State, command: Command) -> Result<Reply, ApplyError> {
    reviews::check_trusted(state, &command)?;
    // Every arm checks all that can go wrong before it changes anything.
    match command {
        Command::Configure(settings) => {
            state.settings = settings;
            Ok(Reply::Done)
        }
        Command::SetReplicaAddresses(addresses) => {
            state.replica_addresses = addresses;
            Ok(Reply::Done)
        }
        Command::CreateCluster { cluster, node_number, config, now } => {
            clusters::create(state, cluster, node_number, &config, now)
        }
        Command::IfUnchanged { cluster, epoch, command } => {
            clusters::check_unchanged(state, &cluster, epoch)?;
            apply(state, *command)
        }
        Command::DeleteCluster { cluster } => clusters::delete(state, &cluster),
        Command::SetConfig { cluster, fields } => clusters::set_config(state, &cluster, &fields),
        Command::AddNodes { cluster, node_number, now } => nodes::add(state, &cluster, node_number, now),
        Command::GrowTo { cluster, node_number, now } => nodes::grow_to(state, &cluster, node_number, now),
        Command::RemoveFreeNodes { cluster } => nodes::remove_free(state, &cluster),
        Command::Expand { cluster } => scaling::expand(state, &cluster),
        Command::Shrink { cluster, node_number } => scaling::shrink(state, &cluster, node_number),
        Command::Scale { cluster, node_number, now } => scaling::scale(state, &cluster, node_number, now),
        Command::ContinueScaling { cluster, epoch } => scaling::proceed(state, &cluster, epoch),
        Command::CommitMigration { cluster, ranges, meta } => {
            migrations::commit(state, &cluster, &ranges, &meta)
        }
        Command::RestartMigration { cluster, attempt } => migrations::restart(state, &cluster, attempt),
        Command::PauseMigrations { cluster } => migrations::set_paused(state, &cluster, true),
        Command::ResumeMigrations { cluster } => migrations::set_paused(state, &cluster, false),
        Command::CancelMigrations { cluster } => migrations::cancel(state, &cluster),
        Command::Balance { cluster, now } => fences::balance(state, &cluster, now),
        Command::RegisterProxy(new) => proxies::register(state, new),
        Command::AnnounceProxy { new, is_at_work, serves_nobody } => {
            proxies::announce(state, new, is_at_work, serves_nobody)
        }
        Command::RemoveProxy { proxy } => proxies::remove(state, &proxy),
        Command::ProxyCleaned { proxy, epoch } => proxies::cleaned(state, &proxy, epoch),
        Command::NoteDirty { proxy, epoch } => proxies::note_dirty(state, &proxy, epoch),
        Command::ReportFailure { proxy, reporter, now } => failures::report(state, &proxy, reporter, now),
        Command::ProxyReturned { proxy, reporter, now } => failures::returned(state, &proxy, reporter, now),
        Command::FailOverProxy { proxy, force, decided_after, now } => {
            failover::proxy(state, &proxy, (decided_after, force), now)
        }
        Command::ReplaceProxy { proxy } => failover::replace_living(state, &proxy),
        // What was seen is for the record, and how the stop is known for the broker that asks for this.
        Command::FailOverShard { cluster, primary, fence, force, empty_primary, process, now, .. } => {
            if empty_primary.is_some() {
                comebacks::check_waiting(state, &cluster, &primary, process.as_ref())?;
            }
            failover::shard(state, &cluster, &primary, (fence, force), now)
        }
        Command::FenceShard { cluster, primary, reason, now } => {
            fences::set(state, &cluster, &primary, reason, now)
        }
        Command::LiftFence { cluster, primary, fence, .. } => fences::lift(state, &cluster, &primary, fence),
        Command::DecideComeback { cluster, primary, comeback, process, keys, by_operator } => {
            comebacks::decide(state, &cluster, &primary, (comeback, process, keys), by_operator)
        }
        Command::EndComeback { cluster, primary, process } => {
            comebacks::end(state, &cluster, &primary, process.as_ref())
        }
        Command::SetReplicaSync { cluster, replica, sync } => {
            fences::set_sync(state, &cluster, &replica, sync)
        }
        Command::BeginShard { cluster, primary } => fences::begin(state, &cluster, &primary),
        Command::LimitLeases { from, to } => leases::limit(state, from, to),
        Command::RaiseEpoch { epoch } => epochs::raise(state, epoch),
        Command::RecoverEpoch { highest } => epochs::recover(state, highest),
        Command::Restore(dump) => epochs::restore(state, *dump),
        Command::BeginReview { proxy, seen } => reviews::begin(state, &proxy, seen),
        Command::Adopt { cluster, read, serving, highest, now } => {
            reviews::adopt(state, cluster, (read, highest), *serving, now)
        }
        Command::TrustMetadata { cluster, highest, deposed, now } => {
            reviews::trust(state, &cluster, (highest, now), &deposed)
        }
        Command::SettleProxy { proxy, seen } => reviews::settle_proxy(state, &proxy, seen),
    }
}
