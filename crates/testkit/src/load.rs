//! Sessions that read tagged keys all the time while a test breaks something, and judge every reply.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use crate::connection::Connection;
use crate::tagged::{Verdict, judge};
use crate::wait::{Deadline, wait_until};

/// What the sessions do.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    /// Where they connect.
    pub address: SocketAddr,
    /// How many there are.
    pub sessions: usize,
    /// Requests in one pipeline.
    pub depth: usize,
    /// The keys that are read; they were stored with [`crate::tagged::store`].
    pub keys: Vec<String>,
    /// The size of their values.
    pub value_bytes: usize,
    /// How long a reply may take.
    pub reply_limit: Duration,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Right replies.
    pub right: u64,
    /// Error replies, with how often each came. The word after `MOVED` is not kept.
    pub failed: BTreeMap<String, u64>,
    /// The longest time from sending a pipeline to its last reply.
    pub slowest: Duration,
}

/// Running sessions.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Result<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    over: AtomicBool,
    right: AtomicU64,
    tally: Mutex<Tally>,
}

impl Load {
    /// Starts the sessions.
    #[must_use]
    pub fn start(plan: &LoadPlan) -> Self {
        let shared = Arc::new(Shared::default());
        let threads = (0..plan.sessions)
            .map(|session| {
                let (plan, shared) = (plan.clone(), Arc::clone(&shared));
                std::thread::spawn(move || play(&plan, session, &shared))
            })
            .collect();
        Self { shared, threads }
    }

    /// Waits until `more` further right replies have come.
    ///
    /// # Errors
    /// When they do not come within `within`.
    pub fn wait_right(&self, more: u64, within: Duration) -> Result<()> {
        let goal = self.shared.right.load(Ordering::Relaxed) + more;
        wait_until(Deadline::within(within), &format!("{more} more replies are right"), || {
            self.shared.right.load(Ordering::Relaxed) >= goal
        })
    }

    /// Waits until some further request was answered with an error.
    ///
    /// # Errors
    /// When none is within `within`.
    pub fn wait_failed(&self, within: Duration) -> Result<()> {
        let failed = || self.shared.tally().failed.values().sum::<u64>();
        let before = failed();
        wait_until(Deadline::within(within), "a request is answered with an error", || failed() > before)
    }

    /// Lets every session finish its pipeline and gives back what was seen.
    ///
    /// # Errors
    /// The first wrong reply, late reply or closed connection of any session.
    pub fn finish(self) -> Result<Tally> {
        self.shared.over.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().map_err(|_| anyhow!("a session panicked"))??;
        }
        Ok(self.shared.tally().clone())
    }
}

impl Shared {
    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn play(plan: &LoadPlan, session: usize, shared: &Shared) -> Result<()> {
    let mut connection = Connection::open(plan.address)?;
    connection.set_reply_limit(plan.reply_limit)?;
    // Sessions begin at different keys and step differently, so that neighbours in a backend's queue differ.
    let mut next = session * plan.keys.len() / plan.sessions.max(1);
    while !shared.over.load(Ordering::Relaxed) {
        let keys: Vec<&str> = (0..plan.depth)
            .map(|_| {
                next = (next + session * 2 + 1) % plan.keys.len();
                plan.keys[next].as_str()
            })
            .collect();
        pipeline(plan, &mut connection, &keys, shared).with_context(|| format!("in session {session}"))?;
    }
    Ok(())
}

fn pipeline(plan: &LoadPlan, connection: &mut Connection, keys: &[&str], shared: &Shared) -> Result<()> {
    let mut bytes = Vec::new();
    for (number, key) in keys.iter().enumerate() {
        resp::encode::request(&mut bytes, &[b"GET", key.as_bytes()]);
        // What the proxy answers by itself must keep its place among the others.
        resp::encode::request(&mut bytes, &[b"ECHO", number.to_string().as_bytes()]);
    }
    let start = Instant::now();
    connection.send_raw(&bytes)?;
    for (number, key) in keys.iter().enumerate() {
        let reply = connection.read().with_context(|| format!("GET {key}"))?;
        match judge(key, plan.value_bytes, &reply)? {
            Verdict::Right => drop(shared.right.fetch_add(1, Ordering::Relaxed)),
            Verdict::Failed(text) => {
                let kind = if text.starts_with("MOVED ") { "MOVED".to_owned() } else { text };
                *shared.tally().failed.entry(kind).or_default() += 1;
            }
        }
        let echo = connection.read().with_context(|| format!("ECHO {number}"))?;
        ensure!(echo.text().ok() == Some(number.to_string()), "ECHO {number} was answered with {echo:?}");
    }
    let mut tally = shared.tally();
    tally.slowest = tally.slowest.max(start.elapsed());
    tally.right = shared.right.load(Ordering::Relaxed);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis_server::{RedisOptions, RedisServer};
    use crate::relay::Relay;
    use crate::tagged::store;

    fn plan(server: &RedisServer, address: SocketAddr) -> LoadPlan {
        let keys: Vec<String> = (0..50).map(|number| format!("key{number:02}")).collect();
        store(&mut server.connect().unwrap(), &keys, 20).unwrap();
        let reply_limit = Duration::from_secs(2);
        LoadPlan { address, sessions: 2, depth: 10, keys, value_bytes: 20, reply_limit }
    }

    #[test]
    fn redis_itself_is_always_right() {
        let server = RedisServer::start(RedisOptions::default()).unwrap();
        let load = Load::start(&plan(&server, server.address()));
        load.wait_right(1000, Duration::from_secs(10)).unwrap();
        let tally = load.finish().unwrap();
        assert!(tally.right >= 1000 && tally.failed.is_empty(), "{tally:?}");
    }

    /// Plants a fault in the replies and expects the sessions to end with an error that has `wanted` in it.
    fn check(wanted: &str, tamper: impl FnMut(&mut Vec<u8>) + Send + 'static) {
        let server = RedisServer::start(RedisOptions::default()).unwrap();
        let relay = Relay::tampering(server.address(), tamper).unwrap();
        let load = Load::start(&plan(&server, relay.address()));
        wait_until(Deadline::within(Duration::from_secs(10)), "a session ends", || {
            load.threads.iter().any(JoinHandle::is_finished)
        })
        .unwrap();
        let error = format!("{:#}", load.finish().expect_err("the fault must be found"));
        assert!(error.contains(wanted), "{error}");
    }

    #[test]
    fn planted_faults_are_found() {
        let replaced = |from: &'static [u8], to: &'static [u8]| {
            move |bytes: &mut Vec<u8>| {
                if let Some(place) = bytes.windows(from.len()).position(|window| window == from) {
                    bytes.splice(place..place + from.len(), to.iter().copied());
                }
            }
        };
        check("GET key07", replaced(b"<key07><", b"<key08><"));
        check("ECHO 3", replaced(b"$1\r\n3\r\n", b"$1\r\n4\r\n"));
        check("no whole reply", replaced(b"$1\r\n9\r\n", b""));
    }
}
