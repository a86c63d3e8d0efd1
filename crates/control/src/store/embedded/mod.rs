//! The metadata in one file on this machine.
//!
//! A commit is one transaction of redb, synced to the disk before it is answered: a process or machine that
//! dies at any instant leaves either all of a batch or nothing of it. One process at a time has the file.
//!
//! After any error of the disk redb refuses everything until the file is opened again. So it is closed then, and opened
//! by whatever is wanted next; what it holds says whether the batch that failed was written after all.
//!
//! A file that was removed or replaced while it is open can be written all the same, and nobody finds what is written. So it
//! takes no change then, and no new file is made in its place.

use std::fmt;
use std::fs::{File, Metadata as FileMetadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::v4::Event;
use redb::{Database, DatabaseError, Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use tokio::sync::watch;

use super::document::{DocumentError, HEAD};
use super::{Base, HeadMark, HeadReader, Loaded, PartKey, Store, StoreError, Update};

const PARTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("parts");
/// What is written only to see whether it can be: as much as a change may need, so that a disk with room for less counts
/// as full.
const CHECKS: TableDefinition<'_, (), &[u8]> = TableDefinition::new("checks");
static CHECK: [u8; 64 * 1024] = [0; 64 * 1024];
const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");

/// The metadata in one file.
pub struct Embedded {
    path: PathBuf,
    open: Open,
    /// Which file it is that is open, or was until an error: its device and its number there.
    file: (u64, u64),
    /// None after an error, until it is opened again.
    database: Option<Arc<Database>>,
    /// A commit has failed since the file was read last: it may have been made.
    is_doubtful: bool,
    /// When that was last tried in vain, and what was said.
    failed: Option<(Instant, String)>,
    /// The head document as it was read or written last.
    head: Option<Vec<u8>>,
    /// Nobody else has the file, so nothing is ever sent.
    silence: watch::Sender<u64>,
}

/// Between two attempts to open a file that could not be opened, however often it is to be read.
const OPEN_PAUSE: Duration = Duration::from_millis(200);

/// How the file is opened.
type Open = fn(&Path) -> Result<Database, DatabaseError>;

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Embedded {
    /// Opens the file, or makes it. Blocks while a file that was not closed is checked.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot be read or written, or another process has it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, |path| Database::create(path))
    }

    fn open_with(path: &Path, open: Open) -> Result<Self, StoreError> {
        let database = Some(open_file(path, open)?);
        let file = identity(path).ok_or_else(|| StoreError::Unavailable(missing(path)))?;
        let (failed, head, silence) = (None, None, watch::Sender::new(0));
        Ok(Self { path: path.to_owned(), open, file, database, is_doubtful: false, failed, head, silence })
    }

    async fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        if self.database.is_none() {
            // An owner may have put another one there while it was closed.
            self.file = identity(&self.path).ok_or_else(|| StoreError::Unavailable(missing(&self.path)))?;
        }
        let (known, path, open) = (self.database.take(), self.path.clone(), self.open);
        let done = tokio::task::spawn_blocking(move || {
            let database = match known {
                Some(database) => database,
                None => open_file(&path, open)?,
            };
            let done = work(&database)?;
            Ok((database, done))
        });
        match done.await {
            Ok(Ok((database, done))) => {
                (self.database, self.failed) = (Some(database), None);
                Ok(done)
            }
            // The file is closed by now.
            Ok(Err(error)) => Err(error),
            Err(error) => Err(StoreError::Unknown(error.to_string())),
        }
    }
}

fn open_file(path: &Path, open: Open) -> Result<Arc<Database>, StoreError> {
    let named = |error: String| StoreError::Unavailable(format!("{}: {error}", path.display()));
    let database = open(path).map_err(|error| named(error.to_string()))?;
    sync_folder(path).map_err(|error| named(error.to_string()))?;
    Ok(Arc::new(database))
}

/// Names a file, whatever its path.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let names = |file: FileMetadata| (file.dev(), file.ino());
    std::fs::metadata(path).ok().map(names)
}

fn missing(path: &Path) -> String {
    format!("{}: the file is not there any more", path.display())
}

impl Store for Embedded {
    const NAME: &'static str = "embedded";
    const IS_SHARED: bool = false;

    async fn load(&mut self) -> Result<Loaded, StoreError> {
        let loaded = self.blocking(read_all).await?;
        self.is_doubtful = false;
        self.head = loaded.parts.get(&PartKey(HEAD.to_owned())).cloned();
        Ok(loaded)
    }

