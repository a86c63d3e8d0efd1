//! Makes the changes of this process, one batch after the other.
//!
//! A batch is applied to a copy of what was read, and committed on the condition that nobody has changed the
//! metadata since. If somebody has, what they changed is read and the batch is applied again.
//!
//! No batch is ever made twice, whenever the connection to the store is lost. The interleavings:
//! - The commit was lost on its way: the head is as before, and the same batch is sent again on the same base.
//!   If the first one arrives after all, only one of the two meets that head, and the other is a conflict; the
//!   head that is read then names this writer and this batch.
//! - The commit was made and its answer lost: the head names this writer and this batch.
//! - The commit was lost and somebody else has made a change: it can never be made any more, because it demands
//!   the older head; the batch is applied again.
//!
//! A store that has gone back in time ends all that was known: see `going_back`.

mod batch;
mod going_back;
mod reading;
mod request;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api::v4::Event;
use control_core::{ApplyError, FenceClock, Reply, TimeMs};
use model::{Epoch, Moment};
use rand::RngExt as _;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{info, warn};

use self::batch::{Applied, Batch};
use self::request::{Answer, Confirmation};
pub(super) use self::request::{Change, Request};
use super::change_error::ChangeError;
use super::document::{Document, WriterId};
use super::event_log::{EVENTS_MAX, EventLog};
use super::history::HistoryId;
use super::reading_log::ReadingLog;
use super::snapshot::Snapshot;
use super::{Base, Store, StoreError, Update};
use crate::{stalls, wall_clock};

/// How many changes one commit takes together.
const BATCH_MAX: usize = 64;
/// How often a batch is tried again because others were faster.
const CONFLICTS_MAX: usize = 64;
/// How often in a row a store may refuse a batch as made on old metadata, and have nothing newer.
const CONTRADICTIONS_MAX: usize = 3;
/// How long it is shown that changes were given up because others kept changing the metadata.
const CONFLICT_SHOWN: Duration = Duration::from_secs(10);
/// How long a store may be away before those who wait for a change are told.
const STORE_PATIENCE: Duration = Duration::from_secs(5);
/// How often it is seen whether a store takes changes again that has not.
const WRITE_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The first pause after the store failed; each one is twice as long as the last.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How a batch ended.
type Outcome = Result<Vec<Result<Reply, ApplyError>>, ChangeError>;

/// The one place of a process that changes the metadata.
pub(super) struct Ledger<S> {
    store: S,
    base: Base,
    document: Document,
    writer: WriterId,
    batch: u64,
    clock: TimeMs,
    log: Arc<ReadingLog>,
    fences: FenceClock,
    events: Arc<Mutex<EventLog>>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    problem: watch::Sender<Option<String>>,
    /// Why the last commit failed, until one succeeds or it is seen that one would.
    write_problem: Option<String>,
    /// Why the store could not be read.
    read_problem: Option<String>,
    /// When a batch was last given up because others kept changing the metadata.
    conflict: Option<Instant>,
    /// The store has gone back in time, and no change is built on what it holds yet: the highest epoch that was ever seen.
    went_back: Option<Epoch>,
}

type Opened<S> = (Ledger<S>, watch::Receiver<Arc<Snapshot>>, watch::Receiver<Option<String>>);

impl<S: Store> Ledger<S> {
    /// Reads everything.
    pub(super) async fn open(
        mut store: S,
        events: Arc<Mutex<EventLog>>,
        log: Arc<ReadingLog>,
    ) -> Result<Opened<S>, StoreError> {
        let loaded = store.load().await?;
        let mut document = Document::default();
        document.absorb(&loaded.parts)?;
        if !S::IS_SHARED {
            // The owner of the file may have put an older one in its place.
            document.history = HistoryId::random();
        }
        events.lock().unwrap_or_else(PoisonError::into_inner).extend(loaded.events);
        let (snapshots, snapshots_seen) = watch::channel(Arc::new(snapshot(&document, loaded.base)));
        let (problem, problem_seen) = watch::channel(None);
        let writer = WriterId(rand::rng().random());
        let (base, clock) = (loaded.base, TimeMs::default());
        info!(store = S::NAME, change = document.change, epoch = %document.state.global_epoch, "metadata read");
        let (write_problem, read_problem, conflict, went_back) = (None, None, None, None);
        let mut fences = FenceClock::default();
        fences.note(&document.state, log.moment());
        let ledger = Self {
            store,
            base,
            document,
            writer,
            batch: 0,
            clock,
            log,
            fences,
            events,
            snapshots,
            problem,
            write_problem,
            read_problem,
            conflict,
            went_back,
        };
        Ok((ledger, snapshots_seen, problem_seen))
    }

