//! A store that has gone back in time: etcd was put back from a copy while this process ran, or lost its data.
//!
//! What this process remembers is worth nothing then. Others may already have changed what the store holds, and each would
//! grant leases and promote by metadata of its own. So everything is read again, and nothing is answered until a change is
//! built on what the store holds. That change raises the epochs past all that this process has seen, begins a new history
//! and puts everything under review, as after a restored dump: proxies know more than the store.
//!
//! A store that holds nothing at all is no history to go on with: an operator decides. Until then this process answers what
//! it remembers to those who only look, and nothing to those who decide.

use std::sync::PoisonError;

use control_core::Command;
use rand::RngExt as _;
use tracing::{error, warn};

use super::super::document::{Document, WriterId};
use super::super::{HeadMark, Loaded, Store, StoreError};
use super::{Change, Ledger};

/// How often it is tried to build a change on what the store holds before those who wait are told.
const BEGINNINGS_MAX: usize = 8;
/// Who asks for that change.
const ASKER: &str = "this broker, whose store has gone back in time";

impl<S: Store> Ledger<S> {
    /// Nothing is built on what is known from now on.
    pub(super) fn note_going_back(&mut self, reason: &str) {
        let highest = self.went_back.unwrap_or_default().max(self.document.state.global_epoch);
        error!(reason, change = self.document.change, epoch = %highest, "the store has gone back in time");
        self.went_back = Some(highest);
    }

    /// Reads everything, and makes the change after which it is the truth.
    pub(super) async fn begin_again(&mut self) -> Result<bool, StoreError> {
        for _ in 0..BEGINNINGS_MAX {
            let loaded = self.store.load().await?;
            if loaded.base.head == HeadMark::default() {
                return Err(StoreError::WentBack(
                    "it is empty; put its data back, or save what this broker remembers with `undermoon \
                     ctl dump`, restart the broker, and restore that"
                        .to_owned(),
                ));
            }
            let mut found = Document::default();
            found.absorb(&loaded.parts)?;
            match self.begin_on(found, loaded).await {
                Ok(()) => return Ok(true),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::WentBack("others keep changing what it holds".to_owned()))
    }

    async fn begin_on(&mut self, found: Document, loaded: Loaded) -> Result<(), StoreError> {
        let highest = self.went_back.unwrap_or_default();
        let (change, epoch) = (found.change, found.state.global_epoch);
        let is_begun = found.history != self.document.history && epoch > highest;
        // What this process has written before is gone, so it must not seem to be there: it is another writer now.
        self.writer = WriterId(rand::rng().random());
        let remembered = std::mem::replace(&mut self.document, found);
        let (base, next, events) = if is_begun {
            // Another broker has noticed it first.
            (loaded.base, self.document.clone(), Vec::new())
        } else {
            let now = self.now();
            let command = Command::RecoverEpoch { highest };
            let change = Change { command, by: Some(ASKER.to_owned()), asked: None };
            let applied = self.apply(&[change], now, |_| false);
            let update = self.update(&applied);
            match self.store.commit(loaded.base, &update).await {
                Ok(base) => (base, applied.next, applied.events),
                Err(error) => {
                    self.document = remembered;
                    return Err(error);
                }
            }
        };
        self.writer = WriterId(rand::rng().random());
        (self.base, self.went_back) = (base, None);
        self.events.lock().unwrap_or_else(PoisonError::into_inner).replace(loaded.events);
        self.publish(next, events);
        warn!(change, epoch = %epoch, remembered = %highest, "the metadata is what the store holds, and under review");
        Ok(())
    }
}
