//! Requests that arrive at random times at a mean rate, whether or not earlier ones were answered.
//!
//! Latency counts from the time at which a request was meant to leave, so a server that falls behind is
//! charged for every request that had to wait, which a closed loop would hide. It must never skip an
//! arrival because it is late.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use super::data;
use super::driver::Outcome;
use crate::report::quantile;
use crate::wire::encode;

/// How long after the last arrival the answers may take.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);
/// Events taken from the kernel at once.
const EVENTS_MAX: usize = 64;
/// Bytes read from a connection at once.
const READ_BYTES: usize = 4096;
/// What marks the timer among the events; connections have their index.
const TIMER: u64 = u64::MAX;

/// When each request leaves, on which connection, for which key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Arrivals {
    list: Vec<Arrival>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Arrival {
    at: Duration,
    connection: usize,
    key: u32,
}

impl Arrivals {
    /// A Poisson process: gaps are exponential, as of many clients that know nothing of each other. Evenly
    /// spaced requests would never meet in the proxy, and batching would not be tried at all.
    pub(super) fn random(
        requests: u64,
        per_second: u32,
        connections: usize,
        keys: u32,
        seed: u64,
    ) -> Arrivals {
        let mut random = StdRng::seed_from_u64(seed);
        let mut at_s = 0.0;
        let mut next = || {
            at_s += -(1.0 - random.random::<f64>()).ln() / f64::from(per_second);
            let connection = random.random_range(0..connections);
            Arrival { at: Duration::from_secs_f64(at_s), connection, key: random.random_range(0..keys) }
        };
        Arrivals { list: (0..requests).map(|_| next()).collect() }
    }

    fn last(&self) -> Duration {
        self.list.last().map_or(Duration::ZERO, |arrival| arrival.at)
    }
}

/// Sends GETs as they arrive and waits for all answers, each of which must be `value`.
pub(super) fn drive(
    port: u16,
    connections: usize,
    arrivals: &Arrivals,
    value: &[u8],
) -> anyhow::Result<Outcome> {
    let mut generator = Generator::open(port, connections, value)?;
    let mut sent = 0;
    while generator.latencies_ms.len() < arrivals.list.len() {
        let now = generator.begin.elapsed();
        ensure!(now < arrivals.last() + DRAIN_LIMIT, "answers are missing");
        while let Some(arrival) = arrivals.list.get(sent).filter(|arrival| arrival.at <= now) {
            generator.send(*arrival)?;
            sent += 1;
        }
        generator.wake_at(arrivals.list.get(sent).map_or(now + DRAIN_LIMIT, |arrival| arrival.at))?;
        generator.receive()?;
    }
    let per_second = sent as f64 / generator.begin.elapsed().as_secs_f64();
    let at = |share| quantile(generator.latencies_ms.iter().copied(), share).context("no request was made");
    Ok(Outcome { per_second, p50_ms: at(0.5)?, p99_ms: at(0.99)? })
}

struct Generator {
    poll: OwnedFd,
    timer: OwnedFd,
    sockets: Vec<Socket>,
    events: Vec<Event>,
    answer: Vec<u8>,
    latencies_ms: Vec<f64>,
    begin: Instant,
}

struct Socket {
    stream: TcpStream,
    /// When the requests without an answer were meant to leave; answers come in the same order.
    due: VecDeque<Duration>,
    /// Bytes of the next answer that have come.
    matched: usize,
}

