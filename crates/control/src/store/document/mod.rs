//! The metadata as a fixed set of JSON documents, so that a change writes only what it touches and never more
//! than a bounded number of them.
//!
//! ```text
//!   head             version, history and number of the last change, epoch, settings, who wrote what last
//!   proxies/00..3f   the proxies whose address hashes there, with the failure reports about them
//!   clusters/00..1f  the clusters whose name hashes there
//! ```
//! Every change writes the head, so the head's revision guards the whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::sync::Arc;

use control_core::{
    Cluster, Difference, LeaseLimit, META_VERSION, Proxy, ReporterId, State, StoreSettings, Table, TimeMs,
};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use model::{Address, ClusterName, Epoch, crc64};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{HistoryId, PartKey, Parts};
use crate::strict_json::{Kept, from_slice_keeping, to_value_with};

/// Over how many documents the proxies are spread. Part of the stored form.
const PROXY_BUCKETS: u64 = 64;
/// Over how many documents the clusters are spread. Part of the stored form.
const CLUSTER_BUCKETS: u64 = 32;
/// Documents from this size on are compressed.
const COMPRESS_FROM_BYTES: usize = 16 * 1024;
/// No document is larger than this when decompressed.
const DOCUMENT_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// How many writers the head remembers.
const WRITERS_MAX: usize = 32;
/// What a compressed document begins with; JSON never does.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

pub(super) const HEAD: &str = "head";

/// How a stored document cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It is not what this version writes.
    #[error("document '{key}' of the metadata cannot be read: {reason}")]
    Unreadable {
        /// Its key.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// It was written by another version.
    #[error("the metadata is of version '{0}', this program reads '{META_VERSION}'")]
    Version(String),
}

/// One process that changes the metadata, by a random number that it took when it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct WriterId(pub(super) u64);

/// What a writer wrote last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Written {
    /// The writer's own number of its batch.
    pub(super) batch: u64,
    /// The number of the change.
    pub(super) change: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    version: String,
    #[serde(default)]
    history: HistoryId,
    change: u64,
    next_event: u64,
    global_epoch: Epoch,
    settings: StoreSettings,
    replica_addresses: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    uncleaned_nodes: BTreeSet<Address>,
    #[serde(default, skip_serializing_if = "LeaseLimit::is_usual")]
    lease_limit: LeaseLimit,
    writers: BTreeMap<WriterId, Written>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct ProxyBucket {
    proxies: BTreeMap<Address, Proxy>,
    failures: BTreeMap<Address, BTreeMap<ReporterId, TimeMs>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct ClusterBucket {
    clusters: BTreeMap<ClusterName, Cluster>,
}

/// The metadata together with what the stores need to keep changes apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Document {
    /// The metadata.
    pub(super) state: State,
    /// What `change` counts in.
    pub(super) history: HistoryId,
    /// The number of the last change; 0 if there was none.
    pub(super) change: u64,
    /// The number of the next event; the first is 1.
    pub(super) next_event: u64,
    /// What each writer wrote last; a bounded number of them.
    pub(super) writers: BTreeMap<WriterId, Written>,
    /// Fields of a newer version, by document: written back where they were.
    kept: BTreeMap<PartKey, Arc<Vec<Kept>>>,
}

impl Default for Document {
    fn default() -> Self {
        let history = HistoryId::default();
        let (writers, kept) = (BTreeMap::new(), BTreeMap::new());
        Self { state: State::default(), history, change: 0, next_event: 1, writers, kept }
    }
}

impl Document {
    /// Takes over documents that have changed, or all of them.
    pub(super) fn absorb(&mut self, parts: &Parts) -> Result<(), DocumentError> {
        for (key, bytes) in parts {
            match key.0.split_once('/') {
                None if key.0 == HEAD => {
                    let head = self.read(key, bytes)?;
                    self.absorb_head(head)?;
                }
                Some(("proxies", bucket)) => {
                    let new: ProxyBucket = self.read(key, bytes)?;
                    let (mut of, bucket) = (ProxyBuckets::default(), bucket_number(key, bucket)?);
                    self.state.proxies.retain(|address, _| of.number(address) != bucket);
                    self.state.failures.retain(|address, _| of.number(address) != bucket);
                    self.state.proxies.extend(new.proxies);
                    self.state.failures.extend(new.failures);
                }
                Some(("clusters", bucket)) => {
                    let new: ClusterBucket = self.read(key, bytes)?;
                    let bucket = bucket_number(key, bucket)?;
                    self.state.clusters.retain(|name, _| cluster_bucket(name) != bucket);
                    self.state.clusters.extend(new.clusters);
                }
                _ => {
                    let reason = "no such document is known".to_owned();
                    return Err(DocumentError::Unreadable { key: key.0.clone(), reason });
                }
            }
        }
        Ok(())
    }

