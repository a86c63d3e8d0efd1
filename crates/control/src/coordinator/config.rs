//! The settings of a coordinator. Each field's documentation is also the text of `undermoon coordinator --help`
//! and of the documents, so it speaks to an operator.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use control_core::Timing;
use service::config::{BadValue, Configuration, Count, Milliseconds, Secret, Setting, TomlValue};
use service::logging::{LogFormat, LogLevel};

/// The port of a coordinator, unless configured otherwise.
pub const DEFAULT_PORT: u16 = 6699;

/// No lease is shorter than the time for which a replica that has acknowledged counts as attached: after a replica has let
/// go, a lease is what is waited for.
const ATTACHED_MS: i64 = model::ATTACHED_FOR_MS.cast_signed();
/// The longest time-out that makes sense here.
const HOUR_MS: i64 = 60 * 60 * 1000;

/// A broker: `host:port`, or a whole URL such as `https://broker:7799`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerAddress(pub String);

impl fmt::Display for BrokerAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Setting for BrokerAddress {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        let text = text.trim().trim_end_matches('/');
        let place = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or(text);
        match place.parse::<model::Address>() {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(BadValue::new(error.to_string())),
        }
    }

    fn accepts() -> String {
        "host:port, http://host:port or https://host:port".to_owned()
    }

    fn shown(&self) -> Option<TomlValue> {
        Some(TomlValue::String(self.0.clone()))
    }
}

/// What a coordinator calls itself; at most 64 letters, digits, `.`, `:`, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReporterName(pub String);

/// The longest name of a reporter.
const REPORTER_BYTES_MAX: usize = 64;
/// What such a name may have beside letters and digits.
const REPORTER_MARKS: &[u8] = b".:_-";
/// Where Linux tells a host's name.
const HOST_NAME_FILE: &str = "/proc/sys/kernel/hostname";

impl Setting for ReporterName {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || REPORTER_MARKS.contains(&byte);
        if text.is_empty() || text.len() > REPORTER_BYTES_MAX || !text.bytes().all(is_good) {
            return Err(BadValue::new("not a name that can stand in a URL"));
        }
        Ok(Self(text.to_owned()))
    }

    fn accepts() -> String {
        format!("1 to {REPORTER_BYTES_MAX} letters, digits, '.', ':', '_' and '-'")
    }

    fn shown(&self) -> Option<TomlValue> {
        Some(TomlValue::String(self.0.clone()))
    }
}

service::settings! {
    /// Everything that can be set for a coordinator.
    pub struct CoordinatorConfig {
        /// Where the coordinator answers PING and CONFIG, in Redis's protocol.
        pub address: SocketAddr = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), DEFAULT_PORT),
        /// The password that an operator gives with AUTH at `address` before CONFIG SET. When not set, CONFIG SET is
        /// taken from this host only.
        pub admin_password: Option<Secret> = None,
        /// The brokers. When one does not answer, the coordinator asks the next.
        pub broker_address: Vec<BrokerAddress> = vec![BrokerAddress("127.0.0.1:7799".to_owned())],
        /// The bearer token for changes: the `write_token` of the brokers. When not set, the coordinator gives no
        /// token.
        pub broker_token: Option<Secret> = None,
        /// This coordinator's name in failure reports; each coordinator needs its own. When not set, it is the host's
        /// name and `address`.
        pub reporter_id: Option<ReporterName> = None,
        /// Worker threads of the coordinator.
        pub thread_number: Count<1, 64> = Count::of(2),
        /// The `password` of the proxies. When not set, the coordinator asks them without a password.
        pub proxy_password: Option<Secret> = None,
        /// The `control_password` of the proxies, with which they take orders. When not set, proxies take orders from
        /// their own hosts only, and the coordinator gives `proxy_password` at a separate control port.
        pub proxy_control_password: Option<Secret> = None,
        /// How far each proxy's control port (`control_address`) is above its port for clients. 0 is for proxies
        /// without a control port: orders go to the port for clients.
        pub proxy_control_port_offset: Count<0, 65_534> = Count::of(0),
        /// How often each proxy is probed. With very many proxies the interval grows, and `proxy_timeout` and `lease_ms`
        /// grow by twice as much.
        pub probe_interval_ms: Milliseconds<10, 60_000> = Milliseconds::of(50),
        /// How long a proxy may be silent before it is reported as failed.
        pub proxy_timeout: Milliseconds<50, HOUR_MS> = Milliseconds::of(300),
        /// How long a proxy may fail to reach its node before the node counts as dead.
        pub node_timeout: Milliseconds<50, HOUR_MS> = Milliseconds::of(300),
        /// How long a node may answer nobody before it counts as dead, where its proxy cannot look at its process (on
        /// another host, or in another container). A proxy gives up waiting for one answer after a second.
        pub unseen_is_dead_ms: Milliseconds<50, HOUR_MS> = Milliseconds::of(1_000),
        /// How long a node may be busy before it counts as dead although its process works, for example with a long
        /// script or FLUSHALL of much data. 0 is no limit.
        pub busy_is_dead_ms: Milliseconds<0, HOUR_MS> = Milliseconds::of(0),
        /// How long a primary that has no replica attached serves writes after its proxy last heard from a coordinator.
        /// All coordinators need the same value: they wait for it before they promote a replica.
        pub lease_ms: Milliseconds<ATTACHED_MS, HOUR_MS> = Milliseconds::of(400),
        /// How long a node may be dead behind a living proxy before it is replaced, together with its proxy.
        pub node_replace_ms: Milliseconds<1_000, HOUR_MS> = Milliseconds::of(30_000),
        /// How long nothing may happen after roles have changed before primaries are brought home.
        pub balance_quiet_ms: Milliseconds<0, HOUR_MS> = Milliseconds::of(5_000),
        /// How long a proxy may take to accept a view.
        pub push_timeout_ms: Milliseconds<100, HOUR_MS> = Milliseconds::of(3_000),
        /// Whether the coordinator compresses the views that it sends.
        pub enable_compression: bool = false,
        /// Whether this coordinator only pushes views, and takes no primary out of service.
        pub disable_failover: bool = false,
        /// The log level, or levels for some modules, as info,control=debug.
        pub log_level: LogLevel = LogLevel::info(),
        /// The form of log lines: human for people, json for programs.
        pub log_format: LogFormat = LogFormat::Human,
    }
}

