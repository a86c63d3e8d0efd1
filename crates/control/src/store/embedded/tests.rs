//! A disk that is full for a while: changes are refused meanwhile, that is said, and it is over when there is room again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use control_core::{Command, NewProxy};
use redb::StorageBackend;
use redb::backends::FileBackend;

use super::*;
use crate::store::{ChangeError, Metadata};

/// Whether the disk of these tests is full.
static IS_FULL: AtomicBool = AtomicBool::new(false);
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A file on a disk that may be full.
#[derive(Debug)]
struct Disk(FileBackend);

impl Disk {
    fn open(path: &Path) -> Result<Database, DatabaseError> {
        let options = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let file = options.map_err(|error| DatabaseError::Storage(error.into()))?;
        Database::builder().create_with_backend(Self(FileBackend::new(file)?))
    }

    fn check() -> Result<(), std::io::Error> {
        if IS_FULL.load(Ordering::Relaxed) { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, std::io::Error> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), std::io::Error> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), std::io::Error> {
        Self::check()?;
        self.0.set_len(len)
    }

    fn sync_data(&self) -> Result<(), std::io::Error> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), std::io::Error> {
        Self::check()?;
        self.0.write(offset, data)
    }

    fn close(&self) -> Result<(), std::io::Error> {
        self.0.close()
    }
}

fn register(number: u16) -> Command {
    let address = |port: u16| format!("10.0.0.{number}:{port}").parse().unwrap();
    let nodes = vec![address(6379), address(6380)];
    Command::RegisterProxy(NewProxy { address: address(5299), nodes, host: None, index: None })
}

async fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LIMIT, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_disk_that_was_full_takes_changes_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.redb");
    let metadata = Metadata::open(Embedded::open_with(&path, Disk::open).unwrap()).await.unwrap();
    metadata.change(register(1)).await.unwrap();
    IS_FULL.store(true, Ordering::Relaxed);
    let refused = metadata.change(register(2)).await;
    let is_the_stores = matches!(refused, Err(ChangeError::Unavailable(_) | ChangeError::Unknown(_)));
    assert!(is_the_stores, "{refused:?}");
    assert!(metadata.problem().is_some(), "health says that it is well");
    // What is known can still be read: nobody else could have changed it.
    assert_eq!(metadata.confirmed().await.unwrap().state.proxies.len(), 1);
    assert!(metadata.problem().is_some(), "health says that it is well after a reading");
    IS_FULL.store(false, Ordering::Relaxed);
    wait("health says that it is over", || metadata.problem().is_none()).await;
    metadata.change(register(3)).await.unwrap();
    drop(metadata);
    // And what was answered is in the file.
    let mut opened = None;
    wait("the file is closed", || {
        opened = Embedded::open(&path).ok();
        opened.is_some()
    })
    .await;
    let metadata = Metadata::open(opened.unwrap()).await.unwrap();
    let known: Vec<String> = metadata.snapshot().state.proxies.keys().map(ToString::to_string).collect();
    assert_eq!(known, ["10.0.0.1:5299", "10.0.0.3:5299"]);
}

/// Without its name the file is gone when the broker ends, however well it can be written until then.
#[tokio::test]
async fn a_file_that_was_removed_or_replaced_takes_no_changes() {
    let folder = tempfile::tempdir().unwrap();
    let (path, elsewhere) = (folder.path().join("metadata.redb"), folder.path().join("elsewhere"));
    let metadata = Metadata::open(Embedded::open(&path).unwrap()).await.unwrap();
    metadata.change(register(1)).await.unwrap();
    for (case, is_replaced) in [("removed", false), ("replaced", true)] {
        std::fs::rename(&path, &elsewhere).unwrap();
        if is_replaced {
            std::fs::write(&path, b"another").unwrap();
        }
        wait("health says so, whether anybody wants a change or not", || metadata.problem().is_some()).await;
        let problem = metadata.problem().unwrap();
        assert!(problem.contains("metadata.redb"), "{case}: {problem}");
        let refused = metadata.change(register(2)).await;
        assert!(matches!(refused, Err(ChangeError::Unavailable(_))), "{case}: {refused:?}");
        // What it has can still be read, and so be saved.
        assert_eq!(metadata.confirmed().await.unwrap().state.proxies.len(), 1, "{case}");
        assert!(metadata.problem().is_some(), "{case}");
        std::fs::rename(&elsewhere, &path).unwrap();
        wait("health says that it is over", || metadata.problem().is_none()).await;
    }
    metadata.change(register(3)).await.unwrap();
}
