//! Steering the process that imitates proxies.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use model::{Address, Epoch};

use crate::crowd_process::{COUNT, PARENT, TEST, number};

/// How long the process may take to start, and to answer.
const LIMIT: Duration = Duration::from_secs(60);

/// Imitated proxies in a process of their own, which ends when this is dropped.
pub(crate) struct Crowd {
    child: Child,
    link: Mutex<BufReader<TcpStream>>,
    pub(crate) port: u16,
}

impl Crowd {
    pub(crate) fn start(count: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", TEST, "--nocapture"])
            .env(PARENT, listener.local_addr().unwrap().to_string())
            .env(COUNT, count.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let stream = accept(&listener, &mut child);
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut link = BufReader::new(stream);
        let port = line(&mut link).parse().unwrap();
        Self { child, link: Mutex::new(link), port }
    }

    /// The epochs of view and roles of each proxy, in their order; none of one that is dead.
    pub(crate) fn epochs(&self) -> Vec<Option<(Epoch, Epoch)>> {
        let answer = self.ask("epochs");
        let epoch = |text: &str| Epoch(text.parse().unwrap());
        let both = |word: &str| word.split_once(',').map(|(view, roles)| (epoch(view), epoch(roles)));
        answer.split(' ').map(both).collect()
    }

    /// How many probes and leases all have had.
    pub(crate) fn asked(&self) -> (u64, u64) {
        pair(&self.ask("asked"))
    }

    /// How many slots a proxy serves.
    pub(crate) fn slots(&self, proxy: &Address) -> u64 {
        self.about(proxy).0
    }

    /// How often a proxy was emptied.
    pub(crate) fn cleanings(&self, proxy: &Address) -> u64 {
        self.about(proxy).1
    }

    fn about(&self, proxy: &Address) -> (u64, u64) {
        pair(&self.ask(&format!("proxy {}", place(proxy))))
    }

    /// Kills a proxy.
    pub(crate) fn kill(&self, proxy: &Address) {
        self.order("kill", proxy);
    }

    /// Kills a proxy and starts it anew, without a view.
    pub(crate) fn restart(&self, proxy: &Address) {
        self.order("restart", proxy);
    }

    /// Has a proxy say that its first node is down.
    pub(crate) fn break_node(&self, proxy: &Address) {
        self.order("break-node", proxy);
    }

    /// Has a proxy want another password.
    pub(crate) fn refuse(&self, proxy: &Address) {
        self.order("refuse", proxy);
    }

    /// Whether a proxy takes views.
    pub(crate) fn take_views(&self, proxy: &Address, takes: bool) {
        self.order(if takes { "take-views" } else { "refuse-views" }, proxy);
    }

    fn order(&self, word: &str, proxy: &Address) {
        assert_eq!(self.ask(&format!("{word} {}", place(proxy))), "ok");
    }

    fn ask(&self, order: &str) -> String {
        let mut link = self.link.lock().unwrap();
        link.get_mut().write_all(format!("{order}\n").as_bytes()).unwrap();
        line(&mut link)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The place of a proxy in the order.
pub(crate) fn place(proxy: &Address) -> usize {
    number(proxy.host().parse().unwrap())
}

fn accept(listener: &TcpListener, child: &mut Child) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let begun = Instant::now();
    loop {
        if let Ok((stream, _)) = listener.accept() {
            return stream;
        }
        assert!(child.try_wait().unwrap().is_none(), "the process that imitates proxies has ended");
        assert!(begun.elapsed() < LIMIT, "the process that imitates proxies does not start");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn line(link: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    link.read_line(&mut line).unwrap();
    assert!(line.ends_with('\n'), "the process that imitates proxies has ended");
    line.trim_end().to_owned()
}

fn pair(text: &str) -> (u64, u64) {
    let (first, second) = text.split_once(' ').unwrap();
    (first.parse().unwrap(), second.parse().unwrap())
}
