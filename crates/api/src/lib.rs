//! The HTTP API of the broker: its types, and a client that knows several brokers.
//!
//! Types and client only; nothing here decides, and nothing here knows how metadata is kept.
#![forbid(unsafe_code)]

mod actor;
mod client;
mod error;
mod reading;
mod schema;
pub mod tls;
pub mod v3;
pub mod v4;

pub use actor::{ACTOR_HEADER, COPIER};
pub use client::{BrokerClient, ClientError, ClientOptions, Endpoint};
pub use error::{ErrorBody, STOOD_STILL};
pub use reading::{GRANTS_NOTHING, READING_HEADER};
pub use schema::{MigrationMetaSchema, ReplPeerSchema, SlotAssignmentSchema, SlotTagSchema};

/// Where the calls of Undermoon's API begin.
pub const V3: &str = "/api/v3";

/// Where the calls that are this project's own begin.
pub const V4: &str = "/api/v4";
