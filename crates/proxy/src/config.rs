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
    /// Whether requests to one backend are gathered into batches.
    pub enum Batching {
        /// While replies to a batch are due, what follows waits for them; bounded in bytes and in time.
        On = "on",
        /// What a turn of the event loop has gathered is written at its end, whatever is due.
        Off = "off",
    }
}

service::choice! {
    /// Which keys scripts may use.
    pub enum ScriptKeys {
        /// Those that they declare, which nobody checks.
        Trusted = "trusted",
        /// Those that they declare, which the node checks.
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
        /// The IP address and port on which the proxy serves clients. Port 0 is any free one, for a proxy that is
        /// reached through something with a fixed address: `announce_address` is needed then.
        pub address: SocketAddr = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), DEFAULT_PORT),
        /// The address by which clients and other proxies reach this proxy, as it stands in MOVED and CLUSTER
        /// replies; `address` when not set. Needed when `address` is a wildcard such as 0.0.0.0.
        pub announce_address: Option<HostPort> = None,
        /// How far above its port the proxy listens a second time, for reads of the replicas behind it: its replica face,
        /// which CLUSTER replies show as a replica. Clients reach it at the announced port plus this. 0 is nowhere, and
        /// replicas are not shown. Must be the same for all proxies of a cluster, and lead to no port in use.
        pub replica_port_offset: Count<0, 65_534> = Count::of(0),
        /// Where HTTP answers: metrics, health, and the calls of /openapi.json; nowhere when not set.
        pub admin_address: Option<SocketAddr> = None,
        /// Where operators and coordinators are answered in Redis's protocol, apart from clients: UMCTL there never
        /// waits for what clients do. When not set, only the address of clients answers UMCTL.
        pub control_address: Option<SocketAddr> = None,
        /// The password for UMCTL's commands that change something, CONFIG SET, and HTTP beyond metrics and health: not
        /// that of clients. When not set, they are taken from this proxy's own host only.
        pub control_password: Option<Secret> = None,
        /// The Redis servers that this proxy fronts, where they are known before the first view arrives.
        pub node_addresses: Vec<HostPort> = Vec::new(),
        /// Worker threads, each with its own event loop, sessions and backends.
        pub thread_number: Count<1, 1024> = Count::of(2),
        /// Connections from each worker to each node. One is best as a rule, because the requests of all clients then
        /// share larger batches.
        pub backend_conn_num: Count<1, BACKEND_CONN_NUM_MAX> = Count::of(1),
        /// How long a request may wait for a node before the client gets an error, and how long connecting to a
        /// node may take. A node on this machine whose process is seen to work, as in a long script, is waited for,
        /// and so is another proxy that answers a new connection.
        pub backend_timeout: Milliseconds<1, DAY_MS> = Milliseconds::of(3000),
        /// How long a session may be idle before it is closed; 0 is for ever.
        pub session_timeout: Milliseconds<0, YEAR_MS> = Milliseconds::of(0),
        /// How long requests in flight may take to finish when the proxy is told to stop.
        pub shutdown_timeout_ms: Milliseconds<0, DAY_MS> = Milliseconds::of(10_000),
        /// The password that clients must give with AUTH or HELLO; none when not set.
        pub password: Option<Secret> = None,
        /// The password that the proxy gives to the nodes with AUTH, and replicas to their primaries; none when not
        /// set.
        pub backend_password: Option<Secret> = None,
        /// How many clients may be connected at a time.
        pub maxclients: Count<1, 10_000_000> = Count::of(10_000),
        /// How many databases SELECT accepts; no more than the nodes have.
        pub databases: Count<1, 65_536> = Count::of(16),
        /// The largest single argument of a request.
        pub bulk_bytes_max: Bytes<1024, 536_870_912> = Bytes::of(536_870_912),
        /// The memory that all sessions may hold together, for requests that are not answered and replies that are not
        /// read: a quarter of the machine's, at most 4 GiB, when not set. When it does not last, the session that holds
        /// most is closed.
        pub memory_max: Option<Bytes<16_777_216, 1_099_511_627_776>> = None,
        /// Whether a worker lets events gather for some microseconds under load, so that batches are larger.
        pub batching: Batching = Batching::On,
        /// Whether the nodes check that scripts use no keys but those that they declare. With strict each script runs as a
        /// user of its own on a connection of its own, so it costs two more round trips to its node.
        pub script_keys: ScriptKeys = ScriptKeys::Trusted,
        /// Whether a request for a slot of another proxy is forwarded there instead of answered MOVED, for clients
        /// that know nothing of clusters.
        pub active_redirection: bool = false,
        /// How many times one request may be forwarded from proxy to proxy.
        pub max_redirections: Count<1, 64> = Count::of(4),
        /// Where clients are sent with MOVED while this proxy has no cluster; when not set they get an error.
        pub default_redirection_address: Option<HostPort> = None,
        /// The form of node ids and addresses in CLUSTER NODES: v2 is Redis's, 40 hex digits and ip:port@cport; v1 is
        /// Undermoon's older one, the cluster's name in the id and ip:port.
        pub cluster_nodes_version: NodesVersion = NodesVersion::V2,
        /// How many entries the slow log keeps.
        pub slowlog_len: Count<0, 1_000_000> = Count::of(1024),
        /// A request that takes longer than this is put into the slow log; 0 is every request, -1 none.
        pub slowlog_log_slower_than: Microseconds<-1, HOUR_US> = Microseconds::of(20_000),
        /// Of the requests that are slow, one of this many is put into the slow log. Every request is timed.
        pub slowlog_sample_rate: Count<1, 1_000_000> = Count::of(1),
        /// What is logged: a level, or levels for some modules, as info,proxy=debug.
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
