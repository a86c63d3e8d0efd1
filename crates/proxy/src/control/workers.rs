//! All workers together: what the control side says to each of them.

use std::sync::Arc;
use std::time::Duration;

use model::Address;
use proxy_core::engine::memory::MemoryBudget;
use proxy_core::engine::{BackendId, Pause, Policy, ReplyPlace, Shared};
use proxy_core::stats::WorkerStats;
use tokio::sync::oneshot;
use tracing::debug;

use super::reply_to::ReplyTo;
use crate::RunError;
use crate::worker::{
    ControlLine, Errand, FaceAddresses, KillErrand, Mailbox, OwedAsk, SessionFilter, SessionLine, Totals,
    Worker, WorkerMessage, WorkerStart,
};

/// A worker that has not answered for this long is taken for stuck, and its part of an answer is left out.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// The running workers.
#[derive(Debug)]
pub(super) struct Workers {
    workers: Vec<Worker>,
}

/// A line to all workers that tasks may keep.
#[derive(Debug, Clone)]
pub(super) struct WorkersLine(Vec<Mailbox>);

impl WorkersLine {
    /// How many replies of these nodes are due to the clients of each.
    pub(super) fn owed(&self, nodes: &Arc<[Address]>) -> Answers<usize> {
        self.ask(|answer| WorkerMessage::Owed(OwedAsk { nodes: nodes.clone(), answer }))
    }

    /// Looks a node's name up for a worker's connection. To be called inside a runtime.
    pub(super) fn resolve(&self, worker: usize, backend: BackendId, address: Address) {
        let mailbox = self.0[worker].clone();
        tokio::spawn(async move {
            let found = tokio::net::lookup_host((address.host(), address.port())).await;
            let none = || std::io::Error::new(std::io::ErrorKind::NotFound, "the host name has no address");
            let first = found.and_then(|mut all| all.next().ok_or_else(none));
            mailbox.send(WorkerMessage::Resolved(backend, first));
        });
    }

    /// Has what these nodes owe given up.
    pub(super) fn cut_off(&self, nodes: &Arc<[Address]>) -> Answers<()> {
        self.ask(|answer| WorkerMessage::CutOff(nodes.clone(), answer))
    }

    /// The sessions of all workers, asked for piece by piece, so that no worker is held up by many of them. Those of a
    /// worker that is stuck are left out.
    pub(super) async fn sessions(&self) -> Vec<SessionLine> {
        let mut lines = Vec::new();
        for mailbox in &self.0 {
            let mut from = Some(0);
            while let Some(place) = from {
                let (answer, answered) = oneshot::channel();
                mailbox.run(Errand::List(place, answer));
                let Ok(Ok(piece)) = tokio::time::timeout(ANSWER_LIMIT, answered).await else { break };
                lines.extend(piece.lines);
                from = piece.next;
            }
        }
        lines
    }

    /// Closes the sessions that the filter picks; the client `asker` gets its replies first. With `waits_for_strays` each
    /// worker answers when nothing more of clients that are gone is carried out.
    pub(super) fn kill(
        &self,
        asker: Option<u64>,
        filter: &SessionFilter,
        waits_for_strays: bool,
    ) -> Answers<usize> {
        let errand = |answer| KillErrand { filter: filter.clone(), asker, waits_for_strays, answer };
        self.each(|mailbox, answer| mailbox.run(Errand::Kill(errand(answer))))
    }

    /// Sets or ends a pause.
    pub(super) fn pause(&self, pause: Option<Pause>) {
        self.0.iter().for_each(|mailbox| mailbox.send(WorkerMessage::Pause(pause)));
    }

    /// Where an answer to UMCTL goes: it is delivered before anything that clients ask for.
    pub(super) fn order_reply_to(&self, worker: usize, place: ReplyPlace) -> ReplyTo {
        ReplyTo::Operator(self.0[worker].clone(), place)
    }

    /// Where an answer to a client's question goes.
    pub(super) fn reply_to(&self, worker: usize, place: ReplyPlace) -> ReplyTo {
        ReplyTo::Client(self.0[worker].clone(), place)
    }

    fn ask<T>(&self, message: impl Fn(oneshot::Sender<T>) -> WorkerMessage) -> Answers<T> {
        self.each(|mailbox, answer| mailbox.send(message(answer)))
    }

    fn each<T>(&self, send: impl Fn(&Mailbox, oneshot::Sender<T>)) -> Answers<T> {
        let ask = |mailbox: &Mailbox| {
            let (answer, answered) = oneshot::channel();
            send(mailbox, answer);
            answered
        };
        Answers(self.0.iter().map(ask).collect())
    }
}

