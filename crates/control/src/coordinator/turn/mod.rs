//! The coordinator's loop: it gathers what the probes see, asks [`control_core::reconcile`] what is to be done,
//! and has it done. It waits for nothing but the next event; what takes time is a task.

mod commands;
mod finished;
mod missing;
mod telling;

use std::sync::Arc;
use std::time::{Duration, Instant};

use control_core::{Action, Command, Observed, State, TimeMs, desired_view, reconcile};
use model::{Address, Epoch, ProxyHealth, SetCluster, SetRepl};
use rand::RngExt as _;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tracing::{debug, error, info, warn};

use self::commands::{apply_all, apply_one};
use self::finished::Finished;
use self::missing::Missing;
use self::telling::Telling;
use super::clock::{Clock, whole_ms};
use super::metadata::{MetadataSource, Reading};
use super::probe::{Probe, Probed, Seen};
use super::probe_pace::ProbePace;
use super::proxies::Proxies;
use super::push::Pusher;

/// Between two turns while nothing happens.
pub(crate) const TURN_INTERVAL: Duration = Duration::from_millis(50);
/// Between two turns however much happens.
const TURN_INTERVAL_MIN: Duration = Duration::from_millis(2);
/// The pause after a turn, as a multiple of the turn's length: with 3, turns take at most a quarter of the time.
const TURN_SHARE: u32 = 3;
/// By metadata that were read longer ago than this nothing is changed: they cannot be read any more. A reading may take as
/// long as all brokers together are waited for.
const READING_AGE_MAX: Duration = Duration::from_secs(2);
/// How long nothing is sent to a broker that does not let this coordinator change anything.
const DENIED_PAUSE: Duration = Duration::from_secs(5);
/// How many pushes are on their way at a time: of those that are urgent, and of the others.
const PUSHES_MAX: usize = 64;

/// What a task sends to a proxy.
enum Sent {
    Push(SetRepl, SetCluster),
    Clean(Epoch),
}

/// Makes the probe of a proxy, which can be asked for a probe at once.
pub(crate) type MakeProbe = dyn Fn(&Address, Arc<Notify>) -> Probe + Send + Sync;

/// The loop's equipment.
pub(crate) struct Turns<M> {
    pub(crate) metadata: M,
    pub(crate) clock: Clock,
    pub(crate) observed: Observed,
    pub(crate) pusher: Pusher,
    pub(crate) probe: Box<MakeProbe>,
    pub(crate) readings: watch::Receiver<Option<Reading>>,
    pub(crate) read_now: Arc<Notify>,
    pub(crate) pace: watch::Receiver<ProbePace>,
    pub(crate) seen: mpsc::Receiver<Probed>,
}

/// What changes from turn to turn.
struct Progress {
    proxies: Proxies,
    finished: mpsc::UnboundedSender<Finished>,
    /// Commands are on their way.
    is_applying: bool,
    /// When the last commands came to an end: the metadata from before does not have them.
    applied: Option<Instant>,
    /// Until then no command is tried, because the broker did not let this coordinator change anything.
    denied_until: Option<Instant>,
    /// When the last promotion was committed, until the metadata that have it have been read.
    promoted: Option<Instant>,
    /// Pushes that are urgent do not wait for those that are not: these may all be stuck.
    urgent: Arc<Semaphore>,
    others: Arc<Semaphore>,
    /// How long the last turn and the pause after it took.
    own_pause: Duration,
    telling: Telling,
    missing: Missing,
    /// That somebody grants longer leases has been said.
    has_warned: bool,
    /// Probes of new proxies begin one after the other, so that they stay spread over the interval.
    started: u32,
}

