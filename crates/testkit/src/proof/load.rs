//! A client that writes unique values without a pause, follows redirections, and remembers what was answered.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::connection::Connection;
use crate::frame::Frame;
use anyhow::ensure;

/// How many redirections one request follows.
const REDIRECTIONS_MAX: usize = 16;
/// How long a reply may take.
const REPLY_LIMIT: Duration = Duration::from_secs(5);

/// One request as the client saw it.
#[derive(Clone, Debug)]
pub struct Written {
    /// What was written, one more each time.
    pub value: u64,
    /// When the client had the answer.
    pub returned: Instant,
    /// The error, if it was not OK.
    pub error: Option<String>,
}

/// Writers under way, one for each key.
#[derive(Debug)]
pub struct Load {
    is_over: Arc<AtomicBool>,
    writers: Vec<JoinHandle<(String, Vec<Written>)>>,
}

impl Load {
    /// Starts a writer for each key; each begins at the first proxy.
    #[must_use]
    pub fn start(proxies: &[SocketAddr], keys: Vec<String>) -> Self {
        Self::paced(proxies, keys, Duration::ZERO)
    }

    /// The same; each rests for so long after each of its writes.
    #[must_use]
    pub fn paced(proxies: &[SocketAddr], keys: Vec<String>, pause: Duration) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let start = |key: String| {
            let (proxies, is_over) = (proxies.to_vec(), is_over.clone());
            std::thread::spawn(move || {
                let mut client = Client { proxies, open: BTreeMap::new(), at: 0 };
                let mut written = Vec::new();
                for value in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    written.push(client.write(&key, value));
                    std::thread::sleep(pause);
                }
                (key, written)
            })
        };
        let writers = keys.into_iter().map(start).collect();
        Self { is_over, writers }
    }

    /// Stops them; what each did.
    ///
    /// # Panics
    /// When a writer has.
    #[must_use]
    pub fn stop(self) -> BTreeMap<String, Vec<Written>> {
        self.is_over.store(true, Ordering::Relaxed);
        self.writers.into_iter().map(|writer| writer.join().expect("a writer does not panic")).collect()
    }
}

/// That something was written to each key, and nothing failed.
///
/// # Errors
/// The first request that failed, and how many did.
pub fn check_nothing_failed(load: &BTreeMap<String, Vec<Written>>, what: &str) -> anyhow::Result<()> {
    for (key, written) in load {
        let failed: Vec<_> = written.iter().filter(|write| write.error.is_some()).collect();
        let (failures, all) = (failed.len(), written.len());
        ensure!(failed.is_empty(), "{what}: {key}: {failures} of {all} failed: {:?}", failed[0]);
        ensure!(all > 10, "{what}: {key}: {all}");
    }
    Ok(())
}

/// The longest time between two successful writes of a key, of those that returned after `since`.
#[must_use]
pub fn longest_gap(written: &[Written], since: Instant) -> Duration {
    let good: Vec<Instant> = written.iter().filter(|w| w.error.is_none()).map(|w| w.returned).collect();
    let gaps = good.windows(2).filter(|pair| pair[1] >= since).map(|pair| pair[1] - pair[0]);
    gaps.max().unwrap_or(Duration::MAX)
}

struct Client {
    proxies: Vec<SocketAddr>,
    open: BTreeMap<SocketAddr, Connection>,
    /// The proxy that answered last.
    at: usize,
}

impl Client {
    fn write(&mut self, key: &str, value: u64) -> Written {
        let error = self.attempt(key, value).err();
        if error.is_some() {
            // As a client would: somewhere else, and not at once.
            self.at = (self.at + 1) % self.proxies.len();
            std::thread::sleep(Duration::from_millis(1));
        }
        Written { value, returned: Instant::now(), error }
    }

    fn attempt(&mut self, key: &str, value: u64) -> Result<(), String> {
        let mut last = String::new();
        for _ in 0..REDIRECTIONS_MAX {
            let proxy = self.proxies[self.at];
            let reply = self.ask(proxy, &[b"SET", key.as_bytes(), value.to_string().as_bytes()]);
            match reply {
                Ok(reply) if reply.bytes() == b"+OK\r\n" => return Ok(()),
                Ok(reply) => last = reply.error().unwrap_or_else(|| format!("{reply:?}")),
                Err(error) => {
                    self.open.remove(&proxy);
                    return Err(error);
                }
            }
            let target = last.strip_prefix("MOVED ").and_then(|rest| rest.split(' ').nth(1));
            let place = target.and_then(|text| self.proxies.iter().position(|p| p.to_string() == text));
            self.at = place.ok_or_else(|| last.clone())?;
        }
        Err(last)
    }

    fn ask(&mut self, proxy: SocketAddr, words: &[&[u8]]) -> Result<Frame, String> {
        let connection = match self.open.entry(proxy) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(place) => {
                let mut connection = Connection::open(proxy).map_err(|error| error.to_string())?;
                connection.set_reply_limit(REPLY_LIMIT).map_err(|error| error.to_string())?;
                place.insert(connection)
            }
        };
        connection.call(words).map_err(|error| error.to_string())
    }
}
