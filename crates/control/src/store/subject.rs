//! What a command is about, for the record of events.

use control_core::{Command, KeysSeen, Reply};
use model::{Address, ClusterName};

/// What a command is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    /// The kind of change.
    pub(crate) kind: &'static str,
    /// The cluster that it names.
    pub(crate) cluster: Option<ClusterName>,
    /// The proxy or node that it names.
    pub(crate) address: Option<Address>,
}

/// What a command is about; `None` if it is too frequent to be recorded.
pub(super) fn recorded(command: &Command) -> Option<Subject> {
    (!matches!(command, Command::ReportFailure { .. })).then(|| subject(command))
}

/// What a command is about.
pub(crate) fn subject(command: &Command) -> Subject {
    let about = |kind, cluster: Option<&ClusterName>, address: Option<&Address>| Subject {
        kind,
        cluster: cluster.cloned(),
        address: address.cloned(),
    };
    match command {
        Command::ReportFailure { proxy, .. } => about("ReportFailure", None, Some(proxy)),
        Command::Configure(_) => about("Configure", None, None),
        Command::SetReplicaAddresses(_) => about("SetReplicaAddresses", None, None),
        Command::CreateCluster { cluster, .. } => about("CreateCluster", Some(cluster), None),
        Command::IfUnchanged { command, .. } => subject(command),
        Command::DeleteCluster { cluster } => about("DeleteCluster", Some(cluster), None),
        Command::AddNodes { cluster, .. } => about("AddNodes", Some(cluster), None),
        Command::GrowTo { cluster, .. } => about("GrowTo", Some(cluster), None),
        Command::RemoveFreeNodes { cluster } => about("RemoveFreeNodes", Some(cluster), None),
        Command::Expand { cluster } => about("Expand", Some(cluster), None),
        Command::Shrink { cluster, .. } => about("Shrink", Some(cluster), None),
        Command::Scale { cluster, .. } => about("Scale", Some(cluster), None),
        Command::ContinueScaling { cluster, .. } => about("ContinueScaling", Some(cluster), None),
        Command::CommitMigration { cluster, .. } => about("CommitMigration", Some(cluster), None),
        Command::RestartMigration { cluster, .. } => about("RestartMigration", Some(cluster), None),
        Command::PauseMigrations { cluster } => about("PauseMigrations", Some(cluster), None),
        Command::ResumeMigrations { cluster } => about("ResumeMigrations", Some(cluster), None),
        Command::CancelMigrations { cluster } => about("CancelMigrations", Some(cluster), None),
        Command::SetConfig { cluster, .. } => about("SetConfig", Some(cluster), None),
        Command::Balance { cluster, .. } => about("Balance", Some(cluster), None),
        Command::RegisterProxy(new) | Command::AnnounceProxy { new, .. } => {
            about("RegisterProxy", None, Some(&new.address))
        }
        Command::RemoveProxy { proxy } => about("RemoveProxy", None, Some(proxy)),
        Command::ProxyCleaned { proxy, .. } => about("ProxyCleaned", None, Some(proxy)),
        Command::NoteDirty { proxy, .. } => about("NoteDirty", None, Some(proxy)),
        Command::ProxyReturned { proxy, .. } => about("ProxyReturned", None, Some(proxy)),
        Command::FailOverProxy { proxy, .. } => about("FailOverProxy", None, Some(proxy)),
        Command::ReplaceProxy { proxy } => about("ReplaceProxy", None, Some(proxy)),
        Command::FenceShard { cluster, primary, .. } => about("FenceShard", Some(cluster), Some(primary)),
        Command::LiftFence { cluster, primary, .. } => about("LiftFence", Some(cluster), Some(primary)),
        Command::FailOverShard { cluster, primary, .. } => {
            about("FailOverShard", Some(cluster), Some(primary))
        }
        Command::DecideComeback { cluster, primary, .. } => {
            about("DecideComeback", Some(cluster), Some(primary))
        }
        Command::EndComeback { cluster, primary, .. } => about("EndComeback", Some(cluster), Some(primary)),
        Command::SetReplicaSync { cluster, replica, .. } => {
            about("SetReplicaSync", Some(cluster), Some(replica))
        }
        Command::BeginShard { cluster, primary } => about("BeginShard", Some(cluster), Some(primary)),
        Command::LimitLeases { .. } => about("LimitLeases", None, None),
        Command::RaiseEpoch { .. } => about("RaiseEpoch", None, None),
        Command::RecoverEpoch { .. } => about("RecoverEpoch", None, None),
        Command::Restore(_) => about("Restore", None, None),
        Command::BeginReview { proxy, .. } => about("BeginReview", None, Some(proxy)),
        Command::Adopt { cluster, .. } => about("Adopt", Some(cluster), None),
        Command::TrustMetadata { cluster, .. } => about("TrustMetadata", Some(cluster), None),
        Command::SettleProxy { proxy, .. } => about("SettleProxy", None, Some(proxy)),
    }
}

/// How many keys the nodes of a shard have.
fn keys_seen(keys: KeysSeen) -> String {
    let told = |keys: Option<u64>| {
        keys.map_or_else(|| "an unknown number of keys".to_owned(), |keys| format!("{keys} keys"))
    };
    format!("the primary has {}, its replica {}", told(keys.primary), told(keys.replica))
}

/// What there is to say of a change that cannot be seen in the metadata itself.
pub(super) fn remarks(command: &Command, reply: &Reply) -> Vec<String> {
    let mut words = Vec::new();
    if let Command::FailOverShard { behind_bytes: Some(bytes), .. } = command {
        words.push(format!("the new primary was seen to lack {bytes} bytes of the old one's stream"));
    }
    if let Command::BeginReview { proxy, seen } = command {
        words.push(format!(
            "proxy {proxy} has epoch {seen}, which this metadata has not given it: the metadata is old"
        ));
    }
    if let Command::TrustMetadata { .. } = command {
        words.push("an operator says that the metadata is right, whatever its proxies know".to_owned());
    }
    match command {
        Command::DecideComeback { keys, by_operator, .. } => {
            words.push(keys_seen(*keys));
            if *by_operator {
                words.push("an operator says so".to_owned());
            }
        }
        Command::FailOverShard { empty_primary: Some(keys), .. } => {
            words.push(format!("the old primary came back without its data: {}", keys_seen(*keys)));
        }
        _ => {}
    }
    if let Command::FailOverShard { force: true, .. } | Command::FailOverProxy { force: true, .. } = command {
        words.push("it was forced: what the replica did not have is lost".to_owned());
    }
    match reply {
        Reply::FailedOver(outcome) if outcome.cluster.is_some() => {
            if outcome.replacement.is_none() {
                words.push("the pool has no proxy that could take its place".to_owned());
            }
            words.extend(outcome.stuck.iter().map(|node| format!("the slots of {node} are without service")));
        }
        Reply::Epoch(epoch) => words.push(format!("the global epoch is now {epoch}")),
        _ => {}
    }
    words
}
