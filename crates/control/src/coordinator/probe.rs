//! Probing one proxy again and again: one task for each, with a connection that stays open.

use std::sync::Arc;
use std::time::{Duration, Instant};

use control_core::{LeaseTerms, ProbeAnswer, Tokens};
use link::{LinkError, Places, within};
use model::{Address, Moment, ProxyHealth};
use tokio::sync::{Notify, mpsc, watch};
use tracing::{debug, info, warn};

use super::access::{ProxyAccess, health};
use super::clock::Clock;
use super::hearing::HearingHere;
use super::probe_pace::ProbePace;

/// A probe that has not been answered for that many intervals is given up, and the connection with it.
const INTERVALS_MAX: u32 = 4;
/// But it is given at least this time: a proxy that is busy for a moment should not be connected to again.
const PROBE_LIMIT_MIN: Duration = Duration::from_millis(200);
/// Between two lines in the log on one proxy that answers and does not answer in turn.
const SAID_AGAIN: Duration = Duration::from_secs(5);

/// What came of a probe.
#[derive(Debug)]
pub(crate) enum Probed {
    /// An answer.
    Answered(Seen),
    /// None; and whether the proxy could be asked at all.
    Unanswered { proxy: Address, could_ask: bool, at: Instant },
}

/// An answer that came.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Who answered.
    pub(crate) proxy: Address,
    /// When it was asked.
    pub(crate) asked: Instant,
    /// When it answered.
    pub(crate) at: Instant,
    /// What.
    pub(crate) health: ProxyHealth,
}

/// The task's equipment.
#[derive(Debug)]
pub(crate) struct Probe {
    /// Whom it probes.
    pub(crate) proxy: Address,
    /// How it is reached.
    pub(crate) access: ProxyAccess,
    /// How often.
    pub(crate) pace: watch::Receiver<ProbePace>,
    /// Who may be granted a lease.
    pub(crate) terms: watch::Receiver<LeaseTerms>,
    /// What tells of tokens and readings which was first.
    pub(crate) clock: Clock,
    /// Where it is noted that the proxy was heard.
    pub(crate) hearing: HearingHere,
    /// Asks for a probe at once.
    pub(crate) now: Arc<Notify>,
    /// Where the answers go.
    pub(crate) seen: mpsc::Sender<Probed>,
    /// The log has it that the proxy does not answer.
    pub(crate) is_said: bool,
}

impl Probe {
    /// Probes until the task is aborted; the first probe comes after `phase`.
    pub(crate) async fn run(mut self, phase: Duration) {
        tokio::time::sleep(phase).await;
        let mut failed = 0;
        // They outlive a connection: the process that issued them may be the same.
        let mut tokens = Tokens::new(self.proxy.clone());
        // A dead proxy's name may be gone with it: its last addresses tell whether it is dead.
        let mut found = None;
        let mut said_at: Option<Instant> = None;
        loop {
            let Err(error) = self.follow(&mut failed, &mut tokens, &mut found).await;
            let could_ask = !error.says_nothing();
            // One that answers, but refuses what only some questions ask, would be told of without end.
            let is_new = failed == 0 && said_at.is_none_or(|at| at.elapsed() >= SAID_AGAIN);
            if is_new {
                (said_at, self.is_said) = (Some(Instant::now()), true);
            }
            match (is_new, could_ask) {
                (true, false) => warn!(proxy = %self.proxy, %error, "a proxy cannot be asked how it is"),
                (true, true) => info!(proxy = %self.proxy, %error, "a proxy does not answer"),
                _ => debug!(proxy = %self.proxy, %error, "still no answer"),
            }
            let (proxy, at) = (self.proxy.clone(), Instant::now());
            // The receiver lives as long as this task is wanted.
            let _ = self.seen.send(Probed::Unanswered { proxy, could_ask, at }).await;
            failed = failed.saturating_add(1);
            let pause = self.pace.borrow().retry_after(failed);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.now.notified() => {}
            }
        }
    }

    /// From connecting until the connection fails; with each answer nothing has failed any more.
    async fn follow(
        &mut self,
        failed: &mut u32,
        tokens: &mut Tokens,
        found: &mut Option<Places>,
    ) -> Result<std::convert::Infallible, LinkError> {
        let deadline = within(self.limit());
        let places = match (self.access.places(&self.proxy, deadline).await, &*found) {
            (Ok(now), _) => &*found.insert(now),
            (Err(LinkError::Unresolved { .. }), Some(before)) => before,
            (Err(error), _) => return Err(error),
        };
        let mut link = self.access.connect_to(places, deadline).await?;
        tokens.reconnected();
        loop {
            let (asked, deadline) = (Instant::now(), within(self.limit()));
            let grant = tokens.grant(&self.terms.borrow(), self.clock.moment(asked));
            let reply = match grant {
                Some(grant) => {
                    let for_ms = grant.for_ms.to_string();
                    let words: [&[u8]; 5] = [b"UMCTL", b"HEALTH", b"LEASE", &grant.token, for_ms.as_bytes()];
                    link.ask(&words, deadline).await?
                }
                None => link.ask(&[b"UMCTL", b"HEALTH"], deadline).await?,
            };
            let at = self.hearing.came(&self.proxy);
            let answer = health(&reply)?;
            if std::mem::take(failed) > 0 && std::mem::take(&mut self.is_said) {
                info!(proxy = %self.proxy, "a proxy answers again");
            }
            tokens.answered(ProbeAnswer {
                token: answer.token,
                asked: self.clock.moment(asked),
                came: self.clock.moment(at),
                view_epoch: answer.health.view_epoch,
            });
            let seen = Seen { proxy: self.proxy.clone(), asked, at, health: answer.health };
            // The receiver lives as long as this task is wanted.
            let _ = self.seen.send(Probed::Answered(seen)).await;
            let next = Instant::now() + self.pace.borrow().interval;
            tokio::select! {
                () = tokio::time::sleep_until(next.into()) => {}
                () = self.now.notified() => {}
                // One that has just got its view may have nothing else to serve by.
                () = urgent(&mut self.terms, tokens, self.clock.moment(next)) => {}
                // A proxy that ended is looked for again at once: it may be back, and has nothing.
                error = link.broken() => return Err(error),
            }
        }
    }

    fn limit(&self) -> Duration {
        (self.pace.borrow().interval * INTERVALS_MAX).max(PROBE_LIMIT_MIN)
    }
}

/// Waits until a reading lets a lease be granted that must not wait for the next probe.
async fn urgent(terms: &mut watch::Receiver<LeaseTerms>, tokens: &Tokens, next: Moment) {
    while !tokens.hurries(&terms.borrow_and_update(), next) {
        if terms.changed().await.is_err() {
            // Nobody reads any more: this coordinator ends.
            std::future::pending::<()>().await;
        }
    }
}
