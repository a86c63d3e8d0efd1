//! Reading what others have changed.

use tokio::time::Instant;
use tracing::warn;

use super::super::change_error::ChangeError;
use super::super::{Store, StoreError};
use super::{Ledger, PAUSE_FIRST, PAUSE_MAX, STORE_PATIENCE, refusal};

impl<S: Store> Ledger<S> {
    /// Reads what others have changed, trying again while the store is away; says whether there was anything.
    /// `lost` is what was said of a commit whose outcome is not known, if that is why.
    pub(super) async fn catch_up(&mut self, lost: Option<&str>) -> Result<bool, ChangeError> {
        let deadline = Instant::now() + STORE_PATIENCE;
        let mut pause = PAUSE_FIRST;
        loop {
            match self.read_newer().await {
                Ok(changed) => return Ok(changed),
                Err(error) if Instant::now() + pause >= deadline => {
                    return Err(refusal(lost.map(str::to_owned), &error));
                }
                Err(_) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    /// Follows the changes of others. A store that is away is found again by the next hint or change.
    pub(super) async fn follow(&mut self) {
        if let Err(error) = self.read_newer().await {
            warn!(%error, "cannot read what others changed");
        }
    }

    pub(super) async fn read_newer(&mut self) -> Result<bool, StoreError> {
        let newer = self.take_newer().await;
        self.read_problem = newer.as_ref().err().map(ToString::to_string);
        self.note_problem();
        newer
    }

    /// Takes over what is newer, or everything where the store has gone back.
    async fn take_newer(&mut self) -> Result<bool, StoreError> {
        if self.went_back.is_some() {
            return self.begin_again().await;
        }
        let loaded = match self.store.newer(self.base).await {
            Ok(loaded) => loaded,
            Err(StoreError::WentBack(reason)) => {
                self.note_going_back(&reason);
                return self.begin_again().await;
            }
            Err(error) => return Err(error),
        };
        if loaded.base.head == self.base.head {
            self.base = loaded.base;
            return Ok(false);
        }
        let mut next = self.document.clone();
        next.absorb(&loaded.parts)?;
        if !next.comes_after(&self.document) {
            self.note_going_back("its last change does not build on the one that was read before");
            return self.begin_again().await;
        }
        self.base = loaded.base;
        self.publish(next, loaded.events);
        Ok(true)
    }
}