    /// Reads a document, and keeps what in it a newer version has written.
    fn read<T: DeserializeOwned>(&mut self, key: &PartKey, bytes: &[u8]) -> Result<T, DocumentError> {
        let (part, kept) = decode(key, bytes)?;
        if kept.is_empty() {
            drop(self.kept.remove(key));
        } else {
            drop(self.kept.insert(key.clone(), Arc::new(kept)));
        }
        Ok(part)
    }

    /// Forgets a newer version's fields of records that `before` has and this has not: one that comes back under the same
    /// name is another.
    pub(super) fn forget_removed(&mut self, before: &Self) {
        if self.kept.is_empty() {
            return;
        }
        let clusters = before.state.clusters.differences(&self.state.clusters);
        let clusters = clusters.into_iter().filter(|found| found.after.is_none());
        let proxies = before.state.proxies.differences(&self.state.proxies);
        let proxies = proxies.into_iter().filter(|found| found.after.is_none());
        let removed: Vec<(&str, String)> = clusters
            .map(|found| ("clusters", found.key.to_string()))
            .chain(proxies.map(|found| ("proxies", found.key.to_string())))
            .collect();
        let is_removed = |field: &Kept| removed.iter().any(|(table, record)| field.is_in(table, record));
        for kept in self.kept.values_mut() {
            if kept.iter().any(is_removed) {
                *kept = Arc::new(kept.iter().filter(|field| !is_removed(field)).cloned().collect());
            }
        }
    }

    /// Forgets all of them: everything is replaced.
    pub(super) fn forget_kept(&mut self) {
        self.kept.clear();
    }

    fn absorb_head(&mut self, head: Head) -> Result<(), DocumentError> {
        if head.version != META_VERSION {
            return Err(DocumentError::Version(head.version));
        }
        self.history = head.history;
        self.change = head.change;
        self.next_event = head.next_event;
        self.writers = head.writers;
        self.state.global_epoch = head.global_epoch;
        self.state.settings = head.settings;
        self.state.replica_addresses = head.replica_addresses;
        self.state.uncleaned_nodes = head.uncleaned_nodes;
        self.state.lease_limit = head.lease_limit;
        Ok(())
    }

    /// Notes that a writer has written a batch: the next change.
    pub(super) fn sign(&mut self, writer: WriterId, batch: u64) {
        self.change += 1;
        self.writers.insert(writer, Written { batch, change: self.change });
        while self.writers.len() > WRITERS_MAX {
            let oldest = self.writers.iter().min_by_key(|(_, written)| written.change);
            let Some(oldest) = oldest.map(|(writer, _)| *writer) else { return };
            self.writers.remove(&oldest);
        }
    }

    /// Whether a writer's batch is in this; `None` when the writer has been forgotten among too many others.
    pub(super) fn holds(&self, writer: WriterId, batch: u64) -> Option<bool> {
        match self.writers.get(&writer) {
            Some(written) => Some(written.batch >= batch),
            None if self.writers.len() < WRITERS_MAX => Some(false),
            None => None,
        }
    }

    /// Whether this comes after `before` in the same store: the change that was the last then is in it.
    pub(super) fn comes_after(&self, before: &Self) -> bool {
        let last = before.writers.iter().max_by_key(|(_, written)| written.change);
        let has_last = last.is_none_or(|(writer, last)| self.holds(*writer, last.batch) != Some(false));
        has_last && self.change > before.change
    }

