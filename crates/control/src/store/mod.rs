//! Where the metadata is kept: one file here, or etcd.
//!
//! ```text
//!   HTTP ──▶ Metadata ──queue──▶ Ledger: apply, commit, publish ──▶ Store (embedded | etcd)
//!               ▲                    │
//!               └──── Snapshot ◀─────┘
//! ```
//! One ledger in each process makes all its changes, one batch after the other; a store commits a batch whole
//! or not at all, and only on top of what the ledger had read. Nothing here decides what a change does.

mod change_error;
mod contract;
mod document;
mod embedded;
mod etcd;
mod event_log;
mod history;
mod ledger;
mod metadata;
mod observations;
mod parts;
mod reading_log;
mod snapshot;
mod subject;

pub use change_error::ChangeError;
pub use contract::{Base, HeadMark, HeadReader, Loaded, ReadingHead, Store, StoreError, Update};
pub use document::DocumentError;
pub use embedded::Embedded;
pub use etcd::{Etcd, EtcdOptions};
pub use event_log::EVENTS_MAX;
pub use history::{HistoryError, HistoryId, Mark};
pub use metadata::Metadata;
pub use observations::{ObservationBoard, Seen};
pub use parts::{PartKey, Parts};
pub use snapshot::Snapshot;
pub(crate) use subject::{Subject, subject};
