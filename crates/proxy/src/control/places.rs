//! Places for connections, of which there is a limited number. Where all are taken, a new connection gets the place of the
//! one that has been idle for longest: a client that sends nothing, or half a request, keeps nobody out. Pure but for the
//! waiting.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Who may have to make room, and who waits for that.
#[derive(Debug, Default)]
struct Line {
    /// Idle connections, idle for longest first.
    idle: VecDeque<Arc<Wanted>>,
    /// New connections that have found nobody idle: who is idle next makes room.
    waiting: usize,
}

impl Line {
    /// Who has been idle for longest makes room, or else who is idle next.
    fn make_room(&mut self) {
        match self.idle.pop_front() {
            Some(longest) => longest.tell(),
            None => self.waiting += 1,
        }
    }
}

type SharedLine = Arc<Mutex<Line>>;

/// How a connection is told to make room.
#[derive(Debug, Default)]
struct Wanted {
    notify: Notify,
    /// It was told, so its place is promised to a new connection.
    is_told: AtomicBool,
}

impl Wanted {
    fn tell(&self) {
        self.is_told.store(true, Ordering::Relaxed);
        self.notify.notify_one();
    }
}

/// A limited number of places.
#[derive(Debug, Clone)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    line: SharedLine,
}

/// The place of one connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    wanted: Arc<Wanted>,
    line: SharedLine,
}

impl Places {
    /// This many places.
    pub(super) fn new(places: usize) -> Places {
        Places { free: Arc::new(Semaphore::new(places)), line: SharedLine::default() }
    }

    /// A place for a new connection, which is idle. Waits where no connection is idle, and until the one that has to has
    /// made room.
    pub(super) async fn take(&self) -> Place {
        let permit = match self.free.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                lock(&self.line).make_room();
                self.free.clone().acquire_owned().await.expect("nobody closes the semaphore")
            }
        };
        let place = Place { _permit: permit, wanted: Arc::default(), line: self.line.clone() };
        lock(&place.line).idle.push_back(place.wanted.clone());
        place
    }
}

impl Place {
    /// The connection is idle from now on, and makes room at once where a new one has found nobody idle.
    pub(super) fn rest(&self) {
        self.work();
        let mut line = lock(&self.line);
        if self.wanted.is_told.load(Ordering::Relaxed) {
            return;
        }
        if line.waiting > 0 {
            line.waiting -= 1;
            return self.wanted.tell();
        }
        line.idle.push_back(self.wanted.clone());
    }

    /// The connection is not idle, and keeps its place.
    pub(super) fn work(&self) {
        lock(&self.line).idle.retain(|wanted| !Arc::ptr_eq(wanted, &self.wanted));
    }

    /// Waits until the connection has to make room.
    pub(super) async fn wanted(&self) {
        self.wanted.notify.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.work();
        let mut line = lock(&self.line);
        if !self.wanted.is_told.load(Ordering::Relaxed) {
            // It leaves by itself, and makes room all the same.
            line.waiting = line.waiting.saturating_sub(1);
        }
    }
}

/// Nothing that holds the lock panics.
fn lock(line: &SharedLine) -> MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// Nothing moves but what is looked at.
    async fn is_soon(what: impl Future<Output = ()>) -> bool {
        timeout(Duration::from_millis(20), what).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_idle_for_longest_makes_room() {
        let places = Places::new(3);
        let [first, second, third] = [places.take().await, places.take().await, places.take().await];
        // The first asks something and rests again, the second is at work.
        first.work();
        first.rest();
        second.work();
        let newcomer = places.take();
        let mut newcomer = std::pin::pin!(newcomer);
        assert!(timeout(Duration::from_millis(20), newcomer.as_mut()).await.is_err());
        assert!(is_soon(third.wanted()).await);
        assert!(!is_soon(first.wanted()).await && !is_soon(second.wanted()).await);
        drop(third);
        let fourth = newcomer.await;
        // Where nobody is idle, a newcomer waits.
        first.work();
        fourth.work();
        let mut newcomer = std::pin::pin!(places.take());
        assert!(timeout(Duration::from_millis(20), newcomer.as_mut()).await.is_err());
        for place in [&first, &second, &fourth] {
            assert!(!is_soon(place.wanted()).await);
        }
        // Whoever is idle next makes room; the one after that is not asked.
        second.rest();
        first.rest();
        assert!(is_soon(second.wanted()).await);
        assert!(!is_soon(first.wanted()).await);
        drop(second);
        let fifth = newcomer.await;
        // A place that is given back is nobody's to make room with.
        drop(fifth);
        let _sixth = places.take().await;
        assert_eq!(lock(&places.line).idle.len(), 2);
    }
}
