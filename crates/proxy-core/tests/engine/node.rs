//! A node: a small store that answers at once and remembers what it should not have been asked.
//!
//! A key that begins with `v:` need not be stored: its value is made of the key, the database and a length that
//! the key tells, so that a reply shows whose it is.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use resp::{Protocol, RequestLimits, RequestParser, RequestStep, encode};

/// The value of a `v:<len>:…` key: bytes that no other key and no other database has.
pub(crate) fn made_value(db: u32, key: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(key).unwrap();
    let len: usize = text.split(':').nth(1).unwrap().parse().unwrap();
    pattern(db, key, len)
}

/// So many bytes that depend on all of their key.
pub(crate) fn pattern(db: u32, key: &[u8], len: usize) -> Vec<u8> {
    let mut state = key.iter().fold(0xcbf2_9ce4_8422_2325 ^ u64::from(db), |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    }) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Keys and values, by database.
pub(crate) type Store = Rc<RefCell<BTreeMap<(u32, Vec<u8>), Vec<u8>>>>;

/// One node.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// What it holds: its own, or one that all nodes share, as though data moved with its slot at once.
    pub(crate) store: Store,
    /// What DBSIZE answers.
    keys: i64,
    /// What came that should not have come.
    pub(crate) complaints: Vec<String>,
    /// Requests executed, the proxy's greetings not counted.
    pub(crate) executed: usize,
    /// It executes what it is sent, and says nothing.
    pub(crate) silent: bool,
    /// Which process it is: another after each start.
    pub(crate) starts: u32,
    /// It refuses CLIENT KILL, as a node does whose user may not ask.
    pub(crate) closes_nothing: bool,
    /// It refuses INFO, as a node does whose user may not ask.
    pub(crate) tells_nothing: bool,
    /// It answers greetings, and has everything else wait, as another proxy does whose node is busy with a script.
    pub(crate) is_busy: bool,
    /// It reads nothing that it is sent, until it goes on and executes all of it.
    pub(crate) is_stopped: bool,
    /// Connections that were closed while it was stopped: what lies in them is executed all the same.
    pub(crate) closed: Rc<RefCell<Vec<Peer>>>,
    /// No connection to it can be made.
    pub(crate) is_dead: bool,
    /// What it answers to everything, for the moment.
    pub(crate) refusal: Option<Vec<u8>>,
    /// It plays another proxy of this version: what it takes over its connections, by `hops/session`.
    pub(crate) labels: Option<Vec<String>>,
    /// It would hold all that it is sent by other clients than proxies, and says so to proxies; it plays one itself.
    pub(crate) holds: bool,
    /// The password that a connection has to give.
    pub(crate) password: Option<Vec<u8>>,
}

/// What a node keeps of one connection.
#[derive(Debug)]
pub(crate) struct Peer {
    /// What the node calls it.
    number: usize,
    /// The proxy's end of it.
    end: String,
    parser: RequestParser,
    unread: Vec<u8>,
    db: u32,
    protocol: Protocol,
    authenticated: bool,
    /// It is another proxy's for all its sessions: what is answered in place of holding a request.
    held_reply: Option<Vec<u8>>,
}

/// What a proxy says on a new connection.
fn is_greeting(args: &[&[u8]]) -> bool {
    match *args {
        [b"UMFORWARD", b"SESSIONS", _] => true,
        [name, ..] => [b"AUTH".as_slice(), b"HELLO", b"SELECT", b"PING", b"CLIENT"].contains(&name),
        [] => false,
    }
}

impl Node {
    /// A node that says it has so many keys.
    pub(crate) fn with_keys(keys: i64) -> Node {
        Node { keys, ..Node::default() }
    }

    /// A connection is made.
    pub(crate) fn welcome(&self, number: usize, end: &str) -> Peer {
        Peer {
            number,
            end: end.to_owned(),
            parser: RequestParser::new(),
            unread: Vec::new(),
            db: 0,
            protocol: Protocol::Resp2,
            authenticated: self.password.is_none(),
            held_reply: None,
        }
    }

