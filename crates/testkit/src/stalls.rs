//! How long this machine kept processes waiting. Some promises hold only where processes run when they are due: that no
//! request fails without a lease, that nobody is taken for dead who lives. A test of such a promise tells by this
//! whether the machine was to blame; it must never take a machine's word for more than that.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::connection::Connection;

/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);
/// A server that does not answer for so long was stopped or killed by the test: that is no stall.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// A machine that was late by less is not to blame: a proxy whose lease has ended has 190 ms for one round of five
/// processes, and each of them may be late.
const STALL_MIN: Duration = Duration::from_millis(20);
/// How often something is tried on a machine that stalls.
const ATTEMPTS_MAX: usize = 5;

/// Measures until it is dropped.
#[derive(Debug)]
pub struct StallWatch {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    is_over: AtomicBool,
    longest_us: AtomicU64,
}

impl Shared {
    fn note(&self, late: Duration) {
        self.longest_us.fetch_max(u64::try_from(late.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

impl StallWatch {
    /// Begins to measure how late a thread of this process is woken.
    #[must_use]
    pub fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        let tick = move || {
            while !own.is_over() {
                let begun = Instant::now();
                std::thread::sleep(LOOK_INTERVAL);
                own.note(begun.elapsed().saturating_sub(LOOK_INTERVAL));
            }
        };
        Self { shared, threads: vec![std::thread::spawn(tick)] }
    }

    /// Forgets what was until now, and measures also how late these Redis servers answer PING, each until it does not
    /// answer at all. They must have nothing to do that takes long.
    pub fn begin(&mut self, servers: &[SocketAddr]) {
        self.shared.longest_us.store(0, Ordering::Relaxed);
        for server in servers {
            let (server, shared) = (*server, Arc::clone(&self.shared));
            // Whoever does not answer any more is not asked any more.
            self.threads.push(std::thread::spawn(move || drop(ask(server, &shared))));
        }
    }

    /// The longest that anything was late until now.
    #[must_use]
    pub fn longest(&self) -> Duration {
        Duration::from_micros(self.shared.longest_us.load(Ordering::Relaxed))
    }
}

impl Drop for StallWatch {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

fn ask(server: SocketAddr, shared: &Shared) -> Result<()> {
    let mut connection = Connection::open_within(server, ANSWER_LIMIT)?;
    connection.set_reply_limit(ANSWER_LIMIT)?;
    while !shared.is_over() {
        let begun = Instant::now();
        connection.say("PING")?;
        shared.note(begun.elapsed());
        std::thread::sleep(LOOK_INTERVAL);
    }
    Ok(())
}

/// Runs `attempt`, which begins again each time, until nothing is wrong. It is tried again only where the machine stalled
/// meanwhile, and then says so.
///
/// # Errors
/// The attempt's, when the machine did not stall or stalls again and again.
pub fn unless_stalled<T>(attempt: impl FnMut(&mut StallWatch) -> Result<T>) -> Result<T> {
    repeat(attempt, StallWatch::longest)
}

fn repeat<T>(
    mut attempt: impl FnMut(&mut StallWatch) -> Result<T>,
    longest: impl Fn(&StallWatch) -> Duration,
) -> Result<T> {
    let mut tried = 1;
    loop {
        let mut stalls = StallWatch::start();
        let outcome = attempt(&mut stalls);
        let longest = longest(&stalls);
        let error = match outcome {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if longest < STALL_MIN || tried == ATTEMPTS_MAX {
            return Err(
                error.context(format!("attempt {tried}; the machine stalled for {longest:?} at most"))
            );
        }
        println!("attempt {tried} does not count, the machine stalled for {longest:?}: {error:#}");
        tried += 1;
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;
    use crate::redis_server::{RedisOptions, RedisServer};
    use crate::wait::{Deadline, wait_until};

    #[test]
    fn a_server_that_answers_late_is_a_stall() {
        let mut server = RedisServer::start(RedisOptions::default()).unwrap();
        let mut stalls = StallWatch::start();
        stalls.begin(&[server.address()]);
        wait_until(Deadline::within(Duration::from_secs(30)), "the stall is seen", || {
            server.process().freeze().unwrap();
            std::thread::sleep(Duration::from_millis(300));
            server.process().thaw().unwrap();
            stalls.longest() > Duration::from_millis(150)
        })
        .unwrap();
    }

    /// An attempt that goes wrong `wrong` times, on a machine that is late by so much.
    fn check(wrong: usize, late: Duration, expected: Result<usize, &str>) {
        let mut tried = 0;
        let attempt = |_: &mut StallWatch| {
            tried += 1;
            if tried <= wrong {
                bail!("attempt {tried}")
            }
            Ok(tried)
        };
        let outcome = repeat(attempt, |_| late).map_err(|error| error.root_cause().to_string());
        assert_eq!(outcome, expected.map_err(str::to_owned), "{wrong} {late:?}");
    }

    #[test]
    fn only_a_machine_that_stalled_gets_another_attempt() {
        let less = STALL_MIN.saturating_sub(Duration::from_millis(1));
        check(0, less, Ok(1));
        check(1, less, Err("attempt 1"));
        check(1, STALL_MIN, Ok(2));
        check(ATTEMPTS_MAX - 1, STALL_MIN, Ok(ATTEMPTS_MAX));
        check(ATTEMPTS_MAX, STALL_MIN, Err("attempt 5"));
    }
}