/// Answers that are on their way from every worker.
#[derive(Debug)]
pub(super) struct Answers<T>(Vec<oneshot::Receiver<T>>);

impl<T> Answers<T> {
    /// Those of the workers that still run and answer in time.
    pub(super) async fn all(self) -> Vec<T> {
        let mut answers = Vec::with_capacity(self.0.len());
        let deadline = tokio::time::Instant::now() + ANSWER_LIMIT;
        for answer in self.0 {
            if let Ok(Ok(answer)) = tokio::time::timeout_at(deadline, answer).await {
                answers.push(answer);
            }
        }
        answers
    }

    /// Those of every worker that runs, however long it takes; one that has ended has nothing to answer.
    pub(super) async fn every(self) -> Vec<T> {
        let mut answers = Vec::with_capacity(self.0.len());
        for answer in self.0 {
            answers.extend(answer.await);
        }
        answers
    }
}

impl Workers {
    /// Starts as many workers as the settings say on these ports, which are claimed.
    ///
    /// # Errors
    /// When the system refuses what a worker needs; those that were started are stopped then.
    pub(super) fn start(
        addresses: FaceAddresses,
        shared: &Shared,
        policy: Policy,
        control: &ControlLine,
    ) -> Result<Workers, RunError> {
        let totals = Arc::new(Totals::default());
        let mut started = Workers { workers: Vec::new() };
        let count = usize::from(shared.settings.workers);
        let memory = MemoryBudget::new(shared.settings.memory_max_bytes, count);
        for index in 0..count {
            let worker = Worker::start(WorkerStart {
                index,
                addresses,
                shared: shared.clone(),
                policy,
                stats: Arc::new(WorkerStats::new()),
                memory: memory.share(index),
                totals: totals.clone(),
                control: control.clone(),
            });
            match worker {
                Ok(worker) => {
                    debug!(index, address = %worker.address, "a worker listens");
                    started.workers.push(worker);
                }
                Err(error) => {
                    started.stop();
                    started.join();
                    return Err(error);
                }
            }
        }
        Ok(started)
    }

    /// The counters of each.
    pub(super) fn stats(&self) -> Vec<Arc<WorkerStats>> {
        self.workers.iter().map(|worker| worker.stats.clone()).collect()
    }

    /// A line to all of them.
    pub(super) fn line(&self) -> WorkersLine {
        WorkersLine(self.workers.iter().map(|worker| worker.mailbox.clone()).collect())
    }

    /// Gives all of them new shared state. States are taken over in the order in which they were sent.
    pub(super) fn update(&self, shared: &Shared) -> Answers<()> {
        self.line().ask(|answer| WorkerMessage::Update(shared.clone(), answer))
    }

    /// No more clients; each worker ends when its last session has what is due to it.
    pub(super) fn drain(&self) {
        self.tell(|| WorkerMessage::Drain);
    }

    /// End now.
    pub(super) fn stop(&self) {
        self.tell(|| WorkerMessage::Stop);
    }

    /// Whether all threads have ended.
    pub(super) fn have_ended(&self) -> bool {
        self.workers.iter().all(|worker| worker.thread.is_finished())
    }

    /// Waits for the threads; a panic in one has been reported by itself.
    pub(super) fn join(self) {
        for worker in self.workers {
            let _ = worker.thread.join();
        }
    }

    fn tell(&self, message: impl Fn() -> WorkerMessage) {
        for worker in &self.workers {
            worker.mailbox.send(message());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_waits_for_each_worker_that_runs() {
        let (senders, answers): (Vec<_>, Vec<_>) = (0..3).map(|_| oneshot::channel::<()>()).unzip();
        let waiting = tokio::spawn(Answers(answers).every());
        for (at, sender) in senders.into_iter().enumerate() {
            // Whatever could go on has gone on after a few rounds of the only thread.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            assert!(!waiting.is_finished(), "{at} of 3 have answered");
            match at {
                1 => drop(sender), // as when a worker has ended
                _ => sender.send(()).unwrap(),
            }
        }
        waiting.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn all_leaves_out_a_worker_that_is_stuck() {
        let (senders, answers): (Vec<_>, Vec<_>) = (0..3).map(|_| oneshot::channel::<u32>()).unzip();
        let mut senders = senders.into_iter();
        senders.next().unwrap().send(7).unwrap();
        let _stuck = senders.next().unwrap();
        senders.next().unwrap().send(8).unwrap();
        assert_eq!(Answers(answers).all().await, [7, 8]);
    }
}