impl<M: MetadataSource> Turns<M> {
    /// Runs until it is dropped.
    pub(crate) async fn run(mut self) {
        let (finished, mut ends) = mpsc::unbounded_channel();
        let permits = || Arc::new(Semaphore::new(PUSHES_MAX));
        let mut progress = Progress {
            proxies: Proxies::default(),
            finished,
            is_applying: false,
            applied: None,
            denied_until: None,
            promoted: None,
            urgent: permits(),
            others: permits(),
            own_pause: Duration::ZERO,
            telling: Telling::new(rand::rng().random()),
            missing: Missing::default(),
            has_warned: false,
            started: 0,
        };
        let mut next = Instant::now();
        let mut earliest = next;
        loop {
            tokio::select! {
                // What comes without end comes last: answers that come faster than they are noted would else keep
                // every turn away.
                biased;
                () = tokio::time::sleep_until(next.into()) => {
                    self.note_waiting(&mut progress);
                    let begun = Instant::now();
                    let due = self.turn(&mut progress);
                    let took = begun.elapsed();
                    debug!(?took, "a turn");
                    let pause = TURN_INTERVAL_MIN.max(took * TURN_SHARE);
                    progress.own_pause = pause + took;
                    earliest = Instant::now() + pause;
                    let usual = begun + TURN_INTERVAL;
                    next = earliest.max(due.map_or(usual, |due| due.min(usual)));
                }
                Some(end) = ends.recv() => self.note_end(&mut progress, &end),
                changed = self.readings.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let read_at = self.readings.borrow_and_update().as_ref().map(|reading| reading.at);
                    let is_new = |awaited: &mut Option<Instant>| awaited.take_if(|at| read_at >= Some(*at)).is_some();
                    if is_new(&mut progress.applied) | is_new(&mut progress.promoted) {
                        next = earliest;
                    }
                }
                Some(seen) = self.seen.recv() => {
                    if self.note(&mut progress, seen) {
                        next = earliest;
                    }
                }
            }
        }
    }

    /// Notes what has come until now: nobody is silent whose answer is there.
    fn note_waiting(&mut self, progress: &mut Progress) {
        for _ in 0..self.seen.len() {
            let Ok(seen) = self.seen.try_recv() else { return };
            self.note(progress, seen);
        }
    }

    /// Notes an answer; whether it says something new that a turn should not wait for.
    fn note(&mut self, progress: &mut Progress, probed: Probed) -> bool {
        let Seen { proxy, asked, at, health } = match probed {
            Probed::Answered(seen) => seen,
            Probed::Unanswered { proxy, could_ask, at } => {
                self.observed.note_no_answer(&proxy, could_ask, self.clock.at(at));
                return false;
            }
        };
        let (granted, own) = (health.lease_longest_ms, self.pace.borrow().timing.lease_ms);
        if granted > own && !std::mem::replace(&mut progress.has_warned, true) {
            warn!(%proxy, granted, own, "another coordinator grants longer leases: lease_ms should be the same for all");
        }
        progress.proxies.heard(&proxy, at);
        let before = self.observed.proxies.get(&proxy).and_then(|seen| seen.health.as_ref());
        let is_news = before.is_none_or(|before| differs(before, &health));
        let is_another = before.is_some_and(|before| before.run_id != health.run_id);
        self.observed.note_answer(&proxy, health, self.clock.at(asked), self.clock.at(at));
        if is_another {
            // It is told nothing by what was read before it started.
            self.read_now.notify_one();
        }
        is_news
    }

    fn note_end(&mut self, progress: &mut Progress, end: &Finished) {
        match end {
            Finished::Promotion => {
                progress.promoted = Some(Instant::now());
                self.read_now.notify_one();
            }
            Finished::Commands { denied } => {
                progress.is_applying = false;
                note_denial(progress, denied.as_deref());
                progress.applied = Some(Instant::now());
                self.read_now.notify_one();
            }
            Finished::Proxy { proxy, failure } => {
                progress.proxies.release(proxy, failure.clone(), Instant::now());
            }
        }
    }

    /// One turn; when the next is due because of the time alone.
    fn turn(&mut self, progress: &mut Progress) -> Option<Instant> {
        let reading = self.readings.borrow().clone()?;
        progress.missing.note(&reading);
        let Reading { state, at: read_at, leases_left_ms, came, .. } = reading;
        self.observed.timing = self.pace.borrow().timing;
        // A pause that this loop takes because its turns are long is no stall: the probes went on meanwhile.
        self.observed.timing.stall_ms += whole_ms(progress.own_pause) * 2;
        self.follow(progress, &state);
        let begun = Instant::now();
        let now = self.clock.at(begun);
        let left = leases_left_ms.iter().map(|(proxy, left_ms)| (proxy, *left_ms));
        // In whole milliseconds, and never sooner than it is.
        self.observed.note_leases_left(left, TimeMs(self.clock.at(came).0 + 1));
        self.observed.note_state(&state, self.clock.at(read_at), now);
        let mut commands = Vec::new();
        for action in reconcile(&state, &self.observed, now) {
            match action {
                Action::Apply(command) => commands.push(command),
                other => self.send(progress, &state, &other),
            }
        }
        let known = (&progress.proxies, &progress.missing);
        progress.telling.tell(&self.metadata, (&state, &self.observed), known, now);
        let is_denied = progress.denied_until.is_some_and(|until| Instant::now() < until);
        let is_old = read_at.elapsed() > READING_AGE_MAX;
        if !commands.is_empty()
            && !progress.is_applying
            && progress.applied.is_none()
            && !is_denied
            && !is_old
        {
            progress.is_applying = true;
            tokio::spawn(apply_all(self.metadata.clone(), commands, progress.finished.clone()));
        }
        let due = self.observed.due_after(now);
        due.map(|due| begun + Duration::from_millis(due.since(now)))
    }

    fn follow(&self, progress: &mut Progress, state: &State) {
        let interval = self.pace.borrow().interval;
        let Progress { proxies, started, .. } = progress;
        proxies.follow(state, |proxy, probe_now| {
            let probe = (self.probe)(proxy, probe_now);
            // The golden ratio's fraction spreads any number of starts evenly.
            let phase = interval.mul_f64((f64::from(*started) * 0.618_034).fract());
            *started = started.wrapping_add(1);
            tokio::spawn(probe.run(phase)).abort_handle()
        });
    }

    /// Has a push or a cleaning done, unless the proxy has one on its way.
    fn send(&self, progress: &mut Progress, state: &State, action: &Action) {
        let (Action::Push { proxy, process, .. } | Action::Clean { proxy, process, .. }) = action else {
            return;
        };
        let (proxy, process) = (proxy.clone(), process.clone());
        if !progress.proxies.take(&proxy, Instant::now()) {
            return;
        }
        let sent = match action {
            Action::Push { makes_do, .. } => match desired_view(state, &proxy) {
                Some((mut roles, view)) => {
                    // LEASED: whatever came after this push was decided on is not to be undone by it.
                    (roles.flags.force, roles.flags.leased) = (makes_do.is_some(), makes_do.is_some());
                    roles.processes = makes_do.clone().unwrap_or_default();
                    Sent::Push(roles, view)
                }
                // Not registered any more: it will not be asked for again.
                None => {
                    let failure = Some("it is not registered any more".to_owned());
                    return progress.proxies.release(&proxy, failure, Instant::now());
                }
            },
            Action::Clean { epoch, .. } => Sent::Clean(*epoch),
            Action::Apply(_) => return,
        };
        let (pusher, metadata) = (self.pusher.clone(), self.metadata.clone());
        let is_urgent = matches!(action, Action::Push { is_urgent: true, .. });
        let permits = if is_urgent { progress.urgent.clone() } else { progress.others.clone() };
        let finished = progress.finished.clone();
        tokio::spawn(async move {
            // The semaphore is never closed; it serves in the order of asking, the urgent first.
            let _permit = permits.acquire().await;
            let meant = (&proxy, process.as_ref());
            let failure = match &sent {
                Sent::Push(roles, view) => match pusher.push(meant, roles, view).await {
                    Ok(()) => {
                        info!(%proxy, epoch = %view.view.epoch, "pushed");
                        None
                    }
                    Err(error) => {
                        info!(%proxy, epoch = %view.view.epoch, %error, "a push failed and is tried again");
                        Some(error.to_string())
                    }
                },
                Sent::Clean(epoch) => match pusher.clean(meant, *epoch).await {
                    Ok(()) => {
                        let cleaned = Command::ProxyCleaned { proxy: proxy.clone(), epoch: *epoch };
                        apply_one(&metadata, cleaned).await.err().map(|error| error.to_string())
                    }
                    Err(error) => {
                        info!(%proxy, %error, "emptying its nodes failed and is tried again");
                        Some(error.to_string())
                    }
                },
            };
            // The loop may have ended meanwhile.
            let _ = finished.send(Finished::Proxy { proxy, failure });
        });
    }
}

