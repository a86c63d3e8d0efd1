//! Reading the metadata: everything, or what has changed since a revision.

use api::v4::Event;
use etcd_client::{GetOptions, KvClient, Txn, TxnOp, TxnOpResponse};

use super::super::document::DocumentError;
use super::super::{Base, Loaded, PartKey, StoreError};
use super::failure::unavailable;

/// The key of the head, after the prefix.
pub(super) const HEAD: &str = "parts/head";

/// The key of the events of one change.
pub(super) fn event_key(prefix: &str, first: u64) -> String {
    format!("{prefix}events/{first:020}")
}

/// Reads what has changed after `base`, which is everything when nothing was read before. One read-only
/// transaction, so both answers are of one revision; and etcd answers it only when a majority of it agrees
/// that the revision is the last.
///
/// Documents are never deleted, so nothing is overlooked; events are, and those are not wanted any more.
///
/// `from`: the number of the next event, as far as is known. etcd walks the keys that it is asked for, and there are
/// thousands of older events.
pub(super) async fn read(
    kv: &mut KvClient,
    prefix: &str,
    (base, from): (Base, u64),
) -> Result<Loaded, StoreError> {
    let newer = || GetOptions::new().with_min_mod_revision(base.read.saturating_add(1));
    let parts = TxnOp::get(format!("{prefix}parts/"), Some(newer().with_prefix()));
    let events = newer().with_range(event_key(prefix, u64::MAX));
    let events = TxnOp::get(event_key(prefix, from), Some(events));
    let answer = kv.txn(Txn::new().and_then([parts, events])).await.map_err(unavailable)?;
    let revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
    if revision < base.read {
        let (now, before) = (revision, base.read);
        let text =
            format!("etcd is at revision {now} and was at {before}: it has lost its data or was restored");
        return Err(StoreError::Unavailable(format!("{text}; restart the broker to go on with what it has")));
    }
    let mut loaded = Loaded { base: Base { read: revision, head: base.head }, ..Loaded::default() };
    for response in answer.op_responses() {
        let TxnOpResponse::Get(found) = response else { continue };
        for pair in found.kvs() {
            let key = String::from_utf8_lossy(pair.key());
            let key = key.strip_prefix(prefix).unwrap_or(&key);
            if key == HEAD {
                loaded.base.head = pair.mod_revision();
            }
            if let Some(part) = key.strip_prefix("parts/") {
                loaded.parts.insert(PartKey(part.to_owned()), pair.value().to_vec());
            } else {
                loaded.events.extend(decode_events(key, pair.value())?);
            }
        }
    }
    Ok(loaded)
}

fn decode_events(key: &str, bytes: &[u8]) -> Result<Vec<Event>, StoreError> {
    let events = serde_json::from_slice(bytes);
    events.map_err(|error: serde_json::Error| {
        DocumentError::Unreadable { key: key.to_owned(), reason: error.to_string() }.into()
    })
}
