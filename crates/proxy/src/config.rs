//! The settings of a server proxy.
//!
//! Names and defaults of the settings that Undermoon has always had are its interface and stay as they are; newer
//! ones carry their unit in their name. Each field's documentation is also the text of `undermoon proxy --help`
//! and of docs/configuration.md, so it speaks to an operator.

use model::{Address, AddressError};
use proxy_core::engine::CONNECTIONS_MAX;
use service::config::{
    BadValue, Bytes, Configuration, Count, Microseconds, Milliseconds, Secret, Setting, TomlValue,
};
use service::logging::{LogFormat, LogLevel};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;

/// The port of a server proxy, unless configured otherwise.
pub const DEFAULT_PORT: u16 = 5299;

/// As many connections as a worker keeps to one node, for each protocol.
const BACKEND_CONN_NUM_MAX: i64 = CONNECTIONS_MAX as i64;

/// A day: the longest time-out that makes sense for a command or a drain.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A year, in milliseconds: the longest time that a session may be asked to idle.
const YEAR_MS: i64 = 365 * DAY_MS;

/// An hour, in microseconds: a command slower than that is not slow but stuck.
const HOUR_US: i64 = 60 * 60 * 1_000_000;

service::choice! {
    /// The form of addresses in `CLUSTER NODES`.
    pub enum NodesVersion {
        /// `ip:port`, as before Redis 4.
        V1 = "v1",
        /// `ip:port@cport`, as clients expect since Redis 4.
        V2 = "v2",
    }
}

service::choice! {
    /// Whether a worker lets requests gather under load.
    pub enum Batching {
        /// Under load a worker naps between two turns, so that batches are larger; each nap has a limit.
        On = "on",
        /// No nap: every turn of the event loop follows the one before.
        Off = "off",
    }
}

service::choice! {
    /// Which keys scripts may use.
    pub enum ScriptKeys {
        /// The keys that scripts declare; nobody checks this.
        Trusted = "trusted",
        /// The keys that scripts declare; the node checks this.
        Strict = "strict",
    }
}

/// A host and a port, where the host may be a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort(pub Address);

impl fmt::Display for HostPort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Setting for HostPort {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        text.trim().parse().map(HostPort).map_err(|error| match error {
            AddressError::Form => BadValue::new("without a port"),
            AddressError::Host => BadValue::new("without a good host"),
            AddressError::Port => BadValue::new("without a good port"),
        })
    }

    fn accepts() -> String {
        "host:port".to_owned()
    }

    fn shown(&self) -> Option<TomlValue> {
        Some(TomlValue::String(self.to_string()))
    }
}

