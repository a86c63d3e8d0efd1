//! Clients that write to one proxy and no other, as long as they are let.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::connection::Connection;
use crate::wait::{Deadline, wait_until};

/// How long it may take until writes are taken.
const TAKEN_LIMIT: Duration = Duration::from_secs(30);

/// A write that a proxy answered with OK.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// When it was sent.
    pub called: Instant,
    /// When the client had the OK.
    pub returned: Instant,
}

/// Writers under way, one for each key.
#[derive(Debug)]
pub struct Writers {
    course: Arc<Course>,
    threads: Vec<JoinHandle<Vec<Taken>>>,
}

#[derive(Debug, Default)]
struct Course {
    is_over: AtomicBool,
    taken: AtomicUsize,
}

impl Writers {
    /// Starts a writer for each key, all at the same proxy.
    #[must_use]
    pub fn start(proxy: SocketAddr, keys: impl IntoIterator<Item = String>) -> Self {
        let course = Arc::<Course>::default();
        let start = |key: String| {
            let course = Arc::clone(&course);
            std::thread::spawn(move || write_to(proxy, &key, &course))
        };
        let threads = keys.into_iter().map(start).collect();
        Self { course, threads }
    }

    /// Waits until that many more writes have been taken.
    ///
    /// # Errors
    /// When they are not in time.
    pub fn wait_taken(&self, more: usize) -> Result<()> {
        let taken = || self.course.taken.load(Ordering::Relaxed);
        let goal = taken() + more;
        wait_until(Deadline::within(TAKEN_LIMIT), "writes are taken", || taken() >= goal)
    }

    /// Stops them; all that were taken.
    ///
    /// # Panics
    /// When a writer has.
    #[must_use]
    pub fn stop(self) -> Vec<Taken> {
        self.course.is_over.store(true, Ordering::Relaxed);
        self.threads.into_iter().flat_map(|thread| thread.join().expect("a writer does not panic")).collect()
    }
}

fn write_to(proxy: SocketAddr, key: &str, course: &Course) -> Vec<Taken> {
    let (mut taken, mut open) = (Vec::new(), None);
    while !course.is_over.load(Ordering::Relaxed) {
        let called = Instant::now();
        let connection = open.take().map_or_else(|| Connection::open(proxy), Ok);
        let outcome = connection.and_then(|mut connection| {
            let reply = connection.call(&[b"SET", key.as_bytes(), b"old"])?;
            open = Some(connection);
            Ok(reply)
        });
        if outcome.is_ok_and(|reply| reply.bytes() == b"+OK\r\n") {
            taken.push(Taken { called, returned: Instant::now() });
            course.taken.fetch_add(1, Ordering::Relaxed);
        } else {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    taken
}