    /// Bytes came over a connection; appends the replies.
    pub(crate) fn received(&mut self, peer: &mut Peer, bytes: &[u8], out: &mut Vec<u8>) {
        peer.unread.extend_from_slice(bytes);
        if self.is_stopped {
            return;
        }
        let mut position = 0;
        loop {
            let rest = &peer.unread[position..];
            match peer.parser.parse(rest, &RequestLimits::default()) {
                Ok(RequestStep::Request { len }) => {
                    let args: Vec<Vec<u8>> =
                        peer.parser.spans().iter().map(|span| span.of(rest).to_vec()).collect();
                    let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
                    let is_held = self.holds && peer.held_reply.is_none();
                    if (self.is_busy || is_held) && !is_greeting(&args) {
                        peer.parser.reset();
                        break;
                    }
                    if self.silent {
                        self.execute(peer, &args, &mut Vec::new());
                    } else {
                        self.execute(peer, &args, out);
                    }
                    position += len;
                }
                Ok(RequestStep::Incomplete { .. }) => break,
                other => {
                    self.complaints.push(format!("no request in RESP: {other:?}"));
                    peer.parser.reset();
                    position = peer.unread.len();
                    break;
                }
            }
        }
        peer.unread.drain(..position);
    }

    /// Executes what lies in connections that were closed.
    pub(crate) fn read_closed(&mut self) {
        for mut peer in self.closed.take() {
            self.received(&mut peer, &[], &mut Vec::new());
        }
    }

    fn execute(&mut self, peer: &mut Peer, args: &[&[u8]], out: &mut Vec<u8>) {
        let name = String::from_utf8_lossy(args[0]).to_ascii_uppercase();
        if let Some(refusal) = &self.refusal {
            return out.extend_from_slice(refusal);
        }
        match (name.as_str(), args) {
            ("AUTH", [_, password]) => {
                peer.authenticated = self.password.as_deref() == Some(password);
                return if peer.authenticated {
                    encode::simple(out, "OK");
                } else {
                    encode::error(out, "WRONGPASS no");
                };
            }
            _ if !peer.authenticated => return encode::error(out, "NOAUTH Authentication required."),
            ("HELLO", _) => {
                peer.protocol = Protocol::Resp3;
                encode::map(out, Protocol::Resp3, 1);
                encode::bulk(out, b"server");
                return encode::bulk(out, b"redis");
            }
            ("SELECT", [_, db]) => {
                peer.db = std::str::from_utf8(db).unwrap().parse().unwrap();
                return encode::simple(out, "OK");
            }
            ("CLIENT", [_, b"KILL", ..]) if self.closes_nothing => {
                return encode::error(
                    out,
                    "NOPERM this user has no permissions to run the 'client|kill' command",
                );
            }
            ("CLIENT", [_, b"INFO"]) if self.tells_nothing => return encode::error(out, "NOPERM no"),
            ("CLIENT", [_, b"INFO"]) => {
                let text = format!("id={} addr={} laddr=127.0.0.1:1 fd=9", peer.number, peer.end);
                return encode::verbatim(out, peer.protocol, "txt", text.as_bytes());
            }
            ("CLIENT", [_, b"KILL", which @ ..]) => {
                let mut closed = self.closed.borrow_mut();
                let before = closed.len();
                let is_it = |peer: &Peer| match which {
                    [b"ADDR", end] => peer.end.as_bytes() == *end,
                    [b"ID", number, b"ADDR", end] => {
                        peer.number.to_string().as_bytes() == *number && peer.end.as_bytes() == *end
                    }
                    _ => panic!("CLIENT KILL of whom?"),
                };
                closed.retain(|peer| !is_it(peer));
                return encode::integer(out, (before - closed.len()) as i64);
            }
            // So does a proxy greet a node that has failed.
            ("PING", [_]) => return encode::simple(out, "PONG"),
            ("INFO", [_, b"server"]) if self.tells_nothing => return encode::error(out, "NOPERM no"),
            ("INFO", [_, b"server"]) => {
                let text = format!("# Server\r\nrun_id:{:040x}\r\n", self.starts);
                return encode::bulk(out, text.as_bytes());
            }
            ("UMFORWARD", [_, b"SESSIONS", token]) if self.labels.is_some() => {
                peer.held_reply = Some([b"+UMHELD ", *token, b"\r\n"].concat());
                return encode::simple(out, "OK");
            }
            // The greeting of another proxy. This one plays an older version.
            ("UMFORWARD", [_, b"SESSIONS", _]) => {
                return encode::error(out, "ERR value is not an integer or out of range");
            }
            _ if self.holds => return out.extend_from_slice(peer.held_reply.as_deref().unwrap_or_default()),
            _ => self.executed += 1,
        }
        self.command(peer, &name, args, out);
    }

