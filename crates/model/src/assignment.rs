//! Slots together with what a member does with them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::epoch::Epoch;
use crate::slot_ranges::SlotRanges;

/// Slots that one node or proxy has, and as what.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotAssignment {
    /// The slots.
    #[serde(rename = "range_list")]
    pub ranges: SlotRanges,
    /// What is done with them.
    pub tag: SlotTag,
}

impl SlotAssignment {
    /// Slots that are simply owned.
    #[must_use]
    pub const fn owned(ranges: SlotRanges) -> Self {
        Self { ranges, tag: SlotTag::None }
    }
}

/// What a member does with the slots of an assignment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SlotTag {
    /// Owns them.
    #[default]
    None,
    /// Owns them, and they are being copied to the target.
    Migrating(MigrationMeta),
    /// Does not own them yet; it is copying them from the source.
    Importing(MigrationMeta),
    /// Holds them as a replica, never as the owner.
    Replica,
}

impl SlotTag {
    /// Whether the member owns the slots: plainly, or while they are being copied away.
    #[must_use]
    pub const fn owns(&self) -> bool {
        matches!(self, Self::None | Self::Migrating(_))
    }

    /// The migration that the slots take part in.
    #[must_use]
    pub const fn migration(&self) -> Option<&MigrationMeta> {
        match self {
            Self::Migrating(meta) | Self::Importing(meta) => Some(meta),
            Self::None | Self::Replica => None,
        }
    }
}

/// One migration: which attempt, from where and to where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MigrationMeta {
    /// The number of the attempt; a commit must carry it.
    pub epoch: Epoch,
    /// The proxy that fronts the source.
    #[serde(rename = "src_proxy_address")]
    pub source_proxy: Address,
    /// The node that owns the slots.
    #[serde(rename = "src_node_address")]
    pub source_node: Address,
    /// The proxy that fronts the target.
    #[serde(rename = "dst_proxy_address")]
    pub target_proxy: Address,
    /// The node that will own the slots.
    #[serde(rename = "dst_node_address")]
    pub target_node: Address,
}

impl fmt::Display for MigrationMeta {
    /// The five words of the wire form, in order.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch, source_proxy, source_node, target_proxy, target_node } = self;
        write!(f, "{epoch} {source_proxy} {source_node} {target_proxy} {target_node}")
    }
}
