//! Ending a process in an orderly way.
//!
//! The first SIGTERM or SIGINT asks for a drain: take nothing new, finish what is in flight. The second asks to
//! stop at once. A process that has not ended [`STOP_GRACE`] after that is ended here, so that a hang in some
//! thread can never make a person reach for SIGKILL.

use crate::exit::Exit;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How long a process may take to end after it was told to stop at once.
pub const STOP_GRACE: Duration = Duration::from_secs(2);

/// How far the ending has come. Phases only advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Nobody has asked to end.
    Running,
    /// Take no new work, finish what is in flight, then end.
    Draining,
    /// End now.
    Stopping,
}

/// The handle by which all parts of a process learn that it is to end, and by which any of them can ask for it.
#[derive(Clone, Debug)]
pub struct Shutdown {
    phase: Arc<watch::Sender<Phase>>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    /// A handle that no signal reaches: for tests, and for what runs inside another process.
    pub fn new() -> Self {
        Shutdown { phase: Arc::new(watch::Sender::new(Phase::Running)) }
    }

    /// A handle that follows SIGTERM and SIGINT, on a thread of its own. To be called once, early.
    ///
    /// # Errors
    /// When the signals cannot be caught or the thread cannot be started.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (terminate, interrupt) = {
            let _inside = runtime.enter();
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
        };
        let follower = shutdown.clone();
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || runtime.block_on(follower.follow(terminate, interrupt)))?;
        Ok(shutdown)
    }

    /// The phase now. Cheap enough for an event loop to ask once a turn.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Asks for `phase` or more; a phase that is already past is left alone.
    pub fn advance(&self, phase: Phase) {
        self.phase.send_if_modified(|current| {
            let advances = phase > *current;
            *current = phase.max(*current);
            advances
        });
    }

    /// Waits until `phase` or a later one is reached.
    pub async fn reached(&self, phase: Phase) {
        // An error would mean that every sender is gone; `self` holds one.
        let _ = self.phase.subscribe().wait_for(|current| *current >= phase).await;
    }

    async fn follow(self, mut terminate: Signal, mut interrupt: Signal) {
        for phase in [Phase::Draining, Phase::Stopping] {
            tokio::select! {
                _ = terminate.recv() => tracing::info!(?phase, "SIGTERM"),
                _ = interrupt.recv() => tracing::info!(?phase, "SIGINT"),
            }
            self.advance(phase);
        }
        tokio::time::sleep(STOP_GRACE).await;
        tracing::error!("still running {STOP_GRACE:?} after being told to stop at once");
        std::process::exit(Exit::Failure.code().into());
    }
}

#[cfg(test)]
mod tests {
    use super::{Phase, Shutdown};

    #[test]
    fn phases_only_advance() {
        fn check(asked: &[Phase], expected: Phase) {
            let shutdown = Shutdown::new();
            asked.iter().for_each(|phase| shutdown.advance(*phase));
            assert_eq!(shutdown.phase(), expected, "{asked:?}");
        }
        check(&[], Phase::Running);
        check(&[Phase::Draining], Phase::Draining);
        check(&[Phase::Stopping, Phase::Draining], Phase::Stopping);
        check(&[Phase::Draining, Phase::Running], Phase::Draining);
    }

    #[tokio::test]
    async fn waiters_see_a_later_phase_too() {
        let shutdown = Shutdown::new();
        let waiter = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.reached(Phase::Draining).await }
        });
        shutdown.advance(Phase::Stopping);
        waiter.await.unwrap();
    }
}