    /// The documents that differ in `next`: the head, and what else has changed.
    pub(super) fn differences(&self, next: &Self) -> Parts {
        let mut parts = Parts::new();
        let state = &next.state;
        let head = Head {
            version: META_VERSION.to_owned(),
            history: next.history,
            change: next.change,
            next_event: next.next_event,
            global_epoch: state.global_epoch,
            settings: state.settings.clone(),
            replica_addresses: state.replica_addresses.clone(),
            uncleaned_nodes: state.uncleaned_nodes.clone(),
            lease_limit: state.lease_limit,
            writers: next.writers.clone(),
        };
        let key = PartKey(HEAD.to_owned());
        let written = next.encode(&key, &head);
        parts.insert(key, written);
        let mut of = ProxyBuckets::default();
        let mut proxies: BTreeMap<u64, ProxyBucket> = changed(&self.state.proxies, &state.proxies)
            .chain(changed(&self.state.failures, &state.failures))
            .map(|address| (of.number(address), ProxyBucket::default()))
            .collect();
        if !proxies.is_empty() {
            for (address, proxy) in &state.proxies {
                if let Some(bucket) = proxies.get_mut(&of.number(address)) {
                    bucket.proxies.insert(address.clone(), proxy.clone());
                }
            }
            for (address, reports) in &state.failures {
                if let Some(bucket) = proxies.get_mut(&of.number(address)) {
                    bucket.failures.insert(address.clone(), reports.clone());
                }
            }
        }
        let mut clusters: BTreeMap<u64, ClusterBucket> = changed(&self.state.clusters, &state.clusters)
            .map(|name| (cluster_bucket(name), ClusterBucket::default()))
            .collect();
        if !clusters.is_empty() {
            for (name, cluster) in &state.clusters {
                if let Some(bucket) = clusters.get_mut(&cluster_bucket(name)) {
                    bucket.clusters.insert(name.clone(), cluster.clone());
                }
            }
        }
        let key = |folder: &str, bucket: u64| PartKey(format!("{folder}/{}", bucket_name(bucket)));
        for (bucket, part) in &proxies {
            let key = key("proxies", *bucket);
            let written = next.encode(&key, part);
            parts.insert(key, written);
        }
        for (bucket, part) in &clusters {
            let key = key("clusters", *bucket);
            let written = next.encode(&key, part);
            parts.insert(key, written);
        }
        parts
    }

    fn encode(&self, key: &PartKey, part: &impl Serialize) -> Vec<u8> {
        let plain = match self.kept.get(key) {
            None => serde_json::to_vec(part),
            Some(kept) => to_value_with(part, kept).and_then(|value| serde_json::to_vec(&value)),
        };
        compressed(plain.expect("metadata has only text for keys, and no value that JSON lacks"))
    }
}

/// The keys whose values differ between two tables.
fn changed<'a, K: Ord, V: PartialEq>(
    old: &'a Table<K, V>,
    new: &'a Table<K, V>,
) -> impl Iterator<Item = &'a K> {
    old.differences(new).into_iter().map(|Difference { key, .. }| key)
}

/// Finds the documents of proxies. It keeps the buffer in which addresses are written out: there are many.
#[derive(Default)]
struct ProxyBuckets {
    text: String,
}

impl ProxyBuckets {
    fn number(&mut self, address: &Address) -> u64 {
        self.text.clear();
        // Writing to a text does not fail.
        let _ = write!(self.text, "{address}");
        crc64(self.text.as_bytes()) % PROXY_BUCKETS
    }
}

fn cluster_bucket(name: &ClusterName) -> u64 {
    crc64(name.as_str().as_bytes()) % CLUSTER_BUCKETS
}

fn bucket_number(key: &PartKey, text: &str) -> Result<u64, DocumentError> {
    let number = u64::from_str_radix(text, 16);
    number.map_err(|error| DocumentError::Unreadable { key: key.0.clone(), reason: error.to_string() })
}

fn bucket_name(bucket: u64) -> String {
    format!("{bucket:02x}")
}

fn compressed(plain: Vec<u8>) -> Vec<u8> {
    if plain.len() < COMPRESS_FROM_BYTES {
        return plain;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = encoder.write_all(&plain).and_then(|()| encoder.finish());
    packed.expect("writing to memory does not fail")
}

fn decode<T: DeserializeOwned>(key: &PartKey, bytes: &[u8]) -> Result<(T, Vec<Kept>), DocumentError> {
    let unreadable = |reason: String| DocumentError::Unreadable { key: key.0.clone(), reason };
    if !bytes.starts_with(&GZIP_MAGIC) {
        return from_slice_keeping(bytes).map_err(unreadable);
    }
    let mut plain = Vec::new();
    let mut decoder = GzDecoder::new(bytes).take(DOCUMENT_BYTES_MAX);
    decoder.read_to_end(&mut plain).map_err(|error| unreadable(error.to_string()))?;
    from_slice_keeping(&plain).map_err(unreadable)
}

#[cfg(test)]
mod tests;