    /// Makes changes until nobody can ask for any more.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut changes = self.store.changes();
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let mut check = tokio::time::interval(WRITE_CHECK_INTERVAL);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = check.tick() => {
                    if self.has_problem() || self.store.lost().is_some() {
                        self.check_writing().await;
                    }
                }
                count = requests.recv_many(&mut batch, BATCH_MAX) => {
                    if count == 0 {
                        return;
                    }
                    self.serve(&mut batch).await;
                }
                Ok(()) = changes.changed() => self.follow().await,
            }
        }
    }

    /// Makes the changes, then reads once for all that wait for a confirmation: whatever was done before they
    /// asked is found.
    async fn serve(&mut self, requests: &mut Vec<Request>) {
        let (mut changes, mut answers, mut confirmations) = (Vec::new(), Vec::new(), Vec::new());
        for request in requests.drain(..) {
            match request {
                Request::Change { change, answer } => {
                    changes.push(change);
                    answers.push(answer);
                }
                Request::Confirm(answer) => confirmations.push(answer),
            }
        }
        if !changes.is_empty() {
            self.make(changes, answers).await;
        }
        if !confirmations.is_empty() {
            self.confirm(confirmations).await;
        }
    }

    /// Whether something is wrong that nobody else may notice the end of.
    const fn has_problem(&self) -> bool {
        self.write_problem.is_some() || self.read_problem.is_some() || self.conflict.is_some()
    }

    /// Sees whether changes can be made again that could not.
    async fn check_writing(&mut self) {
        match self.store.check_writing().await {
            Ok(()) => {
                if self.write_problem.take().is_some() {
                    info!("the store takes changes again");
                }
                self.conflict = self.conflict.filter(|at| at.elapsed() < CONFLICT_SHOWN);
                // What was not known to be committed may be there.
                self.follow().await;
            }
            Err(error) => {
                self.write_problem = Some(error.to_string());
                self.note_problem();
            }
        }
    }

    async fn confirm(&mut self, confirmations: Vec<Confirmation>) {
        let read = self.read_newer().await;
        let said = match read {
            Ok(_) => Ok(Arc::clone(&self.snapshots.borrow())),
            Err(error) => Err(ChangeError::Unavailable(error.to_string())),
        };
        for confirmation in confirmations {
            // The caller may have given up.
            let _ = confirmation.send(said.clone());
        }
    }

    async fn make(&mut self, mut changes: Vec<Change>, answers: Vec<Answer>) {
        let now = self.now();
        changes.iter_mut().for_each(|change| change.command.stamp(now));
        self.batch += 1;
        match self.commit(&changes, &answers, now).await {
            Ok(replies) => {
                for (answer, reply) in answers.into_iter().zip(replies) {
                    // The caller may have given up while the change was being made.
                    let _ = answer.send(reply.map_err(ChangeError::Refused));
                }
            }
            Err(error) => {
                warn!(%error, "changes were not made");
                for answer in answers {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
    }

    /// Commits a batch whatever others do, within limits. What nobody waits for any more is left out of it: whoever asked for
    /// that may have looked elsewhere, and done something else since.
    async fn commit(&mut self, changes: &[Change], answers: &[Answer], now: TimeMs) -> Outcome {
        let deadline = Instant::now() + STORE_PATIENCE;
        let mut pause = PAUSE_FIRST;
        // What was said of a commit on the present base whose outcome is not known.
        let mut lost: Option<String> = None;
        let mut contradictions = 0;
        for _ in 0..CONFLICTS_MAX {
            // Of a batch that may have been made nothing is left out: it is the same one that is sent again.
            let may_be_made = lost.is_some();
            let applied = self.apply(changes, now, |place| {
                let is_from_before =
                    || changes[place].asked.as_ref().is_some_and(|asked| asked.is_from_before(stalls::now()));
                !may_be_made && (answers[place].is_closed() || is_from_before())
            });
            let failure = if applied.next.state == self.document.state {
                // Refused, or nothing to do: true only if what was read is still so.
                None
            } else {
                let update = self.update(&applied);
                match self.store.commit(self.base, &update).await {
                    Ok(base) => {
                        self.base = base;
                        self.publish(applied.next, applied.events);
                        (self.write_problem, self.read_problem, self.conflict) = (None, None, None);
                        self.note_problem();
                        return Ok(applied.replies);
                    }
                    Err(failure) => Some(failure),
                }
            };
            if let Some(StoreError::Unknown(reason)) = &failure {
                lost = Some(reason.clone());
            }
            if let Some(failure) = failure.as_ref().filter(|failure| !matches!(failure, StoreError::Conflict))
            {
                self.write_problem = Some(failure.to_string());
                self.note_problem();
            }
            let changed = self.catch_up(lost.as_deref()).await?;
            contradictions = match &failure {
                Some(StoreError::Conflict) if !changed => contradictions + 1,
                _ => 0,
            };
            if contradictions == CONTRADICTIONS_MAX {
                self.note_going_back("it refuses changes as made on old metadata, and has nothing newer");
            }
            if !changed && !S::IS_SHARED {
                // Nobody else could have made a change, so what was read is the whole truth: it was not made.
                lost = None;
            }
            if changed && let Some(reason) = lost.take() {
                match self.document.holds(self.writer, self.batch) {
                    Some(true) => return Ok(applied.replies),
                    Some(false) => {}
                    None => return Err(ChangeError::Unknown(reason)),
                }
            }
            match failure {
                None if !changed => return Ok(applied.replies),
                Some(failure) if !changed && !matches!(failure, StoreError::Conflict) => {
                    warn!(%failure, "the store failed");
                    if Instant::now() + pause >= deadline {
                        return Err(refusal(lost, &failure));
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                None | Some(_) => {}
            }
        }
        self.conflict = Some(Instant::now());
        self.note_problem();
        Err(lost.map_or(ChangeError::Conflict, ChangeError::Unknown))
    }

    /// Applies a batch to a copy, without the changes at the places that are given up.
    fn apply(&self, changes: &[Change], now: TimeMs, is_given_up: impl Fn(usize) -> bool) -> Applied {
        let batch = Batch { changes, now, fences: &self.fences, log: &self.log };
        let mut applied = batch.apply(&self.document, is_given_up);
        applied.next.sign(self.writer, self.batch);
        applied
    }

    fn update(&self, applied: &Applied) -> Update {
        Update {
            parts: self.document.differences(&applied.next),
            events: applied.events.clone(),
            events_from: applied.next.next_event.saturating_sub(EVENTS_MAX),
        }
    }

    fn publish(&mut self, next: Document, events: Vec<Event>) {
        for event in &events {
            info!(number = event.number, kind = event.kind, words = event.words.join("; "), "changed");
        }
        self.events.lock().unwrap_or_else(PoisonError::into_inner).extend(events);
        self.document = next;
        self.fences.note(&self.document.state, self.moment());
        self.snapshots.send_replace(Arc::new(snapshot(&self.document, self.base)));
    }

    fn note_problem(&self) {
        let conflict =
            || self.conflict.map(|_| "changes are given up: others keep changing the metadata".to_owned());
        let problem = self.write_problem.clone().or_else(|| self.read_problem.clone()).or_else(conflict);
        self.problem.send_if_modified(|known| {
            let is_new = *known != problem;
            *known = problem;
            is_new
        });
    }

    /// How long this process has run, by a clock that nobody sets.
    fn moment(&self) -> Moment {
        self.log.moment()
    }

    /// The time now; it never steps back while the process runs.
    fn now(&mut self) -> TimeMs {
        self.clock = self.clock.max(wall_clock::now());
        self.clock
    }
}

/// What those who wait for a change are told when the store is away too long.
fn refusal(lost: Option<String>, failure: &StoreError) -> ChangeError {
    lost.map_or_else(|| ChangeError::Unavailable(failure.to_string()), ChangeError::Unknown)
}

fn snapshot(document: &Document, base: Base) -> Snapshot {
    let (history, change, state) = (document.history, document.change, document.state.clone());
    Snapshot { history, change, state, head: base.head }
}

#[cfg(test)]
mod tests;
