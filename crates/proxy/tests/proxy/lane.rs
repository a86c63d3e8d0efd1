//! Control has its own lane: whatever clients ask, HEALTH is answered at once.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use testkit::connection::Connection;
use testkit::wait::{Deadline, wait_until};

use crate::fixture::{LIMIT, Proxy, ask, redis};

/// Sessions that CLIENT LIST has to list.
const SESSIONS: usize = 500;
/// Questions that a flooding client sends at a time.
const PIPELINED: usize = 3000;
/// HEALTH asked so often.
const PROBES: usize = 100;
/// How much longer than to PING on the same connection 99 of 100 answers may take. On a quiet machine they take a few
/// milliseconds; behind the questions of clients they would take seconds.
const P99_MORE_MAX: Duration = Duration::from_millis(50);
/// And how many times as long, because a busy machine lets every thread wait.
const P99_TIMES_MAX: u32 = 4;

/// Clients that send a question again and again, thousands in each write, and read what comes.
struct Flood {
    ends: Arc<AtomicBool>,
    streams: Vec<TcpStream>,
    /// Bytes that each client got.
    received: Vec<Arc<AtomicU64>>,
    threads: Vec<JoinHandle<()>>,
}

impl Flood {
    fn start(address: SocketAddr, lines: &[&str]) -> Flood {
        let ends = Arc::new(AtomicBool::new(false));
        let (mut streams, mut received, mut threads) = (Vec::new(), Vec::new(), Vec::new());
        for line in lines {
            let stream = TcpStream::connect(address).unwrap();
            let (mut writer, mut reader) = (stream.try_clone().unwrap(), stream.try_clone().unwrap());
            let (questions, ends) = (format!("{line}\r\n").repeat(PIPELINED), ends.clone());
            std::thread::spawn(move || {
                // Ends by an error when the stream is shut down.
                while !ends.load(Ordering::Relaxed) && writer.write_all(questions.as_bytes()).is_ok() {}
            });
            let count = Arc::new(AtomicU64::new(0));
            received.push(count.clone());
            threads.push(std::thread::spawn(move || {
                let mut space = vec![0; 1 << 20];
                while let Ok(bytes @ 1..) = reader.read(&mut space) {
                    count.fetch_add(bytes as u64, Ordering::Relaxed);
                }
            }));
            streams.push(stream);
        }
        Flood { ends, streams, received, threads }
    }

    fn received(&self) -> Vec<u64> {
        self.received.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }

    /// Waits until each client has got more than it has now.
    fn go_on(&self) {
        let before = self.received();
        let grows = || self.received().iter().zip(&before).all(|(now, before)| now > before);
        wait_until(Deadline::within(LIMIT), "each client that floods is answered", grows).unwrap();
    }

    /// Ends it; how many bytes each client got.
    fn stop(self) -> Vec<u64> {
        self.ends.store(true, Ordering::Relaxed);
        for stream in &self.streams {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        let received = self.received();
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        received
    }
}

/// What 99 of 100 answers took.
#[derive(Debug)]
struct Took {
    /// To HEALTH.
    health: Duration,
    /// To PING, which needs nobody else.
    ping: Duration,
}

impl Took {
    /// Asks again and again on one connection.
    fn at(address: SocketAddr) -> Took {
        let mut connection = Connection::open(address).unwrap();
        connection.set_reply_limit(LIMIT).unwrap();
        let mut time = |line: &str| {
            let asked = Instant::now();
            assert!(connection.say(line).unwrap().error().is_none());
            asked.elapsed()
        };
        let (health, ping) = (0..PROBES).map(|_| (time("UMCTL HEALTH"), time("PING"))).unzip();
        Took { health: p99(health), ping: p99(ping) }
    }

    fn is_at_once(&self) -> bool {
        self.health <= self.ping * P99_TIMES_MAX + P99_MORE_MAX
    }
}

fn p99(mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    took[PROBES * 99 / 100 - 1]
}

fn check(lines: &[&str]) {
    let node = redis();
    let proxy = Proxy::serving(&node, |_| {});
    let sessions: Vec<Connection> = (0..SESSIONS).map(|_| proxy.connect()).collect();
    let flood = Flood::start(proxy.address, lines);
    flood.go_on();
    let mut data = proxy.connect();
    let begun = Instant::now();
    let (own, clients) = (Took::at(proxy.control), Took::at(proxy.address));
    let sets = (0..PROBES)
        .map(|_| {
            let asked = Instant::now();
            assert_eq!(ask(&mut data, "SET a 1"), "OK");
            asked.elapsed()
        })
        .collect();
    let set = p99(sets);
    flood.go_on();
    let received = flood.stop();
    println!(
        "{lines:?}: p99 at its own port {own:?}, at that of clients {clients:?}, of SET {set:?}; \
         {received:?} bytes in {:?}",
        begun.elapsed()
    );
    assert!(own.is_at_once() && clients.is_at_once(), "{own:?} {clients:?} {lines:?}");
    drop(sessions);
}

#[test]
fn one_client_lists_all_others_without_end() {
    check(&["CLIENT LIST"]);
}

#[test]
fn clients_ask_all_kinds_of_questions_without_end() {
    check(&["INFO everything", "CLIENT LIST", "CONFIG GET *", "SLOWLOG GET -1", "UMCTL INFO"]);
}

#[test]
fn every_question_of_a_pipeline_is_answered_in_its_place() {
    let node = redis();
    let proxy = Proxy::serving(&node, |_| {});
    let mut client = proxy.connect();
    client.set_reply_limit(LIMIT).unwrap();
    client.send_raw("CLIENT LIST\r\nINCR a\r\nINFO clients\r\n".repeat(100).as_bytes()).unwrap();
    for round in 1..=100 {
        let list = client.read().unwrap();
        assert!(list.text().unwrap().starts_with("id="), "{list:?}");
        assert_eq!(client.read().unwrap().integer().unwrap(), round);
        assert!(client.read().unwrap().text().unwrap().starts_with("# Clients"));
    }
}