impl CoordinatorConfig {
    /// The name under which this coordinator reports failures.
    #[must_use]
    pub fn reporter(&self) -> String {
        self.reporter_id
            .as_ref()
            .map_or_else(|| reporter_on(&host_name(), self.address), |name| name.0.clone())
    }

    /// How far the proxies' control ports are above their ports for clients.
    #[must_use]
    pub fn control_port_offset(&self) -> u16 {
        u16::try_from(self.proxy_control_port_offset.unsigned()).expect("within the range of the setting")
    }

    /// How long it waits for what.
    #[must_use]
    pub fn timing(&self) -> Timing {
        Timing {
            proxy_dead_ms: self.proxy_timeout.unsigned(),
            node_dead_ms: self.node_timeout.unsigned(),
            unseen_dead_ms: self.unseen_is_dead_ms.unsigned(),
            busy_dead_ms: Some(self.busy_is_dead_ms.unsigned()).filter(|limit| *limit > 0),
            lease_ms: self.lease_ms.unsigned(),
            balance_quiet_ms: self.balance_quiet_ms.unsigned(),
            node_replace_ms: self.node_replace_ms.unsigned(),
            ..Timing::default()
        }
    }
}

/// The name that a coordinator has by default: the same after a restart, and another on another host, where the address may
/// be the same.
fn reporter_on(host: &str, address: SocketAddr) -> String {
    let text = format!("{host}-{address}");
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || REPORTER_MARKS.contains(&byte);
    let bytes = text.bytes().map(|byte| if allowed(byte) { char::from(byte) } else { '-' });
    // The end tells those on one host apart, and the beginning of a long host name is what its siblings share.
    let skipped = text.len().saturating_sub(REPORTER_BYTES_MAX);
    bytes.skip(skipped).collect()
}

/// The name of this host; empty where the system does not say.
fn host_name() -> String {
    std::fs::read_to_string(HOST_NAME_FILE).map_or_else(|_| String::new(), |name| name.trim().to_owned())
}

impl Configuration for CoordinatorConfig {
    fn contradictions(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        if self.broker_address.is_empty() {
            found.push(("broker_address", "there must be at least one".to_owned()));
        }
        let (interval, silence) = (self.probe_interval_ms.get(), self.proxy_timeout.get());
        if interval * 2 > silence {
            let reason = format!("{silence}, which leaves no time for two probes ({interval} ms apart)");
            found.push(("proxy_timeout", reason));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_and_names() {
        for (text, good) in [
            ("127.0.0.1:7799", true),
            ("http://broker:7799/", true),
            ("https://broker:7799", true),
            ("broker", false),
            ("ftp://broker:7799", false),
        ] {
            assert_eq!(BrokerAddress::from_text(text).is_ok(), good, "{text}");
        }
        for (text, good) in [("a-1.b:2_c", true), ("", false), ("a/b", false), ("a b", false)] {
            assert_eq!(ReporterName::from_text(text).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn default_names_differ_between_hosts_and_between_addresses() {
        let here = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), DEFAULT_PORT);
        let there = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), DEFAULT_PORT + 1);
        let long = "coordinator-".repeat(20);
        let mut names: Vec<String> = [("a", here), ("b", here), ("a", there), ("", here), (&*long, here)]
            .into_iter()
            .chain([("a", "[::1]:6699".parse().unwrap()), ("ä b", here)])
            .map(|(host, address)| reporter_on(host, address))
            .collect();
        for name in &names {
            assert!(ReporterName::from_text(name).is_ok(), "{name}");
        }
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "{names:?}");
        let config = CoordinatorConfig::default();
        assert_eq!(config.reporter(), config.reporter());
        assert_ne!(config.reporter(), config.address.to_string());
    }

    #[test]
    fn a_silence_shorter_than_two_probes_is_refused() {
        let mut config = CoordinatorConfig::default();
        assert_eq!(config.contradictions(), []);
        config.probe_interval_ms = Milliseconds::of(200);
        assert_eq!(config.contradictions()[0].0, "proxy_timeout");
        config.broker_address.clear();
        assert_eq!(config.contradictions()[0].0, "broker_address");
    }
}
