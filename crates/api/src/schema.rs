//! How the types of crate `model` look in the OpenAPI document. They are never made: `model` itself knows
//! nothing of documents.

use serde::Serialize;
use utoipa::ToSchema;

/// Slots that one node has, and as what.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SlotAssignment)]
pub struct SlotAssignmentSchema {
    /// First and last slot of each range.
    pub range_list: Vec<[u16; 2]>,
    /// What is done with them.
    pub tag: SlotTagSchema,
}

/// What is done with slots.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SlotTag)]
pub enum SlotTagSchema {
    /// Owned.
    None,
    /// Owned, and being copied to the target.
    Migrating(MigrationMetaSchema),
    /// Not owned yet, and being copied from the source.
    Importing(MigrationMetaSchema),
}

/// The two ends of a migration.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MigrationMeta)]
pub struct MigrationMetaSchema {
    /// The attempt.
    pub epoch: u64,
    /// The proxy that has the slots.
    pub src_proxy_address: String,
    /// The node that has the slots.
    pub src_node_address: String,
    /// The proxy that gets the slots.
    pub dst_proxy_address: String,
    /// The node that gets the slots.
    pub dst_node_address: String,
}

/// The other end of a replication link.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReplPeer)]
pub struct ReplPeerSchema {
    /// The node.
    pub node_address: String,
    /// The proxy that fronts it.
    pub proxy_address: String,
}
