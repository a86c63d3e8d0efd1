//! The process that imitates proxies: thousands on one listener, told apart by the address on which a client reaches
//! them. A process of its own, so that descriptors, CPU and memory of the coordinator are the coordinator's alone.
//!
//! Its parent steers it with lines of text over one connection, and it ends when that connection does:
//!
//! | line | answer |
//! |---|---|
//! | (when it has started) | its port |
//! | `epochs` | for each proxy, in order: `-` if it is dead, or the epochs of its view and its roles, `7,7` |
//! | `asked` | how many probes and leases all have had |
//! | `proxy <n>` | the number of slots that it serves, and how often it was emptied |
//! | `kill <n>`, `restart <n>`, `break-node <n>`, `refuse <n>`, `refuse-views <n>`, `take-views <n>` | `ok` |

use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use model::Address;
use resp::{RequestLimits, RequestParser, RequestStep};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::imitated::{Hosts, Imitated};

/// Where the parent listens, and how many proxies it wants.
pub(crate) const PARENT: &str = "COORDINATOR_TEST_PARENT";
pub(crate) const COUNT: &str = "COORDINATOR_TEST_COUNT";
/// The test that is this process.
pub(crate) const TEST: &str = "crowd_process::imitates_proxies";

/// Connections that have not been accepted yet; all begin at once.
const BACKLOG: i32 = 4096;

/// The address of the proxy with that number.
pub(crate) fn ip(number: usize) -> Ipv4Addr {
    let [_, a, b, c] = u32::try_from(number + 1).unwrap().to_be_bytes();
    Ipv4Addr::new(127, 1 + a, b, c)
}

/// The number of the proxy with that address.
pub(crate) fn number(ip: IpAddr) -> usize {
    let octets = match ip {
        IpAddr::V4(ip) => ip.octets(),
        IpAddr::V6(ip) => ip.to_ipv4_mapped().unwrap_or(Ipv4Addr::LOCALHOST).octets(),
    };
    let [_, a, b, c] = octets;
    usize::try_from(u32::from_be_bytes([0, a - 1, b, c])).unwrap() - 1
}

/// Allows that many connections.
pub(crate) fn allow_connections(count: usize) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    // Each may have one that was given up and one for a push besides.
    let wanted = u64::try_from(count + count.clamp(1_000, 5_000)).unwrap();
    let limits = getrlimit(Resource::Nofile);
    let maximum = limits.maximum.map(|maximum| maximum.max(wanted));
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).unwrap();
}

#[test]
#[ignore = "it is the process that imitates proxies for the others, which start it"]
fn imitates_proxies() {
    let Ok(parent) = std::env::var(PARENT) else { return };
    let count = std::env::var(COUNT).unwrap().parse().unwrap();
    allow_connections(count);
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    rustix::net::listen(&listener, BACKLOG).unwrap();
    let port = listener.local_addr().unwrap().port();
    let crowd = Crowd::new(count, port);
    let steered = crowd.clone();
    let parent = std::net::TcpStream::connect(parent.parse::<SocketAddr>().unwrap()).unwrap();
    std::thread::spawn(move || {
        // Whatever ends the connection ends this process, so that none is left behind.
        let _ = steered.obey(&parent, port);
        std::process::exit(0);
    });
    crowd.serve(listener).unwrap();
}

/// All of them.
#[derive(Clone)]
struct Crowd(Arc<Mutex<Hosts>>);

impl Crowd {
    fn new(count: usize, port: u16) -> Self {
        let node = |number, above: u16| Address::new(&ip(number).to_string(), port + above).unwrap();
        let all = (0..count).map(|number| (node(number, 0), [node(number, 1), node(number, 2)]));
        Self(Arc::new(Mutex::new(Hosts::new(all))))
    }

    fn lock(&self) -> MutexGuard<'_, Hosts> {
        self.0.lock().unwrap()
    }

    fn obey(&self, parent: &std::net::TcpStream, port: u16) -> io::Result<()> {
        let mut out = parent;
        writeln!(out, "{port}")?;
        for line in BufReader::new(parent).lines() {
            let mut answer = self.obey_line(&line?);
            answer.push('\n');
            out.write_all(answer.as_bytes())?;
        }
        Ok(())
    }

    fn obey_line(&self, line: &str) -> String {
        let mut hosts = self.lock();
        let all = &mut hosts.proxies;
        let (word, number) = line.split_once(' ').unwrap_or((line, "0"));
        let one: usize = number.parse().unwrap();
        match word {
            "epochs" => {
                let shown = all.iter().map(|proxy| match (proxy.is_alive, proxy.epochs()) {
                    (false, _) => "-".to_owned(),
                    (true, (view, roles)) => format!("{view},{roles}"),
                });
                return shown.collect::<Vec<_>>().join(" ");
            }
            "asked" => {
                let sum = |count: fn(&Imitated) -> u64| all.iter().map(count).sum::<u64>();
                return format!("{} {}", sum(|proxy| proxy.probes), sum(|proxy| proxy.leases));
            }
            "proxy" => return format!("{} {}", all[one].slots(), all[one].cleanings),
            "kill" => all[one].kill(),
            "restart" => hosts.restart(one),
            "break-node" => hosts.break_node(one),
            "refuse" => all[one].refuses = true,
            "refuse-views" => all[one].refuses_views = true,
            "take-views" => all[one].refuses_views = false,
            other => panic!("there is no order '{other}'"),
        }
        "ok".to_owned()
    }

    /// Serves on the calling thread, for ever.
    fn serve(self, listener: std::net::TcpListener) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            listener.set_nonblocking(true)?;
            let listener = TcpListener::from_std(listener)?;
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    // Out of descriptors: those that were given up are closed soon.
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                    continue;
                };
                let Ok(address) = stream.local_addr() else { continue };
                let (all, me) = (self.clone(), number(address.ip()));
                tokio::spawn(async move {
                    let death = all.lock().proxies[me].death.clone();
                    tokio::select! {
                        // A connection that breaks is the coordinator's to notice.
                        _ = all.talk(me, stream) => {}
                        () = death.notified() => {}
                    }
                });
            }
        })
    }

    async fn talk(&self, me: usize, mut stream: TcpStream) -> io::Result<()> {
        let (mut parser, mut buffer, mut reply) = (RequestParser::new(), Vec::new(), Vec::new());
        while stream.read_buf(&mut buffer).await? > 0 {
            while let RequestStep::Request { len } =
                parser.parse(&buffer, &RequestLimits::AUTHENTICATED).unwrap()
            {
                let words: Vec<&[u8]> = parser.spans().iter().map(|span| span.of(&buffer)).collect();
                let is_alive = {
                    let mut hosts = self.lock();
                    hosts.answer(me, &words, &mut reply);
                    hosts.proxies[me].is_alive
                };
                buffer.drain(..len);
                if !is_alive {
                    return Ok(());
                }
            }
            stream.write_all(&reply).await?;
            reply.clear();
        }
        Ok(())
    }
}
