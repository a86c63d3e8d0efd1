//! Imitated proxies: thousands on one listener, told apart by the address on which a client reaches them. They
//! keep to the wire form and the epoch rules of real ones, and have no nodes at all.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard};

use model::{Address, Epoch, Role, SetCluster, SetRepl};
use resp::{RequestLimits, RequestParser, RequestStep, encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// One imitated proxy.
#[derive(Debug)]
pub(crate) struct Imitated {
    pub(crate) nodes: [Address; 2],
    pub(crate) view: Option<SetCluster>,
    pub(crate) roles: Option<SetRepl>,
    pub(crate) is_alive: bool,
    /// Whether its first node is down, and has been for long.
    pub(crate) node_is_down: bool,
    pub(crate) probes: u64,
    pub(crate) leases: u64,
    pub(crate) cleanings: u64,
    tokens: u64,
    death: Arc<Notify>,
}

impl Imitated {
    pub(crate) fn epochs(&self) -> (Epoch, Epoch) {
        let view = self.view.as_ref().map_or(Epoch(0), |view| view.view.epoch);
        (view, self.roles.as_ref().map_or(Epoch(0), |roles| roles.epoch))
    }

    /// The slots that its own nodes serve as primaries.
    pub(crate) fn slots(&self) -> usize {
        self.view.as_ref().map_or(0, |view| view.view.owned_locally().count())
    }

    /// As a process that was killed and started anew.
    pub(crate) fn restart(&mut self) {
        (self.view, self.roles, self.is_alive) = (None, None, true);
        self.death.notify_waiters();
    }

    pub(crate) fn kill(&mut self) {
        self.is_alive = false;
        self.death.notify_waiters();
    }
}

/// All of them.
#[derive(Clone, Debug)]
pub(crate) struct Imitations(Arc<Mutex<HashMap<IpAddr, Imitated>>>);

/// The address of the proxy with that number.
pub(crate) fn ip(number: usize) -> Ipv4Addr {
    let [_, a, b, c] = u32::try_from(number + 1).unwrap().to_be_bytes();
    Ipv4Addr::new(127, 1 + a, b, c)
}

impl Imitations {
    pub(crate) fn new(count: usize, port: u16) -> Self {
        let proxy = |number: usize| {
            let node = |above: u16| Address::new(&ip(number).to_string(), port + above).unwrap();
            let imitated = Imitated {
                nodes: [node(1), node(2)],
                view: None,
                roles: None,
                is_alive: true,
                node_is_down: false,
                probes: 0,
                leases: 0,
                cleanings: 0,
                tokens: 0,
                death: Arc::default(),
            };
            (IpAddr::V4(ip(number)), imitated)
        };
        Self(Arc::new(Mutex::new((0..count).map(proxy).collect())))
    }

    /// Serves on the calling thread, for ever.
    pub(crate) fn serve(self, listener: std::net::TcpListener) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            listener.set_nonblocking(true)?;
            let listener = TcpListener::from_std(listener)?;
            loop {
                let (stream, _) = listener.accept().await?;
                let me = stream.local_addr()?.ip();
                let all = self.clone();
                tokio::spawn(async move {
                    let death = all.with(me, |proxy| proxy.death.clone());
                    tokio::select! {
                        // A connection that breaks is the coordinator's to notice.
                        _ = all.talk(me, stream) => {}
                        () = death.notified() => {}
                    }
                });
            }
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Imitated>> {
        self.0.lock().unwrap()
    }

    pub(crate) fn with<T>(&self, proxy: IpAddr, look: impl FnOnce(&mut Imitated) -> T) -> T {
        look(self.lock().get_mut(&proxy).unwrap())
    }

    async fn talk(&self, me: IpAddr, mut stream: TcpStream) -> io::Result<()> {
        let (mut parser, mut buffer, mut reply) = (RequestParser::new(), Vec::new(), Vec::new());
        while stream.read_buf(&mut buffer).await? > 0 {
            while let RequestStep::Request { len } =
                parser.parse(&buffer, &RequestLimits::AUTHENTICATED).unwrap()
            {
                let words: Vec<&[u8]> = parser.spans().iter().map(|span| span.of(&buffer)).collect();
                let is_alive = self.with(me, |proxy| {
                    answer(proxy, &words, &mut reply);
                    proxy.is_alive
                });
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

fn answer(proxy: &mut Imitated, words: &[&[u8]], reply: &mut Vec<u8>) {
    assert_eq!(words[0], b"UMCTL");
    let (view, roles) = proxy.epochs();
    match words[1] {
        b"HEALTH" => {
            proxy.probes += 1;
            if let [_, _, lease, token, for_ms] = words {
                assert_eq!((*lease, *token), (&b"LEASE"[..], proxy.tokens.to_string().as_bytes()));
                assert!(std::str::from_utf8(for_ms).unwrap().parse::<u64>().unwrap() > 0);
                proxy.leases += 1;
            }
            health(proxy, reply);
        }
        b"SETCLUSTER" => {
            let command = SetCluster::parse(&words[2..]).unwrap();
            let is_new = command.view.epoch > view;
            accept(is_new, reply);
            if is_new {
                proxy.view = Some(command);
            }
        }
        b"SETREPL" => {
            let command = SetRepl::parse(&words[2..]).unwrap();
            let is_new = command.flags.force || command.epoch > roles;
            accept(is_new, reply);
            if is_new {
                proxy.roles = Some(command);
            }
        }
        b"CLEAN" => {
            assert_eq!(words[2], view.to_string().as_bytes());
            proxy.cleanings += 1;
            encode::simple(reply, "OK");
        }
        other => panic!("a coordinator sends no {}", String::from_utf8_lossy(other)),
    }
}

fn accept(is_new: bool, reply: &mut Vec<u8>) {
    match is_new {
        true => encode::simple(reply, "OK"),
        false => encode::error(reply, "OLD_EPOCH"),
    }
}

fn health(proxy: &mut Imitated, reply: &mut Vec<u8>) {
    proxy.tokens += 1;
    let (view, roles) = proxy.epochs();
    let text = |reply: &mut Vec<u8>, name: &str, value: &str| {
        encode::bulk(reply, name.as_bytes());
        encode::bulk(reply, value.as_bytes());
    };
    let number = |reply: &mut Vec<u8>, name: &str, value: u64| {
        encode::bulk(reply, name.as_bytes());
        encode::integer(reply, i64::try_from(value).unwrap());
    };
    encode::array(reply, 12);
    text(reply, "token", &proxy.tokens.to_string());
    number(reply, "epoch", view.0);
    number(reply, "roles_epoch", roles.0);
    number(reply, "lease_longest_ms", 0);
    encode::bulk(reply, b"nodes");
    encode::array(reply, 2);
    for (place, node) in proxy.nodes.iter().enumerate() {
        let wanted =
            proxy.roles.as_ref().and_then(|roles| roles.roles.iter().find(|role| role.node == *node));
        let primary =
            wanted.filter(|role| role.role == Role::Replica).map(|role| role.peers[0].node.to_string());
        let is_down = proxy.node_is_down && place == 0;
        encode::array(reply, 20);
        text(reply, "address", &node.to_string());
        text(reply, "state", if is_down { "down" } else { "up" });
        number(reply, "for_ms", if is_down { 10_000 } else { 0 });
        number(reply, "restarted", 0);
        text(reply, "role", if primary.is_some() { "replica" } else { "master" });
        text(reply, "link", if primary.is_some() { "up" } else { "none" });
        text(reply, "primary", &primary.unwrap_or_default());
        number(reply, "link_for_ms", 0);
        number(reply, "offset", 100);
        number(reply, "replicated", 0);
    }
    encode::bulk(reply, b"finished");
    encode::array(reply, 0);
}
