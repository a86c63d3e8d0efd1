//! A client: what it sends, what it must be answered, and what it was answered.

use std::collections::BTreeMap;

use proxy_core::engine::SessionId;
use resp::{encode, reply_length};

use crate::node::made_value;

/// What a reply is compared with.
#[derive(Debug, Clone)]
pub(crate) enum Due {
    /// It is this.
    Exact(Vec<u8>),
    /// It begins so.
    Begins(&'static [u8]),
    /// It says how often this counter of the client's own was incremented, this time included.
    Count(Counter),
}

/// A counter: its database and key.
pub(crate) type Counter = (u32, Vec<u8>);

/// What a client knows of a counter of its own.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Increments that were acknowledged.
    pub(crate) acknowledged: i64,
    /// Increments of which it was told that they may have been executed.
    pub(crate) unknown: i64,
    /// The last value that it was told.
    pub(crate) last: i64,
}

/// One reply that a client waits for.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// The reply.
    pub(crate) due: Due,
    /// Where in what the client sends its request ends.
    pub(crate) end: usize,
    /// A node gives it, so a fault there may put an error in its place.
    pub(crate) forwarded: bool,
}

/// What may come in the place of the reply that a request should have.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Allowed {
    /// Connections to nodes fail in this run.
    pub(crate) failures: bool,
    /// Slots move to other proxies in this run.
    pub(crate) moves: bool,
    /// Slots have no owner for a while in this run.
    pub(crate) unowned: bool,
    /// The time of a primary runs out in this run.
    pub(crate) fences: bool,
    /// Memory is so short in this run that a large request is refused.
    pub(crate) little_memory: bool,
}

impl Allowed {
    /// Whether a node's reply may be replaced by this error.
    fn allows(self, reply: &[u8]) -> bool {
        let any = |beginnings: &[&[u8]]| beginnings.iter().any(|beginning| reply.starts_with(beginning));
        (self.failures && any(&[b"-ERR backend", b"-CLUSTERDOWN backend", b"-CLUSTERDOWN proxy"]))
            || (self.moves && any(&[b"-MOVED ", b"-ERR_TOO_MANY_REDIRECTIONS"]))
            || (self.unowned && any(&[b"-CLUSTERDOWN Hash slot not served", b"-ERR_CLUSTER_NOT_FOUND"]))
            || (self.fences
                && any(&[
                    b"-CLUSTERDOWN This proxy has lost touch",
                    b"-ERR backend",
                    b"-CLUSTERDOWN backend",
                ]))
            || (self.little_memory
                && any(&[b"-ERR the request is larger than half", b"-ERR the reply is too"]))
    }
}

/// One client and its end of the connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: SessionId,
    /// Tells its keys from those of others.
    pub(crate) name: usize,
    /// Requests not yet given to the proxy.
    pub(crate) outgoing: Vec<u8>,
    pub(crate) sent: usize,
    pub(crate) expected: Vec<Expected>,
    /// Whole replies seen.
    pub(crate) replies: usize,
    /// Errors among them that stood for something else.
    pub(crate) excused: usize,
    /// Bytes of a reply that is not whole yet.
    pub(crate) partial: Vec<u8>,
    pub(crate) closed: bool,
    /// The proxy said that it did not want more now.
    pub(crate) unread: bool,
    /// Bytes that it still takes; the rest waits in the proxy.
    pub(crate) window: usize,
    /// The client has sent its last byte, and the proxy knows.
    pub(crate) ended: bool,
    /// Replies as they came, where a test looks at them itself.
    pub(crate) log: Option<Vec<u8>>,
    db: u32,
    /// How often each counter is incremented by what was asked.
    counters: BTreeMap<Counter, i64>,
    /// What it was told of its counters.
    pub(crate) counts: BTreeMap<Counter, Counts>,
    /// It was told that it was closed for a reason of the test's own.
    pub(crate) is_broken: bool,
}

impl Client {
    pub(crate) fn new(id: SessionId, name: usize) -> Client {
        Client {
            id,
            name,
            outgoing: Vec::new(),
            sent: 0,
            expected: Vec::new(),
            replies: 0,
            excused: 0,
            partial: Vec::new(),
            closed: false,
            unread: false,
            window: usize::MAX,
            ended: false,
            log: None,
            db: 0,
            counters: BTreeMap::new(),
            counts: BTreeMap::new(),
            is_broken: false,
        }
    }

    /// Sends a request that is answered so.
    pub(crate) fn ask(&mut self, words: &[&[u8]], reply: Vec<u8>, forwarded: bool) {
        self.demand(words, Due::Exact(reply), forwarded);
    }

    /// Sends a request whose reply is compared with `due`.
    pub(crate) fn demand(&mut self, words: &[&[u8]], due: Due, forwarded: bool) {
        encode::request(&mut self.outgoing, words);
        self.expected.push(Expected { due, forwarded, end: self.outgoing.len() });
    }

    /// A key of this client's own, whose value has `len` bytes.
    pub(crate) fn made_key(&self, len: usize, tag: &str) -> Vec<u8> {
        format!("v:{len}:{}:{}{{{tag}}}", self.name, self.expected.len()).into_bytes()
    }

    pub(crate) fn get(&mut self, len: usize, tag: &str) {
        let key = self.made_key(len, tag);
        let mut reply = Vec::new();
        encode::bulk(&mut reply, &made_value(self.db, &key));
        self.ask(&[b"GET", &key], reply, true);
    }

