//! How a view and the roles of nodes are written in UMCTL commands.

mod arguments;
mod error;
mod flags;
mod payload;
mod set_cluster;
mod set_repl;

pub use error::{MetaError, MetaFault, MetaPlace};
pub use flags::MetaFlags;
pub use payload::PAYLOAD_JSON_BYTES_MAX;
pub use set_cluster::SetCluster;
pub use set_repl::{NodeRole, ReplPeer, Role, SetRepl};
