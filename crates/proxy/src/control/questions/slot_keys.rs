//! CLUSTER COUNTKEYSINSLOT and GETKEYSINSLOT over plain Redis servers, which keep no index of slots: the keys are
//! found by a scan of the nodes that the asked face stands for, within a time limit.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use link::LinkError;
use model::{Address, Slot};
use proxy_core::errors;
use proxy_core::face::Face;
use proxy_core::profile::Profile;
use proxy_core::settings::Password;
use resp::{Value, encode};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::super::node_client::NodeClient;
use super::super::picture::Picture;
use super::super::reply_to::ReplyTo;
use super::super::texts;

/// Scans that run at once; more wait, within their time.
const SCANS_MAX: usize = 4;
/// Keys asked for with each step.
const SCAN_COUNT: &[u8] = b"2000";
/// What an answer to SCAN is not.
const NO_STEP: LinkError = LinkError::Unexpected("a cursor with keys");
/// Bytes of keys that one scan may collect.
const KEYS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Where and for how long to look for what.
#[derive(Clone)]
struct Scan {
    slot: Slot,
    db: u32,
    /// No more keys than this are looked for.
    keys_max: u64,
    password: Option<Password>,
    limit: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum ScanError {
    #[error("{}", texts::scan_too_slow(*.0))]
    TooSlow(Duration),
    #[error("{}", texts::SCAN_TOO_LARGE)]
    TooLarge,
    #[error("{}", texts::scan_failed(.0, .1))]
    Node(Address, LinkError),
}

/// All scans.
#[derive(Debug)]
pub(super) struct Scans {
    permits: Arc<Semaphore>,
    password: Option<Password>,
}

impl Scans {
    /// None yet.
    pub(super) fn new(password: Option<Password>) -> Scans {
        Scans { permits: Arc::new(Semaphore::new(SCANS_MAX)), password }
    }

    /// CLUSTER COUNTKEYSINSLOT in a slot, for this asker.
    pub(super) fn count(&self, picture: &Picture, slot: Slot, asker: &Profile, to: ReplyTo) {
        let scan = self.scan(picture, (slot, asker.db), u64::MAX);
        self.start(nodes_of(picture, asker.face), scan, to, |keys, out| {
            encode::integer(out, keys.len() as i64);
        });
    }

    /// CLUSTER GETKEYSINSLOT in a slot, for this asker.
    pub(super) fn keys(&self, picture: &Picture, (slot, count): (Slot, u64), asker: &Profile, to: ReplyTo) {
        let scan = self.scan(picture, (slot, asker.db), count);
        self.start(nodes_of(picture, asker.face), scan, to, |keys, out| {
            encode::array(out, keys.len());
            keys.iter().for_each(|key| encode::bulk(out, key));
        });
    }

    fn scan(&self, picture: &Picture, (slot, db): (Slot, u32), keys_max: u64) -> Scan {
        let limit = Duration::from_millis(picture.shared.settings.backend_timeout_ms);
        Scan { slot, db, keys_max, password: self.password.clone(), limit }
    }

    fn start(&self, nodes: Vec<Address>, scan: Scan, to: ReplyTo, write: Write) {
        let permits = self.permits.clone();
        tokio::spawn(async move {
            let mut reply = Vec::new();
            match collect(&scan, nodes, &permits).await {
                Ok(keys) => write(&keys, &mut reply),
                Err(error) => errors::write(&mut reply, &error.to_string()),
            }
            to.send(reply);
        });
    }
}

/// The nodes that have the keys of a face.
fn nodes_of(picture: &Picture, face: Face) -> Vec<Address> {
    picture.shared.view.as_deref().map_or_else(Vec::new, |view| view.routes.data_nodes(face))
}

/// How the keys become a reply.
type Write = fn(&[Box<[u8]>], &mut Vec<u8>);

/// The keys of the slot on all these nodes.
async fn collect(
    scan: &Scan,
    nodes: Vec<Address>,
    permits: &Arc<Semaphore>,
) -> Result<Vec<Box<[u8]>>, ScanError> {
    let late = |_| ScanError::TooSlow(scan.limit);
    let deadline = Instant::now() + scan.limit;
    let _permit = timeout_at(deadline, permits.acquire()).await.map_err(late)?;
    let mut tasks = JoinSet::new();
    for node in nodes {
        let scan = scan.clone();
        tasks.spawn(async move {
            let found = scan_node(&scan, &node).await;
            found.map_err(|fault| match fault {
                Fault::TooLarge => ScanError::TooLarge,
                Fault::Node(LinkError::TimedOut(_)) => ScanError::TooSlow(scan.limit),
                Fault::Node(error) => ScanError::Node(node, error),
            })
        });
    }
    let mut keys = Vec::new();
    while let Some(joined) = timeout_at(deadline, tasks.join_next()).await.map_err(late)? {
        // A task that panicked has said so; without its keys the answer would be wrong.
        let found = joined.map_err(|_| ScanError::TooSlow(scan.limit))??;
        keys.extend(found);
    }
    keys.truncate(usize::try_from(scan.keys_max).unwrap_or(usize::MAX));
    Ok(keys)
}

enum Fault {
    TooLarge,
    Node(LinkError),
}

impl From<LinkError> for Fault {
    fn from(error: LinkError) -> Fault {
        Fault::Node(error)
    }
}

async fn scan_node(scan: &Scan, node: &Address) -> Result<HashSet<Box<[u8]>>, Fault> {
    let mut client = NodeClient::connect(node, scan.password.as_ref(), scan.limit).await?;
    if scan.db != 0 {
        client.call(&[b"SELECT", scan.db.to_string().as_bytes()]).await?;
    }
    // SCAN may tell of a key more than once.
    let mut keys: HashSet<Box<[u8]>> = HashSet::new();
    let mut bytes = 0;
    let mut cursor = b"0".to_vec();
    loop {
        let reply = client.call(&[b"SCAN", &cursor, b"COUNT", SCAN_COUNT]).await?;
        let Value::Array(parts) = reply.value()? else { return Err(NO_STEP.into()) };
        let [Value::Bulk(next), Value::Array(found)] = parts.as_slice() else {
            return Err(NO_STEP.into());
        };
        for key in found {
            let Value::Bulk(key) = key else { return Err(NO_STEP.into()) };
            if Slot::of_key(key) == scan.slot && keys.insert((*key).into()) {
                bytes += key.len();
            }
        }
        if bytes > KEYS_BYTES_MAX {
            return Err(Fault::TooLarge);
        }
        if *next == b"0" || keys.len() as u64 >= scan.keys_max {
            return Ok(keys);
        }
        cursor = next.to_vec();
    }
}
