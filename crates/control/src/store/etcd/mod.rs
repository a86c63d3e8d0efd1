//! The metadata in etcd, for more than one broker.
//!
//! ```text
//!   <prefix>parts/head          written by every change; its revision and content guard all the rest
//!   <prefix>parts/proxies/..    <prefix>parts/clusters/..
//!   <prefix>check               written only to see whether etcd takes writes
//!   <prefix>events/<number>     the events of one change; the key's number is that of the first of them
//! ```
//! Why one guard and not one for each cluster: all clusters share the global epoch and the pool, so hardly any
//! change concerns one cluster alone, and a change that reads another document than it guards would be a lost
//! update. The changes of one broker go in batches, so the guard costs one transaction for each batch.
//!
//! A transaction holds at most 1 head, 64 documents of proxies, 32 of clusters and 2 operations on events: under
//! the 128 that etcd accepts unless configured otherwise.

mod failure;
mod options;
mod reader;
mod watcher;

use std::sync::Arc;
use std::time::Duration;

use api::v4::Event;
use etcd_client::{Client, Compare, CompareOp, DeleteOptions, Error, KvClient, Txn, TxnOp};
use model::crc64;
use tokio::sync::watch;

use super::contract::HeadReader;
use super::document::HEAD as HEAD_PART;
use super::{Base, HeadMark, Loaded, PartKey, Store, StoreError, Update};
use failure::unavailable;
pub use options::EtcdOptions;
use reader::{HEAD, read};

/// How long etcd may take for one answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
/// The codes with which gRPC says that nothing was done: INVALID_ARGUMENT, PERMISSION_DENIED,
/// RESOURCE_EXHAUSTED, UNAUTHENTICATED.
const REFUSALS: [i32; 4] = [3, 7, 8, 16];
/// The key, after the prefix, that is written only to see whether it can be.
const CHECK: &str = "check";
/// Answers up to this size are read.
const ANSWER_BYTES_MAX: usize = 512 * 1024 * 1024;

/// The metadata in etcd.
pub struct Etcd {
    kv: KvClient,
    prefix: String,
    changes: watch::Receiver<u64>,
    /// The number of the next event, as far as is known.
    next_event: u64,
    /// The document of the last change that was read or made.
    head: Vec<u8>,
}

impl std::fmt::Debug for Etcd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Etcd").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Etcd {
    /// Connects, and begins to watch for the changes of others in a task of its own. To be called inside a
    /// tokio runtime.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when no server of etcd can be used.
    pub async fn connect(options: &EtcdOptions) -> Result<Self, StoreError> {
        let connect = options.connect().with_timeout(REQUEST_TIMEOUT);
        let client = Client::connect(&options.endpoints, Some(connect)).await.map_err(unavailable)?;
        let kv = client.kv_client().max_decoding_message_size(ANSWER_BYTES_MAX);
        let (hints, changes) = watch::channel(0);
        // The watch stream is idle for long: it must not have the time-out of a request.
        let watching =
            Client::connect(&options.endpoints, Some(options.connect())).await.map_err(unavailable)?;
        tokio::spawn(watcher::watch(watching, format!("{}{HEAD}", options.prefix), hints));
        Ok(Self { kv, prefix: options.prefix.clone(), changes, next_event: 0, head: Vec::new() })
    }

    async fn read(&mut self, base: Base, from: u64) -> Result<Loaded, StoreError> {
        let (loaded, head) = read(&mut self.kv, &self.prefix, (base, from)).await?;
        self.note_events(&loaded.events);
        self.head = head;
        Ok(loaded)
    }

    /// Events that are known are not asked for again.
    fn note_events(&mut self, events: &[Event]) {
        let next = events.iter().map(|event| event.number.saturating_add(1)).max();
        self.next_event = self.next_event.max(next.unwrap_or(0));
    }

    fn transaction(&self, base: Base, update: &Update) -> Result<Txn, StoreError> {
        let prefix = &self.prefix;
        let unwritable = |error: serde_json::Error| StoreError::Unavailable(error.to_string());
        let mut operations: Vec<TxnOp> = update
            .parts
            .iter()
            .map(|(key, bytes)| TxnOp::put(format!("{prefix}parts/{}", key.0), bytes.as_slice(), None))
            .collect();
        if let Some(first) = update.events.first() {
            let key = reader::event_key(prefix, first.number);
            operations.push(TxnOp::put(key, serde_json::to_vec(&update.events).map_err(unwritable)?, None));
            let end = reader::event_key(prefix, update.events_from);
            let range = DeleteOptions::new().with_range(end);
            operations.push(TxnOp::delete(reader::event_key(prefix, 0), Some(range)));
        }
        let head = format!("{prefix}{HEAD}");
        let mut guards = vec![Compare::mod_revision(head.as_str(), CompareOp::Equal, base.head.revision)];
        if base.head.revision > 0 {
            // After etcd was put back from a copy another change may have this revision.
            guards.push(Compare::value(head, CompareOp::Equal, self.head.as_slice()));
        }
        Ok(Txn::new().when(guards).and_then(operations))
    }
}

impl Store for Etcd {
    const NAME: &'static str = "etcd";
    const IS_SHARED: bool = true;

    async fn load(&mut self) -> Result<Loaded, StoreError> {
        self.next_event = 0;
        self.read(Base::default(), 0).await
    }

    async fn newer(&mut self, base: Base) -> Result<Loaded, StoreError> {
        self.read(base, self.next_event).await
    }

    async fn commit(&mut self, base: Base, update: &Update) -> Result<Base, StoreError> {
        let transaction = self.transaction(base, update)?;
        let answer = self.kv.txn(transaction).await.map_err(|error| match error {
            // etcd refuses what is too large or not allowed before it does anything.
            Error::GRpcStatus(status) if REFUSALS.contains(&i32::from(status.code())) => {
                StoreError::Unavailable(status.to_string())
            }
            other => StoreError::Unknown(other.to_string()),
        })?;
        if !answer.succeeded() {
            return Err(StoreError::Conflict);
        }
        let header =
            answer.header().ok_or_else(|| StoreError::Unknown("an answer without a header".into()))?;
        self.note_events(&update.events);
        if let Some(head) = update.parts.get(&PartKey(HEAD_PART.to_owned())) {
            self.head.clone_from(head);
        }
        let head = HeadMark { revision: header.revision(), checksum: crc64(&self.head) };
        Ok(Base { read: header.revision(), head })
    }

    async fn check_writing(&mut self) -> Result<(), StoreError> {
        let put = self.kv.put(format!("{}{CHECK}", self.prefix), "", None).await;
        put.map(drop).map_err(unavailable)
    }

    fn head_reader(&self) -> Option<HeadReader> {
        let (kv, key) = (self.kv.clone(), format!("{}{HEAD}", self.prefix));
        Some(Arc::new(move || {
            let (mut kv, key) = (kv.clone(), key.clone());
            Box::pin(async move {
                // Answered only when a majority agrees, as `read` is.
                let found = kv.get(key, None).await.map_err(unavailable)?;
                Ok(found.kvs().first().map_or_else(HeadMark::default, reader::mark))
            })
        }))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }
}
