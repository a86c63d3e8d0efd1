//! Reading the metadata: everything, or what has changed since a revision.

use api::v4::Event;
use etcd_client::{GetOptions, KeyValue, KvClient, Txn, TxnOp, TxnOpResponse};
use model::crc64;

use super::super::document::DocumentError;
use super::super::{Base, HeadMark, Loaded, PartKey, StoreError};
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
/// etcd may be put back from a copy behind this process's back, and others may write to it since. Then what they wrote
/// may have revisions below `base.read`, and nothing of what was read can be built on. That is noticed by the head: it is
/// the one that is known, or was written after everything that is known. Revisions of etcd alone prove nothing, because
/// each writer raises them, if only to see whether etcd takes writes. (That a head which was written later belongs to
/// the history that is known is for the ledger to see, which understands it.)
///
/// Answers the head's own document, too.
///
/// `from`: the number of the next event, as far as is known. etcd walks the keys that it is asked for, and there are
/// thousands of older events.
pub(super) async fn read(
    kv: &mut KvClient,
    prefix: &str,
    (base, from): (Base, u64),
) -> Result<(Loaded, Vec<u8>), StoreError> {
    let newer = || GetOptions::new().with_min_mod_revision(base.read.saturating_add(1));
    let parts = TxnOp::get(format!("{prefix}parts/"), Some(newer().with_prefix()));
    let events = newer().with_range(event_key(prefix, u64::MAX));
    let events = TxnOp::get(event_key(prefix, from), Some(events));
    let head = TxnOp::get(format!("{prefix}{HEAD}"), None);
    let answer = kv.txn(Txn::new().and_then([head, parts, events])).await.map_err(unavailable)?;
    let revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
    let mut found = answer.op_responses().into_iter();
    let head = found.next().and_then(|response| match response {
        TxnOpResponse::Get(found) => found.kvs().first().map(|pair| (mark(pair), pair.value().to_vec())),
        _ => None,
    });
    let (head, document) = head.unwrap_or_default();
    if head != base.head && (head.revision <= base.read || revision < base.read) {
        let (now, before, read) = (head.revision, base.head.revision, base.read);
        return Err(StoreError::WentBack(format!(
            "its last change is of revision {now}, and was of {before} when it was read at revision {read}: it has lost its \
             data, or was put back from a copy"
        )));
    }
    let mut loaded = Loaded { base: Base { read: revision, head }, ..Loaded::default() };
    for response in found {
        let TxnOpResponse::Get(found) = response else { continue };
        for pair in found.kvs() {
            let key = String::from_utf8_lossy(pair.key());
            let key = key.strip_prefix(prefix).unwrap_or(&key);
            if let Some(part) = key.strip_prefix("parts/") {
                loaded.parts.insert(PartKey(part.to_owned()), pair.value().to_vec());
            } else {
                loaded.events.extend(decode_events(key, pair.value())?);
            }
        }
    }
    Ok((loaded, document))
}

/// Which change wrote a head.
pub(super) fn mark(head: &KeyValue) -> HeadMark {
    HeadMark { revision: head.mod_revision(), checksum: crc64(head.value()) }
}

fn decode_events(key: &str, bytes: &[u8]) -> Result<Vec<Event>, StoreError> {
    let events = serde_json::from_slice(bytes);
    events.map_err(|error: serde_json::Error| {
        DocumentError::Unreadable { key: key.to_owned(), reason: error.to_string() }.into()
    })
}
