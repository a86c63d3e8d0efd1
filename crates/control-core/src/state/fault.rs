//! How a state contradicts itself.

use model::{Address, ClusterName, Epoch, Slot, SlotRanges};

use super::version::META_VERSION;

/// How a state contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateFault {
    /// The dump has another form.
    #[error("metadata of version '{0}', this is version '{META_VERSION}'")]
    Version(String),
    /// An epoch lies above the highest that was given out.
    #[error("epoch {found} of {of} is above the global epoch {global}")]
    Epoch {
        /// What has the epoch.
        of: String,
        /// The epoch.
        found: Epoch,
        /// The highest that was given out.
        global: Epoch,
    },
    /// A slot has no owner or several.
    #[error("cluster {cluster}: slot {slot} has {owners} owners")]
    Owners {
        /// The cluster.
        cluster: ClusterName,
        /// The slot.
        slot: Slot,
        /// How many shards own it.
        owners: usize,
    },
    /// A chunk or a proxy contradicts the other.
    #[error("proxy {proxy}: {what}")]
    Proxy {
        /// The proxy.
        proxy: Address,
        /// What is wrong.
        what: &'static str,
    },
    /// A migration moves what its source does not own, or what another moves too.
    #[error("cluster {cluster}: migration of {ranges}: {what}")]
    Migration {
        /// The cluster.
        cluster: ClusterName,
        /// The slots.
        ranges: SlotRanges,
        /// What is wrong.
        what: &'static str,
    },
}
