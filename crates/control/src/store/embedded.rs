//! The metadata in one file on this machine.
//!
//! A commit is one transaction of redb, synced to the disk before it is answered: a process or machine that
//! dies at any instant leaves either all of a batch or nothing of it. One process at a time has the file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::v4::Event;
use redb::{Database, Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use tokio::sync::watch;

use super::document::DocumentError;
use super::{Base, Loaded, PartKey, Store, StoreError, Update};

const PARTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("parts");
const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");

/// The metadata in one file.
#[derive(Debug)]
pub struct Embedded {
    database: Arc<Database>,
    /// Nobody else has the file, so nothing is ever sent.
    silence: watch::Sender<u64>,
}

impl Embedded {
    /// Opens the file, or makes it. Blocks while a file that was not closed is checked.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot be read or written, or another process has it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let named = |error: String| StoreError::Unavailable(format!("{}: {error}", path.display()));
        let database = Database::create(path).map_err(|error| named(error.to_string()))?;
        sync_folder(path).map_err(|error| named(error.to_string()))?;
        Ok(Self { database: Arc::new(database), silence: watch::Sender::new(0) })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = Arc::clone(&self.database);
        match tokio::task::spawn_blocking(move || work(&database)).await {
            Ok(done) => done,
            Err(error) => Err(StoreError::Unknown(error.to_string())),
        }
    }
}

impl Store for Embedded {
    const NAME: &'static str = "embedded";
    const IS_SHARED: bool = false;

    async fn load(&mut self) -> Result<Loaded, StoreError> {
        self.blocking(read_all).await
    }

    async fn newer(&mut self, base: Base) -> Result<Loaded, StoreError> {
        Ok(Loaded { base, ..Loaded::default() })
    }

    async fn commit(&mut self, base: Base, update: &Update) -> Result<Base, StoreError> {
        let parts = update.parts.clone();
        let events: Vec<(u64, Vec<u8>)> = update
            .events
            .iter()
            .map(|event| Ok((event.number, serde_json::to_vec(event).map_err(unavailable)?)))
            .collect::<Result<_, StoreError>>()?;
        let from = update.events_from;
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
        Ok(Base { read: base.read + 1, head: base.head + 1 })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.silence.subscribe()
    }
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
