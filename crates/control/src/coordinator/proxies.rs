//! The proxies that are watched: each with its probing task, and what is being done to it at the moment.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use control_core::State;
use model::Address;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// After a push that failed, the next is not tried before that.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// One watched proxy.
#[derive(Debug)]
struct Watched {
    task: AbortHandle,
    probe_now: Arc<Notify>,
    /// A push or a cleaning is on its way.
    is_busy: bool,
    /// Nothing is sent before this.
    not_before: Instant,
    /// When the last push came to an end. Answers from before say nothing about what the proxy has now.
    pushed: Option<Instant>,
    heard: Option<Instant>,
    /// Why the last push or cleaning failed, if it did.
    failure: Option<String>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Proxies(HashMap<Address, Watched>);

impl Proxies {
    /// Watches the proxies of the metadata and no others; `start` starts a task that can be asked to probe at
    /// once.
    pub(crate) fn follow(
        &mut self,
        state: &State,
        mut start: impl FnMut(&Address, Arc<Notify>) -> AbortHandle,
    ) {
        self.0.retain(|proxy, _| state.proxies.contains_key(proxy));
        for proxy in state.proxies.keys() {
            if !self.0.contains_key(proxy) {
                let probe_now = Arc::new(Notify::new());
                let task = start(proxy, probe_now.clone());
                let watched = Watched {
                    task,
                    probe_now,
                    is_busy: false,
                    not_before: Instant::now(),
                    pushed: None,
                    heard: None,
                    failure: None,
                };
                self.0.insert(proxy.clone(), watched);
            }
        }
    }

    /// An answer came.
    pub(crate) fn heard(&mut self, proxy: &Address, at: Instant) {
        if let Some(watched) = self.0.get_mut(proxy) {
            watched.heard = Some(at);
        }
    }

    /// Takes the proxy for a push or a cleaning; false while there is another, or it is not known yet what the
    /// last one did.
    pub(crate) fn take(&mut self, proxy: &Address, now: Instant) -> bool {
        let Some(watched) = self.0.get_mut(proxy) else { return false };
        let is_known = watched.pushed.is_none_or(|pushed| watched.heard.is_some_and(|heard| heard > pushed));
        if watched.is_busy || now < watched.not_before || !is_known {
            return false;
        }
        watched.is_busy = true;
        true
    }

    /// A push or a cleaning ended; and why it failed, if so.
    pub(crate) fn release(&mut self, proxy: &Address, failure: Option<String>, now: Instant) {
        let Some(watched) = self.0.get_mut(proxy) else { return };
        watched.is_busy = false;
        if failure.is_none() {
            watched.pushed = Some(now);
        } else {
            watched.not_before = now + RETRY_PAUSE;
        }
        watched.failure = failure;
        watched.probe_now.notify_one();
    }

    /// Why the last push or cleaning of a proxy failed, if it did.
    pub(crate) fn failure(&self, proxy: &Address) -> Option<&str> {
        self.0.get(proxy)?.failure.as_deref()
    }
}