    async fn newer(&mut self, base: Base) -> Result<Loaded, StoreError> {
        if self.database.is_some() && !self.is_doubtful {
            return Ok(Loaded { base, ..Loaded::default() });
        }
        if let Some((_, error)) = self.failed.as_ref().filter(|(at, _)| at.elapsed() < OPEN_PAUSE) {
            return Err(StoreError::Unavailable(error.clone()));
        }
        let known = self.head.clone();
        let loaded = match self.load().await {
            Ok(loaded) => loaded,
            Err(error) => {
                self.failed = Some((Instant::now(), error.to_string()));
                return Err(error);
            }
        };
        if self.head == known {
            return Ok(Loaded { base, ..Loaded::default() });
        }
        // The batch whose commit failed is there all the same.
        Ok(Loaded { base: after(base), ..loaded })
    }

    fn lost(&self) -> Option<String> {
        if self.database.is_none() || identity(&self.path) == Some(self.file) {
            return None;
        }
        Some(format!(
            "{}: the file was removed or replaced, and what this broker knows is lost when it ends: save it with `undermoon ctl \
             dump`, or put the file back",
            self.path.display()
        ))
    }

    async fn check_writing(&mut self) -> Result<(), StoreError> {
        if let Some(reason) = self.lost() {
            return Err(StoreError::Unavailable(reason));
        }
        let sealed = |database: &Database| {
            let mut transaction = database.begin_write().map_err(unavailable)?;
            transaction.set_durability(Durability::Immediate).map_err(unavailable)?;
            let mut table = transaction.open_table(CHECKS).map_err(unavailable)?;
            table.insert((), CHECK.as_slice()).map_err(unavailable)?;
            drop(table);
            transaction.commit().map_err(unavailable)
        };
        self.blocking(sealed).await
    }

    async fn commit(&mut self, base: Base, update: &Update) -> Result<Base, StoreError> {
        if let Some(reason) = self.lost() {
            return Err(StoreError::Unavailable(reason));
        }
        let parts = update.parts.clone();
        let events: Vec<(u64, Vec<u8>)> = update
            .events
            .iter()
            .map(|event| Ok((event.number, serde_json::to_vec(event).map_err(unavailable)?)))
            .collect::<Result<_, StoreError>>()?;
        let from = update.events_from;
        let head = parts.get(&PartKey(HEAD.to_owned())).cloned();
        self.is_doubtful = true;
        self.blocking(move |database| {
            let mut transaction = database.begin_write().map_err(unavailable)?;
            transaction.set_durability(Durability::Immediate).map_err(unavailable)?;
            {
                let mut table = transaction.open_table(PARTS).map_err(unavailable)?;
                for (key, bytes) in &parts {
                    table.insert(key.0.as_str(), bytes.as_slice()).map_err(unavailable)?;
                }
                let mut table = transaction.open_table(EVENTS).map_err(unavailable)?;
                for (number, bytes) in &events {
                    table.insert(number, bytes.as_slice()).map_err(unavailable)?;
                }
                table.retain_in(..from, |_, _| false).map_err(unavailable)?;
            }
            // An error of the commit itself leaves open whether it is on the disk.
            transaction.commit().map_err(|error| StoreError::Unknown(error.to_string()))
        })
        .await?;
        self.is_doubtful = false;
        self.head = head.or(self.head.take());
        Ok(after(base))
    }

    fn head_reader(&self) -> Option<HeadReader> {
        None
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.silence.subscribe()
    }
}

/// The point of the history after one more change.
const fn after(base: Base) -> Base {
    let head = HeadMark { revision: base.head.revision + 1, checksum: 0 };
    Base { read: base.read + 1, head }
}

fn unavailable(error: impl std::error::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

fn read_all(database: &Database) -> Result<Loaded, StoreError> {
    // Opening for writing makes the tables of a new file.
    let transaction = database.begin_write().map_err(unavailable)?;
    transaction.open_table(PARTS).map_err(unavailable)?;
    transaction.open_table(EVENTS).map_err(unavailable)?;
    transaction.commit().map_err(unavailable)?;

    let transaction = database.begin_read().map_err(unavailable)?;
    let mut loaded = Loaded::default();
    for row in transaction.open_table(PARTS).map_err(unavailable)?.iter().map_err(unavailable)? {
        let (key, bytes) = row.map_err(unavailable)?;
        loaded.parts.insert(PartKey(key.value().to_owned()), bytes.value().to_vec());
    }
    for row in transaction.open_table(EVENTS).map_err(unavailable)?.iter().map_err(unavailable)? {
        let (number, bytes) = row.map_err(unavailable)?;
        let event: Event = serde_json::from_slice(bytes.value()).map_err(|error| {
            DocumentError::Unreadable { key: format!("events/{}", number.value()), reason: error.to_string() }
        })?;
        loaded.events.push(event);
    }
    Ok(loaded)
}

/// Makes the file's own name durable.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf))?.sync_all()
}

#[cfg(test)]
mod tests;
