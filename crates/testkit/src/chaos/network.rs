//! Hosts with a network of their own between them, which can be cut in either direction.
//!
//! Each host is a network namespace with one interface; they are joined by a bridge in one more namespace. The
//! machine's own network is not touched, and nothing is named in the file system: a namespace lives as long as the
//! process that holds it, and that dies with the test, so the kernel removes everything however the test ends.
//!
//! ```text
//!   10.75.0.1          10.75.0.2          10.75.0.3
//!   eth0               eth0               eth0            a namespace each
//!     └──────── host0 ── bridge ── host1 ────┘            the switch, a namespace
//! ```
//! A line is cut by giving the sender a link-layer address that nobody has: its packets leave and arrive nowhere,
//! as with a broken cable, and no error is told to anybody. That needs no packet filter in the kernel.

use std::fs::File;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;

use crate::process::Process;
use crate::wait::{Deadline, wait_until};

/// How many hosts a network may have.
pub const HOSTS_MAX: usize = 200;
/// How long a namespace may take until it is there.
const START_LIMIT: Duration = Duration::from_secs(10);
/// A link-layer address that no interface has.
const NOBODY: &str = "02:75:6d:ff:ff:ff";

/// Which way packets are lost, seen from the host that is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Nothing gets in or out.
    Both,
    /// What it sends is lost; it still hears the others.
    Outgoing,
    /// What others send to it is lost; they still hear it.
    Incoming,
}

/// A running network. All of it is gone when this is dropped, once the processes in it have ended.
#[derive(Debug)]
pub struct Network {
    switch: Namespace,
    hosts: Vec<Namespace>,
    _directory: TempDir,
}

/// A network namespace with the process that keeps it.
#[derive(Debug)]
struct Namespace {
    holder: Process,
}

/// The way into a host of a network.
#[derive(Debug)]
pub struct Entrance(File);

impl Entrance {
    /// Moves the calling thread there.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn enter(&self) -> Result<()> {
        move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))
            .context("moving a thread to another network namespace")
    }
}

impl Network {
    /// Makes a network with this many hosts, at most [`HOSTS_MAX`].
    ///
    /// # Errors
    /// When this machine, or this user, may not make network namespaces; the message says which step was refused.
    pub fn start(hosts: usize) -> Result<Self> {
        ensure!(hosts <= HOSTS_MAX, "{hosts} hosts are more than {HOSTS_MAX}");
        let directory = tempfile::Builder::new().prefix("undermoon-network-").tempdir()?;
        let switch = Namespace::start("switch", directory.path())?;
        switch.ip("link set lo up\nlink add bridge type bridge\nlink set bridge up\n")?;
        let start = |number| Namespace::start(&format!("host-{number}"), directory.path());
        let hosts = (0..hosts).map(start).collect::<Result<Vec<_>>>()?;
        let network = Self { switch, hosts, _directory: directory };
        for number in 0..network.hosts.len() {
            network.connect(number)?;
        }
        Ok(network)
    }

    /// The address of a host.
    #[must_use]
    pub fn address(&self, host: usize) -> IpAddr {
        let last = u8::try_from(host + 1).unwrap_or(u8::MAX);
        Ipv4Addr::new(10, 75, 0, last).into()
    }

    /// The words that start a program on a host when they are put before it; it keeps the process id that they
    /// are started with.
    #[must_use]
    pub fn launcher(&self, host: usize) -> Vec<String> {
        self.hosts[host].launcher()
    }

    /// Moves the calling thread to a host: what it connects to and starts from now on is there.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn enter(&self, host: usize) -> Result<()> {
        self.namespace(host)?.enter()
    }

    /// The way into a host, for a thread that outlives the borrow of the network.
    ///
    /// # Errors
    /// When the host is gone.
    pub fn namespace(&self, host: usize) -> Result<Entrance> {
        Ok(Entrance(File::open(self.hosts[host].path())?))
    }

    /// Loses every packet from one host to another.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn cut(&self, from: usize, to: usize) -> Result<()> {
        self.hosts[from].ip(&self.neighbour(to, NOBODY))
    }

    /// Ends [`cut`](Self::cut).
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn mend(&self, from: usize, to: usize) -> Result<()> {
        self.hosts[from].ip(&self.neighbour(to, &link_address(to)))
    }

    /// Cuts a host off from others, or ends that.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn isolate(&self, host: usize, others: &[usize], direction: Direction, cut: bool) -> Result<()> {
        let address = |to: usize| if cut { NOBODY.to_owned() } else { link_address(to) };
        if direction != Direction::Incoming {
            let lines: String = others.iter().map(|&to| self.neighbour(to, &address(to))).collect();
            self.hosts[host].ip(&lines)?;
        }
        if direction != Direction::Outgoing {
            for &from in others {
                self.hosts[from].ip(&self.neighbour(host, &address(host)))?;
            }
        }
        Ok(())
    }

    fn connect(&self, number: usize) -> Result<()> {
        let host = &self.hosts[number];
        let (holder, address) = (host.holder.id(), self.address(number));
        self.switch.ip(&format!(
            "link add host{number} type veth peer name eth0 address {} netns {holder}\n\
             link set host{number} master bridge\nlink set host{number} up\n",
            link_address(number)
        ))?;
        host.ip(&format!("link set lo up\naddress add {address}/24 dev eth0\nlink set eth0 up\n"))?;
        let others = (0..self.hosts.len()).filter(|&other| other != number);
        host.ip(&others.map(|other| self.neighbour(other, &link_address(other))).collect::<String>())
    }

    fn neighbour(&self, host: usize, link_address: &str) -> String {
        let address = self.address(host);
        format!("neighbour replace {address} lladdr {link_address} nud permanent dev eth0\n")
    }
}