impl Generator {
    fn open(port: u16, connections: usize, value: &[u8]) -> anyhow::Result<Generator> {
        let poll = epoll::create(CreateFlags::CLOEXEC)?;
        // The timeout of epoll itself counts in milliseconds, which is too coarse here.
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
        epoll::add(&poll, &timer, EventData::new_u64(TIMER), EventFlags::IN)?;
        let mut sockets = Vec::with_capacity(connections);
        for index in 0..connections {
            let stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            epoll::add(&poll, &stream, EventData::new_u64(index as u64), EventFlags::IN)?;
            sockets.push(Socket { stream, due: VecDeque::new(), matched: 0 });
        }
        let answer = [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat();
        let events = Vec::with_capacity(EVENTS_MAX);
        Ok(Generator {
            poll,
            timer,
            sockets,
            events,
            answer,
            latencies_ms: Vec::new(),
            begin: Instant::now(),
        })
    }

    fn send(&mut self, arrival: Arrival) -> anyhow::Result<()> {
        let bytes = encode(&[b"GET", &data::key(arrival.key)]);
        let socket = &mut self.sockets[arrival.connection];
        let written = socket.stream.write(&bytes).context("sending")?;
        // A request is some tens of bytes: a full send buffer means a server that stopped reading long ago.
        ensure!(written == bytes.len(), "the server does not read");
        socket.due.push_back(arrival.at);
        Ok(())
    }

    /// Sets the timer; one that is already due fires at once.
    fn wake_at(&self, at: Duration) -> anyhow::Result<()> {
        let left = at.saturating_sub(self.begin.elapsed()).max(Duration::from_nanos(1));
        let once = Itimerspec { it_interval: Timespec::default(), it_value: Timespec::try_from(left)? };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }

    fn receive(&mut self) -> anyhow::Result<()> {
        self.events.clear();
        epoll::wait(&self.poll, spare_capacity(&mut self.events), None)?;
        for event in &self.events {
            if event.data.u64() == TIMER {
                continue;
            }
            let socket = &mut self.sockets[event.data.u64() as usize];
            let mut bytes = [0; READ_BYTES];
            let count = match socket.stream.read(&mut bytes) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error).context("receiving"),
            };
            let now = self.begin.elapsed();
            socket.take(&bytes[..count], &self.answer, now, &mut self.latencies_ms)?;
        }
        Ok(())
    }
}

impl Socket {
    fn take(
        &mut self,
        mut bytes: &[u8],
        answer: &[u8],
        now: Duration,
        latencies_ms: &mut Vec<f64>,
    ) -> anyhow::Result<()> {
        while !bytes.is_empty() {
            let wanted = &answer[self.matched..];
            let count = wanted.len().min(bytes.len());
            ensure!(bytes[..count] == wanted[..count], "wrong answer: {}", bytes.escape_ascii());
            bytes = &bytes[count..];
            self.matched += count;
            if self.matched == answer.len() {
                let due = self.due.pop_front().context("an answer that nobody asked for")?;
                latencies_ms.push(now.saturating_sub(due).as_secs_f64() * 1e3);
                self.matched = 0;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufRead as _;
    use std::net::TcpListener;

    use super::*;

    /// Serves one connection: after each request it waits, then answers; `stall` comes before the first.
    fn server(stall: Duration, answer: &'static [u8]) -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut lines = std::io::BufReader::new(stream.try_clone().unwrap()).lines();
            let mut writer = stream;
            std::thread::sleep(stall);
            // A request has five lines.
            while lines.by_ref().take(5).filter_map(Result::ok).count() == 5 {
                writer.write_all(answer).unwrap();
            }
        });
        port
    }

    #[test]
    fn a_stall_is_charged_to_every_request_that_waited() {
        let arrivals = Arrivals::random(400, 1000, 1, 10, 7);
        let stall = Duration::from_millis(300);
        let outcome = drive(server(stall, b"$3\r\nxxx\r\n"), 1, &arrivals, b"xxx").unwrap();
        // About 300 of the 400 requests were meant to leave during the stall. A closed loop would see one.
        assert!(outcome.p99_ms > 200.0, "{outcome:?}");
        assert!(outcome.p50_ms > 20.0, "{outcome:?}");
    }

    #[test]
    fn a_wrong_answer_is_refused() {
        let arrivals = Arrivals::random(5, 1000, 1, 10, 7);
        let error = drive(server(Duration::ZERO, b"-ERR no\r\n"), 1, &arrivals, b"xxx").unwrap_err();
        assert!(error.to_string().contains("wrong answer"), "{error}");
    }

    #[test]
    fn arrivals_keep_their_rate_and_repeat() {
        let one = Arrivals::random(20_000, 5000, 50, 1000, 1);
        assert_eq!(one, Arrivals::random(20_000, 5000, 50, 1000, 1));
        let rate = 20_000.0 / one.last().as_secs_f64();
        assert!((4800.0..5200.0).contains(&rate), "{rate}");
        assert!(one.list.iter().all(|arrival| arrival.connection < 50 && arrival.key < 1000));
        assert!(one.list.is_sorted_by(|a, b| a.at <= b.at));
    }
}