    pub(crate) fn set(&mut self, len: usize, tag: &str) {
        let key = self.made_key(len, tag);
        let value = made_value(self.db, &key);
        self.ask(&[b"SET", &key, &value], b"+OK\r\n".to_vec(), true);
    }

    pub(crate) fn mget(&mut self, lens: &[usize], tag: &str) {
        let mut words: Vec<Vec<u8>> = vec![b"MGET".to_vec()];
        let mut reply = Vec::new();
        encode::array(&mut reply, lens.len());
        for (index, len) in lens.iter().enumerate() {
            let key = format!("v:{len}:{}:{}.{index}{{{tag}}}", self.name, self.expected.len()).into_bytes();
            encode::bulk(&mut reply, &made_value(self.db, &key));
            words.push(key);
        }
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        self.ask(&words, reply, true);
    }

    /// A counter of this client's own: shows whether its requests are executed in order and once.
    pub(crate) fn incr(&mut self, tag: &str) {
        let key = format!("c:{}{{{tag}}}", self.name).into_bytes();
        let count = self.counters.entry((self.db, key.clone())).or_default();
        *count += 1;
        let reply = format!(":{count}\r\n").into_bytes();
        self.ask(&[b"INCR", &key], reply, true);
    }

    /// As [`Client::incr`], where some of the increments may fail.
    pub(crate) fn count(&mut self, tag: &str) {
        let key = format!("c:{}{{{tag}}}", self.name).into_bytes();
        *self.counters.entry((self.db, key.clone())).or_default() += 1;
        self.demand(&[b"INCR", &key], Due::Count((self.db, key.clone())), true);
    }

    /// How often a counter is incremented by everything that was asked.
    pub(crate) fn increments(&self, counter: &Counter) -> i64 {
        self.counters[counter]
    }

    pub(crate) fn select(&mut self, db: u32) {
        self.ask(&[b"SELECT", db.to_string().as_bytes()], b"+OK\r\n".to_vec(), false);
        self.db = db;
    }

    pub(crate) fn echo(&mut self) {
        let word = format!("{}-{}", self.name, self.expected.len());
        let mut reply = Vec::new();
        encode::bulk(&mut reply, word.as_bytes());
        self.ask(&[b"ECHO", word.as_bytes()], reply, false);
    }

    pub(crate) fn has_everything(&self) -> bool {
        self.sent == self.outgoing.len() && self.replies == self.expected.len() && self.partial.is_empty()
    }

    /// Bytes came from the proxy: each whole reply must be the one that is due.
    pub(crate) fn received(&mut self, bytes: &[u8], allowed: Allowed) {
        assert!(!self.closed, "client {}: bytes after the connection was closed", self.name);
        if let Some(log) = &mut self.log {
            return log.extend_from_slice(bytes);
        }
        let mut arrived = std::mem::take(&mut self.partial);
        arrived.extend_from_slice(bytes);
        let mut position = 0;
        loop {
            let rest = &arrived[position..];
            let len = match reply_length(rest) {
                Ok(Some(len)) => len,
                Ok(None) => break,
                Err(error) => panic!("client {}: {error} in {}", self.name, shown(rest)),
            };
            self.check(&rest[..len], allowed);
            position += len;
        }
        arrived.drain(..position);
        self.partial = arrived;
    }

    fn check(&mut self, reply: &[u8], allowed: Allowed) {
        let number = self.replies;
        self.replies += 1;
        let Some(Expected { due, forwarded, .. }) = self.expected.get(number).cloned() else {
            panic!("client {}: reply {number} to no request: {}", self.name, shown(reply))
        };
        let is_excused = forwarded && allowed.allows(reply);
        let is_due = match &due {
            Due::Exact(bytes) => bytes == reply,
            Due::Begins(bytes) => reply.starts_with(bytes),
            Due::Count(counter) => self.counted(counter, reply, is_excused),
        };
        assert!(
            is_due || is_excused,
            "client {}: reply {number} is {}, not {}",
            self.name,
            shown(reply),
            match &due {
                Due::Exact(bytes) => shown(bytes),
                Due::Begins(bytes) => format!("{}...", shown(bytes)),
                Due::Count(counter) => format!("of {counter:?}: {:?}", self.counts.get(counter)),
            }
        );
        self.excused += usize::from(!is_due);
    }

    /// Whether a counter can have this value now: each acknowledged increment is in it, in the order in which they were
    /// asked for, and beyond them only such as may have been executed.
    fn counted(&mut self, counter: &Counter, reply: &[u8], is_excused: bool) -> bool {
        let counts = self.counts.entry(counter.clone()).or_default();
        if is_excused {
            counts.unknown += i64::from(reply.starts_with(b"-ERR backend"));
            return false;
        }
        let text = reply.strip_prefix(b":").and_then(|rest| std::str::from_utf8(rest).ok());
        let Some(value) = text.and_then(|text| text.trim_end().parse::<i64>().ok()) else { return false };
        let next = counts.acknowledged + 1;
        let is_possible = value > counts.last && (next..=next + counts.unknown).contains(&value);
        if is_possible {
            (counts.acknowledged, counts.last) = (next, value);
        }
        is_possible
    }
}

/// The beginning of some bytes, printable.
pub(crate) fn shown(bytes: &[u8]) -> String {
    const SHOWN_BYTES_MAX: usize = 80;
    format!("{} ({} bytes)", bytes[..bytes.len().min(SHOWN_BYTES_MAX)].escape_ascii(), bytes.len())
}
