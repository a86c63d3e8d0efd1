//! Which commands carry a time, and whose it is.

use super::Command;
use crate::time::TimeMs;

impl Command {
    /// Puts the time of the broker that makes the change into a command: the clocks of callers do not count.
    pub fn stamp(&mut self, time: TimeMs) {
        match self {
            Self::IfUnchanged { command, .. } => command.stamp(time),
            Self::CreateCluster { now, .. }
            | Self::AddNodes { now, .. }
            | Self::GrowTo { now, .. }
            | Self::Scale { now, .. }
            | Self::Balance { now, .. }
            | Self::ReportFailure { now, .. }
            | Self::ProxyReturned { now, .. }
            | Self::FailOverProxy { now, .. }
            | Self::FenceShard { now, .. }
            | Self::Adopt { now, .. }
            | Self::TrustMetadata { now, .. }
            | Self::FailOverShard { now, .. } => *now = time,
            Self::Configure(_)
            | Self::SetReplicaAddresses(_)
            | Self::DeleteCluster { .. }
            | Self::RemoveFreeNodes { .. }
            | Self::Expand { .. }
            | Self::Shrink { .. }
            | Self::ContinueScaling { .. }
            | Self::CommitMigration { .. }
            | Self::RestartMigration { .. }
            | Self::PauseMigrations { .. }
            | Self::ResumeMigrations { .. }
            | Self::CancelMigrations { .. }
            | Self::SetConfig { .. }
            | Self::RegisterProxy(_)
            | Self::RemoveProxy { .. }
            | Self::ProxyCleaned { .. }
            | Self::NoteDirty { .. }
            | Self::ReplaceProxy { .. }
            | Self::LiftFence { .. }
            | Self::DecideComeback { .. }
            | Self::EndComeback { .. }
            | Self::SetReplicaSync { .. }
            | Self::BeginShard { .. }
            | Self::LimitLeases { .. }
            | Self::RaiseEpoch { .. }
            | Self::AnnounceProxy { .. }
            | Self::RecoverEpoch { .. }
            | Self::Restore(_)
            | Self::BeginReview { .. }
            | Self::SettleProxy { .. } => {}
        }
    }
}