service::settings! {
    /// Everything that can be set for a server proxy.
    pub struct ProxyConfig {
        /// The IP address and port on which the proxy serves clients. Port 0 takes any free port, for a proxy that
        /// clients reach through something with a fixed address; `announce_address` is needed then.
        pub address: SocketAddr = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), DEFAULT_PORT),
        /// The address by which clients and other proxies reach this proxy; MOVED and CLUSTER replies show it. When not
        /// set, it is `address`. It is needed when `address` is a wildcard such as 0.0.0.0.
        pub announce_address: Option<HostPort> = None,
        /// Port offset of the replica face: at its port plus this offset the proxy serves reads from the replicas
        /// behind it. CLUSTER replies show this address as a replica, at the announced port plus this offset. 0
        /// switches the replica face off, and CLUSTER replies show no replicas. All proxies of a cluster need the same
        /// offset, and the port that results must be free.
        pub replica_port_offset: Count<0, 65_534> = Count::of(0),
        /// The address of the HTTP server: metrics, health, and the calls of /openapi.json. When not set, there is no
        /// HTTP server.
        pub admin_address: Option<SocketAddr> = None,
        /// The address of the control port, where the proxy answers operators and coordinators in Redis's protocol:
        /// UMCTL there never waits for clients. When not set, only the clients' address answers UMCTL.
        pub control_address: Option<SocketAddr> = None,
        /// The operators' password: for UMCTL commands that change something, CONFIG SET, and HTTP beyond metrics and
        /// health. It must differ from `password`. When not set, the proxy takes these from its own host only.
        pub control_password: Option<Secret> = None,
        /// The Redis servers that this proxy fronts, so that it knows them before the first view arrives.
        pub node_addresses: Vec<HostPort> = Vec::new(),
        /// Worker threads, each with its own event loop, sessions and backends.
        pub thread_number: Count<1, 1024> = Count::of(2),
        /// Connections from each worker to each node. 1 is usually best, because the requests of all clients then share
        /// larger batches.
        pub backend_conn_num: Count<1, BACKEND_CONN_NUM_MAX> = Count::of(1),
        /// How long a request may wait for a node before the client gets an error, and how long connecting to a node
        /// may take. The proxy waits longer for a node on this machine whose process is seen to work (a long script),
        /// and up to ten times as long for another proxy that answers a new connection.
        pub backend_timeout: Milliseconds<1, DAY_MS> = Milliseconds::of(3000),
        /// How long a session may be idle before the proxy closes it; 0 is no limit.
        pub session_timeout: Milliseconds<0, YEAR_MS> = Milliseconds::of(0),
        /// How long requests in flight may take to finish after the proxy is told to stop.
        pub shutdown_timeout_ms: Milliseconds<0, DAY_MS> = Milliseconds::of(10_000),
        /// The password that clients must give with AUTH or HELLO. When not set, clients need no password.
        pub password: Option<Secret> = None,
        /// The password that the proxy gives to the nodes with AUTH, and that replicas give to their primaries. When
        /// not set, nodes are asked without a password.
        pub backend_password: Option<Secret> = None,
        /// How many clients may be connected at a time.
        pub maxclients: Count<1, 10_000_000> = Count::of(10_000),
        /// How many databases SELECT accepts; at most as many as the nodes have.
        pub databases: Count<1, 65_536> = Count::of(16),
        /// The largest single argument of a request.
        pub bulk_bytes_max: Bytes<1024, 536_870_912> = Bytes::of(536_870_912),
        /// Memory budget of all sessions together, for requests that are not answered and replies that are not read.
        /// When not set, it is a quarter of the machine's memory, at most 4 GiB. When the budget is exceeded, the proxy
        /// closes the session that holds most.
        pub memory_max: Option<Bytes<16_777_216, 1_099_511_627_776>> = None,
        /// Whether a worker lets events gather for some microseconds under load, so that batches are larger.
        pub batching: Batching = Batching::On,
        /// Whether the nodes check that a script uses only the keys that it declares. With strict, each script runs as
        /// a user of its own on a connection of its own, which costs two more round trips to its node.
        pub script_keys: ScriptKeys = ScriptKeys::Trusted,
        /// Whether the proxy forwards a request for a slot of another proxy instead of answering MOVED, for clients
        /// that know nothing of clusters.
        pub active_redirection: bool = false,
        /// How many times one request may be forwarded from proxy to proxy.
        pub max_redirections: Count<1, 64> = Count::of(4),
        /// Where MOVED sends clients while this proxy has no cluster. When not set, they get an error.
        pub default_redirection_address: Option<HostPort> = None,
        /// The form of node ids and addresses in CLUSTER NODES. v2 is Redis's form: 40 hex digits and ip:port@cport. v1
        /// is Undermoon's older form: the cluster's name in the id, and ip:port.
        pub cluster_nodes_version: NodesVersion = NodesVersion::V2,
        /// How many entries the slow log keeps.
        pub slowlog_len: Count<0, 1_000_000> = Count::of(1024),
        /// A request that takes longer than this is put into the slow log; 0 logs every request, -1 logs no request.
        pub slowlog_log_slower_than: Microseconds<-1, HOUR_US> = Microseconds::of(20_000),
        /// One in this many slow requests is put into the slow log. Every request is timed.
        pub slowlog_sample_rate: Count<1, 1_000_000> = Count::of(1),
        /// The log level, or levels for some modules, as info,proxy=debug.
        pub log_level: LogLevel = LogLevel::info(),
        /// The form of log lines: human for people, json for programs.
        pub log_format: LogFormat = LogFormat::Human,
    }
}

