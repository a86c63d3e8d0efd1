//! What a cluster is: slots, ranges, epochs, addresses, views and their wire form.
//!
//! Pure data shared by the data plane and the control plane. Nothing here does IO, reads a clock or
//! decides anything: it states what is well formed, and how it is written down.
#![forbid(unsafe_code)]

mod address;
mod assignment;
mod cluster_name;
mod config;
mod crc16;
mod crc64;
mod decimal;
mod epoch;
mod health;
mod moment;
mod node_id;
mod run_id;
mod slot;
mod slot_range;
mod slot_ranges;
mod view;
mod wire;

pub use address::{Address, AddressError};
pub use assignment::{MigrationMeta, SlotAssignment, SlotTag};
pub use cluster_name::{ClusterName, ClusterNameError};
pub use config::{ClusterConfig, CompressionStrategy, ConfigError, ConfigField};
pub use crc16::crc16;
pub use crc64::crc64;
pub use epoch::{Epoch, EpochError};
pub use health::{
    ATTACHED_FOR_MS, ATTACHED_SOON_FOR_MS, ATTACHED_SOON_MS, FinishedImport, HealthAnswer, LinkState,
    NodeHealth, NodeState, ProxyHealth,
};
pub use moment::Moment;
pub use node_id::NodeId;
pub use run_id::{RunId, RunIdError};
pub use slot::{SLOT_COUNT, Slot};
pub use slot_range::{SlotRange, SlotRangeError};
pub use slot_ranges::SlotRanges;
pub use view::{LocalNode, PeerProxy, View, ViewError};
pub use wire::{
    Fields, HealthFault, MetaError, MetaFault, MetaFlags, MetaPlace, NodeRole, PAYLOAD_JSON_BYTES_MAX,
    ReplPeer, Role, SetCluster, SetRepl,
};