impl Namespace {
    fn start(name: &str, directory: &Path) -> Result<Self> {
        let mut command = Command::new(crate::binary::on_path("unshare")?);
        command.args(["--net", "--", "sleep", "infinity"]);
        let mut holder = Process::spawn(&mut command, name, &directory.join(name))?;
        let own = namespace_of("self")?;
        let path = holder.id().to_string();
        let mut ended = false;
        wait_until(Deadline::within(START_LIMIT), "the namespace is there", || {
            ended = holder.exited().is_some();
            ended || namespace_of(&path).is_ok_and(|namespace| namespace != own)
        })?;
        ensure!(!ended, "a network namespace could not be made (root may): {}", holder.log_tail().trim());
        Ok(Self { holder })
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.holder.id())
    }

    fn launcher(&self) -> Vec<String> {
        vec!["nsenter".to_owned(), format!("--net={}", self.path()), "--".to_owned()]
    }

    /// Runs lines of `ip` in it; see ip(8), `-batch`.
    fn ip(&self, lines: &str) -> Result<()> {
        let launcher = self.launcher();
        let mut command = Command::new(&launcher[0]);
        command.args(&launcher[1..]).arg(crate::binary::on_path("ip")?).args(["-batch", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("starting ip")?;
        let mut input = child.stdin.take().context("ip has a standard input")?;
        // When it has ended before reading all, its own message below says why.
        let _ = input.write_all(lines.as_bytes());
        drop(input);
        let output = child.wait_with_output()?;
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "ip refused ({}): {message}\n{lines}", output.status);
        Ok(())
    }
}

/// The kernel's name for the network namespace of a process.
fn namespace_of(process: &str) -> Result<std::path::PathBuf> {
    Ok(std::fs::read_link(format!("/proc/{process}/ns/net"))?)
}

fn link_address(host: usize) -> String {
    format!("02:75:6d:00:00:{host:02x}")
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    /// Whether a datagram gets from one host to another.
    fn arrives(network: &Network, from: usize, to: usize) -> bool {
        let wait = Duration::from_millis(100);
        std::thread::scope(|scope| {
            let join = |host| network.enter(host).unwrap();
            let receiver = scope.spawn(move || {
                join(to);
                let socket = UdpSocket::bind((network.address(to), 0)).unwrap();
                socket.set_read_timeout(Some(wait)).unwrap();
                socket
            });
            let receiver = receiver.join().unwrap();
            let address = receiver.local_addr().unwrap();
            let send = scope.spawn(move || {
                join(from);
                UdpSocket::bind((network.address(from), 0)).unwrap().send_to(b"x", address).unwrap();
            });
            send.join().unwrap();
            receiver.recv(&mut [0; 8]).is_ok()
        })
    }

    #[test]
    fn lines_are_cut_one_way_and_mended() {
        let network = Network::start(3).unwrap();
        let table = |wanted: &[(usize, usize, bool)]| {
            for &(from, to, through) in wanted {
                assert_eq!(arrives(&network, from, to), through, "from {from} to {to}");
            }
        };
        table(&[(0, 1, true), (1, 0, true), (2, 1, true)]);
        network.cut(0, 1).unwrap();
        table(&[(0, 1, false), (1, 0, true), (0, 2, true)]);
        network.mend(0, 1).unwrap();
        network.isolate(2, &[0, 1], Direction::Outgoing, true).unwrap();
        table(&[(2, 0, false), (2, 1, false), (0, 2, true), (0, 1, true)]);
        network.isolate(2, &[0, 1], Direction::Outgoing, false).unwrap();
        network.isolate(2, &[0], Direction::Incoming, true).unwrap();
        table(&[(2, 0, true), (0, 2, false), (1, 2, true)]);
        network.isolate(2, &[0, 1], Direction::Both, true).unwrap();
        table(&[(2, 0, false), (1, 2, false), (0, 1, true)]);
        network.isolate(2, &[0, 1], Direction::Both, false).unwrap();
        table(&[(2, 0, true), (0, 2, true), (1, 2, true)]);
    }

    #[test]
    fn a_thread_moves_alone_and_hosts_do_not_see_the_machine() {
        let network = Network::start(1).unwrap();
        let outside = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = outside.local_addr().unwrap();
        std::thread::scope(|scope| {
            let seen = scope.spawn(|| {
                network.enter(0).unwrap();
                TcpStream::connect(address).is_ok()
            });
            assert!(!seen.join().unwrap(), "a host reaches the machine's loopback");
        });
        assert!(TcpStream::connect(address).is_ok());
    }

    #[test]
    fn nothing_stays_after_the_holders_are_gone() {
        let network = Network::start(2).unwrap();
        let holders = [network.switch.holder.id(), network.hosts[0].holder.id()];
        let command = network.launcher(1);
        assert_eq!(command[0], "nsenter");
        drop(network);
        for holder in holders {
            assert!(namespace_of(&holder.to_string()).is_err());
        }
    }
}
