//! How a view, the roles of nodes and what a proxy says of itself are written in UMCTL commands and answers.

mod arguments;
mod error;
mod fields;
mod flags;
mod health;
mod payload;
mod set_cluster;
mod set_repl;

pub use error::{MetaError, MetaFault, MetaPlace};
pub use fields::{Fields, HealthFault};
pub use flags::MetaFlags;
pub use payload::PAYLOAD_JSON_BYTES_MAX;
pub use set_cluster::SetCluster;
pub use set_repl::{NodeRole, ReplPeer, Role, SetRepl};
