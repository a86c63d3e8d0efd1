//! CLUSTER: what depends on arguments; the rest was encoded when the view came.

use model::Slot;
use resp::encode;

use super::{After, Context, help};
use crate::cluster_replies::{ClusterReplies, Encoded, FaceReplies};
use crate::command::{Args, ClusterCommand};
use crate::profile::Profile;
use crate::{decimal, errors};

/// `CLUSTER …`
pub(super) fn answer(
    sub: ClusterCommand,
    args: Args<'_>,
    profile: &Profile,
    context: &Context<'_>,
    out: &mut Vec<u8>,
) -> After {
    match sub {
        ClusterCommand::Keyslot => encode::integer(out, i64::from(Slot::of_key(args.get(2)).number())),
        ClusterCommand::Help => help::write(out, help::CLUSTER),
        ClusterCommand::Countkeysinslot => return count_keys(args, out),
        ClusterCommand::Getkeysinslot => return keys(args, out),
        ClusterCommand::Info if context.cluster.is_none() => {
            out.extend_from_slice(&ClusterReplies::info_without_cluster(profile.protocol));
        }
        _ => match context.cluster {
            Some(cluster) => from_cluster(sub, args, profile, cluster, out),
            None => errors::write(out, errors::CLUSTER_NOT_FOUND),
        },
    }
    After::Done
}

fn from_cluster(
    sub: ClusterCommand,
    args: Args<'_>,
    profile: &Profile,
    cluster: &FaceReplies,
    out: &mut Vec<u8>,
) {
    let encoded = match sub {
        ClusterCommand::Slots => Encoded::Slots,
        ClusterCommand::Shards => Encoded::Shards,
        ClusterCommand::Nodes => Encoded::Nodes,
        ClusterCommand::Info => Encoded::Info,
        ClusterCommand::Links => Encoded::Links,
        ClusterCommand::Myid => Encoded::MyId,
        ClusterCommand::Myshardid => Encoded::MyShardId,
        ClusterCommand::Replicas | ClusterCommand::Slaves => {
            return cluster.write_replicas(args.get(2), out);
        }
        ClusterCommand::CountFailureReports => return cluster.write_failure_reports(args.get(2), out),
        // Answered by the caller, with or without a cluster.
        ClusterCommand::Keyslot
        | ClusterCommand::Help
        | ClusterCommand::Countkeysinslot
        | ClusterCommand::Getkeysinslot => return,
    };
    out.extend_from_slice(cluster.encoded(encoded, profile.protocol));
}

/// `CLUSTER COUNTKEYSINSLOT slot`
fn count_keys(args: Args<'_>, out: &mut Vec<u8>) -> After {
    match decimal::parse(args.get(2)).map(slot) {
        None => errors::write(out, errors::NOT_INTEGER),
        Some(None) => errors::write(out, errors::INVALID_SLOT_RANGE),
        Some(Some(slot)) => return After::CountKeysInSlot(slot),
    }
    After::Done
}

/// `CLUSTER GETKEYSINSLOT slot count`
fn keys(args: Args<'_>, out: &mut Vec<u8>) -> After {
    let (Some(number), Some(count)) = (decimal::parse(args.get(2)), decimal::parse(args.get(3))) else {
        errors::write(out, errors::NOT_INTEGER);
        return After::Done;
    };
    match (slot(number), u64::try_from(count)) {
        (Some(slot), Ok(count)) => After::KeysInSlot { slot, count },
        _ => {
            errors::write(out, errors::INVALID_SLOT_OR_COUNT);
            After::Done
        }
    }
}

fn slot(number: i64) -> Option<Slot> {
    u16::try_from(number).ok().and_then(Slot::new)
}
