//! The metadata as a fixed set of JSON documents, so that a change writes only what it touches and never more
//! than a bounded number of them.
//!
//! ```text
//!   head             version, history and number of the last change, epoch, settings, who wrote what last
//!   proxies/00..3f   the proxies whose address hashes there, with the failure reports about them
//!   clusters/00..1f  the clusters whose name hashes there
//! ```
//! Every change writes the head, so the head's revision guards the whole.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};

use control_core::{Cluster, Difference, META_VERSION, Proxy, ReporterId, Settings, State, Table, TimeMs};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use model::{Address, ClusterName, Epoch, crc64};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{HistoryId, PartKey, Parts};
use crate::strict_json;

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

const HEAD: &str = "head";

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
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    /// The writer's own number of its batch.
    pub(super) batch: u64,
    /// The number of the change.
    pub(super) change: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    version: String,
    #[serde(default)]
    history: HistoryId,
    change: u64,
    next_event: u64,
    global_epoch: Epoch,
    settings: Settings,
    replica_addresses: Vec<String>,
    writers: BTreeMap<WriterId, Written>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProxyBucket {
    proxies: BTreeMap<Address, Proxy>,
    failures: BTreeMap<Address, BTreeMap<ReporterId, TimeMs>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
}

impl Default for Document {
    fn default() -> Self {
        let history = HistoryId::default();
        Self { state: State::default(), history, change: 0, next_event: 1, writers: BTreeMap::new() }
    }
}

impl Document {
    /// Takes over documents that have changed, or all of them.
    pub(super) fn absorb(&mut self, parts: &Parts) -> Result<(), DocumentError> {
        for (key, bytes) in parts {
            match key.0.split_once('/') {
                None if key.0 == HEAD => self.absorb_head(decode(key, bytes)?)?,
                Some(("proxies", bucket)) => {
                    let new: ProxyBucket = decode(key, bytes)?;
                    let (mut of, bucket) = (ProxyBuckets::default(), bucket_number(key, bucket)?);
                    self.state.proxies.retain(|address, _| of.number(address) != bucket);
                    self.state.failures.retain(|address, _| of.number(address) != bucket);
                    self.state.proxies.extend(new.proxies);
                    self.state.failures.extend(new.failures);
                }
                Some(("clusters", bucket)) => {
                    let new: ClusterBucket = decode(key, bytes)?;
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

    /// Whether a writer's batch is in this; none when the writer has been forgotten among too many others.
    pub(super) fn holds(&self, writer: WriterId, batch: u64) -> Option<bool> {
        match self.writers.get(&writer) {
            Some(written) => Some(written.batch >= batch),
            None if self.writers.len() < WRITERS_MAX => Some(false),
            None => None,
        }
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
            writers: next.writers.clone(),
        };
        parts.insert(PartKey(HEAD.to_owned()), encode(&head));
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
        parts.extend(proxies.iter().map(|(bucket, part)| (key("proxies", *bucket), encode(part))));
        parts.extend(clusters.iter().map(|(bucket, part)| (key("clusters", *bucket), encode(part))));
        parts
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

fn encode(part: &impl Serialize) -> Vec<u8> {
    let plain =
        serde_json::to_vec(part).expect("metadata has only text for keys, and no value that JSON lacks");
    if plain.len() < COMPRESS_FROM_BYTES {
        return plain;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = encoder.write_all(&plain).and_then(|()| encoder.finish());
    packed.expect("writing to memory does not fail")
}

fn decode<T: DeserializeOwned>(key: &PartKey, bytes: &[u8]) -> Result<T, DocumentError> {
    let unreadable = |reason: String| DocumentError::Unreadable { key: key.0.clone(), reason };
    if !bytes.starts_with(&GZIP_MAGIC) {
        return strict_json::from_slice(bytes).map_err(unreadable);
    }
    let mut plain = Vec::new();
    let mut decoder = GzDecoder::new(bytes).take(DOCUMENT_BYTES_MAX);
    decoder.read_to_end(&mut plain).map_err(|error| unreadable(error.to_string()))?;
    strict_json::from_slice(&plain).map_err(unreadable)
}

#[cfg(test)]
mod tests;
