//! The questions' loop: takes questions of sessions in turn, and those of operators before them. It never waits for
//! anything but the next question; what takes time is a task.

use std::sync::Arc;
use std::time::Duration;

use proxy_core::engine::Question;
use proxy_core::settings::Password;
use proxy_core::slowlog::{SlowEntry, SlowLog, SlowlogRequest};
use proxy_core::stats::{Snapshot, WorkerStats};
use resp::encode;
use service::shutdown::Shutdown;
use tokio::sync::mpsc::{Receiver, Sender, UnboundedReceiver, channel};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::MissedTickBehavior;

use super::super::fair_queue::FairQueue;
use super::super::orders::Order;
use super::super::picture::Picture;
use super::super::process::{self, ProcessFacts};
use super::super::reply_to::ReplyTo;
use super::super::report;
use super::super::workers::WorkersLine;
use super::counts::Counts;
use super::keyspaces::Keyspaces;
use super::listing::Listings;
use super::slot_keys::Scans;
use super::wait::Waits;
use crate::worker::{Inquiry, SessionAsk};

/// Between two readings of the workers' counters, for rates.
const READING_INTERVAL: Duration = Duration::from_secs(1);
/// Operators' questions that may wait.
const CALLS_MAX: usize = 64;

/// A question of an operator.
#[derive(Debug)]
pub(in crate::control) enum DeskCall {
    /// UMCTL SLOWLOG.
    Slowlog(SlowlogRequest, ReplyTo),
    /// UMCTL STATS.
    Stats(ReplyTo),
    /// The newest entries of the slow log, at most this many, with their numbers.
    SlowEntries(usize, oneshot::Sender<Vec<(u64, SlowEntry)>>),
}

/// The way to the desk for operators.
pub(in crate::control) type DeskLine = Sender<DeskCall>;

/// A line to the desk, and the desk's end of it.
pub(in crate::control) fn desk_line() -> (DeskLine, Receiver<DeskCall>) {
    channel(CALLS_MAX)
}

/// What the desk is started with.
pub(in crate::control) struct DeskStart {
    pub(in crate::control) line: WorkersLine,
    pub(in crate::control) stats: Vec<Arc<WorkerStats>>,
    pub(in crate::control) picture: watch::Receiver<Picture>,
    pub(in crate::control) orders: Sender<Order>,
    pub(in crate::control) process: Arc<ProcessFacts>,
    pub(in crate::control) backend_password: Option<Password>,
    pub(in crate::control) shutdown: Shutdown,
}

/// The questions' thread.
pub(in crate::control) struct Desk {
    pub(super) line: WorkersLine,
    stats: Vec<Arc<WorkerStats>>,
    pub(super) picture: watch::Receiver<Picture>,
    pub(super) orders: Sender<Order>,
    pub(super) process: Arc<ProcessFacts>,
    pub(super) slowlog: SlowLog,
    pub(super) counts: Counts,
    pub(super) listings: Listings,
    pub(super) waits: Waits,
    pub(super) keyspaces: Keyspaces,
    scans: Scans,
    /// Held while settings are changed for a client: one at a time.
    pub(super) settings_turn: Arc<Semaphore>,
}

impl Desk {
    /// A desk that has not been asked anything.
    pub(in crate::control) fn new(start: DeskStart) -> Desk {
        Desk {
            line: start.line,
            stats: start.stats,
            waits: Waits::new(start.backend_password.clone(), start.shutdown),
            keyspaces: Keyspaces::new(start.backend_password.clone()),
            scans: Scans::new(start.backend_password),
            picture: start.picture,
            orders: start.orders,
            process: start.process,
            slowlog: SlowLog::default(),
            counts: Counts::default(),
            listings: Listings::default(),
            settings_turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// Answers until `ended`.
    pub(in crate::control) async fn run(
        mut self,
        mut inquiries: UnboundedReceiver<Inquiry>,
        mut calls: Receiver<DeskCall>,
        mut ended: oneshot::Receiver<()>,
    ) {
        let mut readings = tokio::time::interval(READING_INTERVAL);
        readings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut queue = FairQueue::default();
        loop {
            tokio::select! {
                biased;
                _ = &mut ended => return,
                Some(call) = calls.recv() => self.called(call),
                _ = readings.tick() => self.counts.read(&self.snapshot(), process::unix_us() / 1000),
                Some(inquiry) = inquiries.recv() => self.take(inquiry, &mut queue),
                () = std::future::ready(()), if !queue.is_empty() => {
                    if let Some(asked) = queue.pop() {
                        self.answer(asked);
                    }
                    // HTTP and what questions have begun go on in between.
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// The counters of all workers, now.
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot::of(self.stats.iter().map(|stats| &**stats))
    }

    fn called(&mut self, call: DeskCall) {
        match call {
            DeskCall::Slowlog(request, to) => {
                let mut reply = Vec::new();
                self.slowlog.answer(request, &mut reply);
                to.send(reply);
            }
            DeskCall::Stats(to) => {
                let mut reply = Vec::new();
                let lines = report::statistics(&self.snapshot());
                encode::array(&mut reply, lines.len());
                lines.iter().for_each(|line| encode::bulk(&mut reply, line.as_bytes()));
                to.send(reply);
            }
            DeskCall::SlowEntries(count, caller) => {
                let newest = self.slowlog.entries().take(count);
                let _ = caller.send(newest.map(|(id, entry)| (id, entry.clone())).collect());
            }
        }
    }

    fn take(&mut self, inquiry: Inquiry, queue: &mut FairQueue<SessionAsk>) {
        match inquiry {
            Inquiry::Ask(asked) => queue.push(asked.ask.profile.id, asked),
            Inquiry::Slow(entry) => {
                let len_max = self.picture.borrow().settings.slowlog_len;
                self.slowlog.push(*entry, len_max);
            }
            Inquiry::Resolve { worker, backend, address } => self.line.resolve(worker, backend, address),
        }
    }

    fn answer(&mut self, SessionAsk { worker, ask, left }: SessionAsk) {
        let to = self.line.reply_to(worker, ask.place);
        match ask.question {
            Question::Local(request) => self.answer_local(*request, &ask.profile, to, left),
            Question::CountKeysInSlot(slot) => {
                self.scans.count(&self.picture.borrow(), slot, &ask.profile, to);
            }
            Question::KeysInSlot { slot, count } => {
                self.scans.keys(&self.picture.borrow(), (slot, count), &ask.profile, to);
            }
            Question::Umctl(_) => unreachable!("UMCTL goes to the control thread"),
        }
    }
}
