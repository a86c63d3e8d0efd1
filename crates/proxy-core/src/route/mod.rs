//! Whose a key is: where commands go. It decides nothing about the commands themselves.

mod slots;

use std::sync::Arc;

pub(crate) use self::slots::TargetIndex;
pub use self::slots::{RouteTable, Target};
use crate::cluster_replies::ClusterReplies;

/// All that a worker needs of one view; shared by the workers of a proxy.
#[derive(Debug)]
pub struct WorkerView {
    /// Where commands go.
    pub routes: RouteTable,
    /// The answers to CLUSTER commands, encoded once.
    pub replies: Arc<ClusterReplies>,
    /// Until when requests for slots that are [`Target::Held`] wait: `Moment::us`.
    pub hold_until_us: u64,
}
