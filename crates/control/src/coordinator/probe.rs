//! Probing one proxy again and again: one task for each, with a connection that stays open.

use std::sync::Arc;
use std::time::{Duration, Instant};

use control_core::ProxyHealth;
use model::{Address, Epoch};
use tokio::sync::{Notify, mpsc, watch};
use tracing::{debug, info, warn};

use super::health::Answer;
use super::leases::{Leases, grantable};
use super::link::{Link, LinkError, ProxyAccess, within};
use super::pace::Pace;

/// A probe that has not been answered for that many intervals is given up, and the connection with it.
const INTERVALS_MAX: u32 = 4;
/// But it is given at least this time: a proxy that is busy for a moment should not be connected to anew.
const PROBE_LIMIT_MIN: Duration = Duration::from_millis(200);

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
    pub(crate) pace: watch::Receiver<Pace>,
    /// Who may be granted a lease.
    pub(crate) leases: watch::Receiver<Leases>,
    /// Asks for a probe at once.
    pub(crate) now: Arc<Notify>,
    /// Where the answers go.
    pub(crate) seen: mpsc::Sender<Seen>,
}

impl Probe {
    /// Probes for ever, the first time after `phase`; ends by being aborted.
    pub(crate) async fn run(mut self, phase: Duration) {
        tokio::time::sleep(phase).await;
        let mut failed = 0;
        loop {
            match self.follow(&mut failed).await {
                Ok(never) => match never {},
                Err(LinkError::Refused(error)) => {
                    warn!(proxy = %self.proxy, error, "a proxy refuses to be probed");
                }
                Err(error) if failed == 0 => info!(proxy = %self.proxy, %error, "a proxy does not answer"),
                Err(error) => debug!(proxy = %self.proxy, %error, "still no answer"),
            }
            failed = failed.saturating_add(1);
            let pause = self.pace.borrow().retry_after(failed);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.now.notified() => {}
            }
        }
    }

    /// From connecting until the connection fails; with each answer nothing has failed any more.
    async fn follow(&mut self, failed: &mut u32) -> Result<std::convert::Infallible, LinkError> {
        let deadline = within(self.limit());
        let mut link = Link::connect_as(&self.access, &self.proxy, deadline).await?;
        let mut token: Option<(Vec<u8>, Instant, Epoch)> = None;
        loop {
            let lease = token.as_ref().and_then(|(token, at, epoch)| {
                let for_ms = self.leases.borrow().grant(&self.proxy, *at, *epoch)?;
                Some((token.as_slice(), for_ms.to_string()))
            });
            let (asked, deadline) = (Instant::now(), within(self.limit()));
            let answer = match &lease {
                Some((token, for_ms)) => {
                    let words: [&[u8]; 5] = [b"UMCTL", b"HEALTH", b"LEASE", token, for_ms.as_bytes()];
                    link.ask(&words, deadline, Answer::read).await?
                }
                None => link.ask(&[b"UMCTL", b"HEALTH"], deadline, Answer::read).await?,
            };
            let at = Instant::now();
            if std::mem::take(failed) > 0 {
                info!(proxy = %self.proxy, "a proxy answers again");
            }
            let (had_lease, epoch) = (lease.is_some(), answer.health.view_epoch);
            token = Some((answer.token, at, epoch));
            let seen = Seen { proxy: self.proxy.clone(), asked, at, health: answer.health };
            // The receiver lives as long as this task is wanted.
            let _ = self.seen.send(seen).await;
            let interval = self.pace.borrow().interval;
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = self.now.notified() => {}
                // One that has just got its view may have nothing else to serve by.
                () = grantable(&mut self.leases, &self.proxy, (at, epoch)), if !had_lease => {}
                // A proxy that ended is looked for again at once: it may be back, and has nothing.
                error = link.broken() => return Err(error),
            }
        }
    }

    fn limit(&self) -> Duration {
        (self.pace.borrow().interval * INTERVALS_MAX).max(PROBE_LIMIT_MIN)
    }
}