/// A coordinator that may not change anything fails nobody over: that is said again and again.
fn note_denial(progress: &mut Progress, denied: Option<&str>) {
    match denied {
        Some(reason) => {
            error!(reason, "brokers refuse this coordinator's changes, so it promotes and reports nothing");
            progress.denied_until = Some(Instant::now() + DENIED_PAUSE);
        }
        None if progress.denied_until.take().is_some() => info!("this coordinator may change things again"),
        None => {}
    }
}

/// Whether two answers differ in more than what always differs: offsets and durations.
fn differs(before: &ProxyHealth, now: &ProxyHealth) -> bool {
    let kind = |health: &ProxyHealth| (health.view_epoch, health.roles_epoch, health.finished.len());
    if kind(before) != kind(now) || before.nodes.len() != now.nodes.len() {
        return true;
    }
    before.nodes.iter().zip(&now.nodes).any(|(before, now)| {
        std::mem::discriminant(&before.state) != std::mem::discriminant(&now.state)
            || before.link.map(|link| std::mem::discriminant(&link))
                != now.link.map(|link| std::mem::discriminant(&link))
            || (&before.address, before.restarted, before.role, &before.primary)
                != (&now.address, now.restarted, now.role, &now.primary)
            || (before.replicated, before.attached) != (now.replicated, now.attached)
    })
}

#[cfg(test)]
mod tests;