    fn command(&mut self, peer: &Peer, name: &str, args: &[&[u8]], out: &mut Vec<u8>) {
        match (name, args) {
            ("GET", [_, key]) => self.value(peer, key, out),
            ("MGET", [_, keys @ ..]) => {
                encode::array(out, keys.len());
                keys.iter().for_each(|key| self.value(peer, key, out));
            }
            ("SET", [_, key, value, ..]) => {
                if key.starts_with(b"v:") && **value != made_value(peer.db, key) {
                    let key = String::from_utf8_lossy(key);
                    self.complaints.push(format!("SET {key} came with other bytes than were sent"));
                }
                self.store.borrow_mut().insert((peer.db, key.to_vec()), value.to_vec());
                encode::simple(out, "OK");
            }
            ("INCR", [_, key]) => {
                let mut store = self.store.borrow_mut();
                let held = store.entry((peer.db, key.to_vec())).or_insert_with(|| b"0".to_vec());
                let next = std::str::from_utf8(held).unwrap().parse::<i64>().unwrap() + 1;
                *held = next.to_string().into_bytes();
                encode::integer(out, next);
            }
            ("DEL", [_, key]) => {
                let had = self.store.borrow_mut().remove(&(peer.db, key.to_vec())).is_some();
                encode::integer(out, i64::from(had));
            }
            // From another proxy.
            ("UMFORWARD", [_, label, name, ..]) => {
                if let Some(labels) = &mut self.labels {
                    labels.push(String::from_utf8_lossy(label).into_owned());
                }
                let name = String::from_utf8_lossy(name).to_ascii_uppercase();
                self.command(peer, &name, &args[2..], out);
            }
            ("DBSIZE", [_]) => encode::integer(out, self.keys),
            ("KEYS", [_, _]) => {
                encode::array(out, 1);
                encode::bulk(out, self.keys.to_string().as_bytes());
            }
            ("RANDOMKEY", [_]) => encode::bulk(out, format!("key-{}", self.keys).as_bytes()),
            ("SCRIPT" | "FUNCTION", [_, b"kill"]) => encode::simple(out, "OK"),
            ("SCRIPT", [_, b"load", ..]) => encode::bulk(out, b"sha"),
            ("SCRIPT", [_, _, _]) => {
                encode::array(out, 1);
                encode::integer(out, 1);
            }
            ("EVAL" | "EVAL_RO" | "FUNCTION", _) => encode::array(out, 0),
            ("SCAN", [_, cursor, ..]) => {
                // Two steps: 0 leads to 7, 7 to the end.
                let next: &[u8] = if *cursor == b"0" { b"7" } else { b"0" };
                encode::array(out, 2);
                encode::bulk(out, next);
                encode::array(out, 1);
                encode::bulk(out, format!("{}-{}", self.keys, String::from_utf8_lossy(cursor)).as_bytes());
            }
            _ => {
                self.complaints.push(format!("{name} ought not to come here"));
                encode::error(out, "ERR unknown command");
            }
        }
    }

    fn value(&self, peer: &Peer, key: &[u8], out: &mut Vec<u8>) {
        match self.store.borrow().get(&(peer.db, key.to_vec())) {
            _ if key.starts_with(b"v:") => encode::bulk(out, &made_value(peer.db, key)),
            Some(value) => encode::bulk(out, value),
            None => encode::null(out, peer.protocol),
        }
    }
}