impl Configuration for ProxyConfig {
    fn contradictions(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        if self.announce_address.is_none() && self.address.port() == 0 {
            let reason = "port 0 is a different port at each start; set `announce_address` to the one that clients use";
            found.push(("address", reason.to_owned()));
        }
        if self.announce_address.is_none() && self.address.ip().is_unspecified() {
            let reason = format!(
                "`address` is {}, which clients cannot connect to; set the one they use",
                self.address
            );
            found.push(("announce_address", reason));
        }
        if self.admin_address == Some(self.address) {
            found.push(("admin_address", "the same as `address`".to_owned()));
        }
        for (name, other) in [("address", Some(self.address)), ("admin_address", self.admin_address)] {
            if self.control_address.is_some() && self.control_address == other {
                found.push(("control_address", format!("the same as `{name}`")));
            }
        }
        if self.control_password.is_some() && self.control_password == self.password {
            let reason = "the same as `password`, which every client knows".to_owned();
            found.push(("control_password", reason));
        }
        found.extend(self.wrong_replica_port().map(|reason| ("replica_port_offset", reason)));
        found
    }
}

impl ProxyConfig {
    /// Where the replica face listens; `None` without one.
    pub fn replica_address(&self) -> Option<SocketAddr> {
        let offset = self.replica_offset()?;
        let port = self.address.port().checked_add(offset.get())?;
        Some(SocketAddr::new(self.address.ip(), port))
    }

    /// `replica_port_offset`; `None` without a replica face.
    pub(crate) fn replica_offset(&self) -> Option<NonZeroU16> {
        u16::try_from(self.replica_port_offset.unsigned()).ok().and_then(NonZeroU16::new)
    }

    /// What is wrong with where the offset leads.
    fn wrong_replica_port(&self) -> Option<String> {
        let offset = self.replica_offset()?;
        if self.address.port() == 0 {
            return Some(
                "needs a fixed port in `address`, because the second port follows from it".to_owned(),
            );
        }
        let announced =
            self.announce_address.as_ref().map(|announced| ("announce_address", announced.0.port()));
        for (name, port) in [("address", self.address.port())].into_iter().chain(announced) {
            if port.checked_add(offset.get()).is_none() {
                let most = u16::MAX - port;
                return Some(format!("{offset} above port {port} of `{name}` there is none; at most {most}"));
            }
        }
        let others = [("admin_address", self.admin_address), ("control_address", self.control_address)];
        let taken = others.into_iter().find(|(_, other)| other.is_some() && *other == self.replica_address());
        taken.map(|(name, _)| format!("leads to the port of `{name}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_replica_port_is_one() {
        let check = |address: &str, announced: Option<&str>, offset: i64, expected: Option<&str>| {
            let config = ProxyConfig {
                address: address.parse().unwrap(),
                announce_address: announced.map(|announced| HostPort(announced.parse().unwrap())),
                admin_address: Some("127.0.0.1:9000".parse().unwrap()),
                replica_port_offset: Count::of(offset),
                ..ProxyConfig::default()
            };
            let found = config.contradictions();
            let found = found.iter().find(|(name, _)| *name == "replica_port_offset").map(|(_, why)| &**why);
            assert_eq!(found.is_some(), expected.is_some(), "{address} {announced:?} + {offset}: {found:?}");
            assert!(found.zip(expected).is_none_or(|(found, part)| found.contains(part)), "{found:?}");
        };
        check("127.0.0.1:0", Some("127.0.0.1:5299"), 0, None);
        check("127.0.0.1:5299", None, 400, None);
        check("127.0.0.1:5299", Some("10.0.0.1:65135"), 400, None);
        check("127.0.0.1:0", Some("127.0.0.1:5299"), 400, Some("fixed port"));
        check("127.0.0.1:65000", None, 536, Some("at most 535"));
        check("127.0.0.1:5299", Some("10.0.0.1:65136"), 400, Some("`announce_address`"));
        check("127.0.0.1:8999", None, 1, Some("`admin_address`"));
    }
}
