//! From the configuration that was read to what the workers and the control thread go by.

use std::net::SocketAddr;

use model::Address;
use proxy_core::engine::Policy;
use proxy_core::settings::{LogLevel, NodesVersion, Password, Settings};

use super::machine_memory;
use crate::config::{self, Batching, ProxyConfig};

/// Connections for large requests that a worker has at most, however many files may be open.
const UPLOADS_OF_WORKER_MAX: u64 = 1024;

/// Where the proxy listens, its ports chosen.
#[derive(Debug)]
pub(super) struct Bound {
    /// For clients.
    pub(super) clients: SocketAddr,
    /// For HTTP.
    pub(super) admin: Option<SocketAddr>,
    /// For operators.
    pub(super) control: Option<SocketAddr>,
}

/// The settings of a proxy that listens there.
pub(super) fn settings(config: &ProxyConfig, bound: &Bound) -> Settings {
    let own = address_of(bound.clients);
    let announced =
        config.announce_address.as_ref().map_or_else(|| own.clone(), |announced| announced.0.clone());
    Settings {
        address: own,
        announce_address: announced,
        admin_address: bound.admin.map(address_of),
        control_address: bound.control.map(address_of),
        control_password: config.control_password.as_ref().and_then(password),
        replica_port_offset: config.replica_offset(),
        workers: narrow(config.thread_number.unsigned()),
        backend_conn_num: narrow(config.backend_conn_num.unsigned()),
        backend_timeout_ms: config.backend_timeout.unsigned(),
        session_timeout_ms: config.session_timeout.unsigned(),
        password: config.password.as_ref().and_then(password),
        maxclients: narrow(config.maxclients.unsigned()),
        databases: narrow(config.databases.unsigned()),
        bulk_bytes_max: narrow(config.bulk_bytes_max.unsigned()),
        memory_max_bytes: config
            .memory_max
            .as_ref()
            .map_or_else(machine_memory::default_max_bytes, |max| max.unsigned()),
        slowlog_len: config.slowlog_len.unsigned(),
        slowlog_log_slower_than_us: config.slowlog_log_slower_than.get(),
        slowlog_sample_rate: narrow(config.slowlog_sample_rate.unsigned()),
        strict_scripts: config.script_keys == config::ScriptKeys::Strict,
        active_redirection: config.active_redirection,
        max_redirections: narrow(config.max_redirections.unsigned()),
        default_redirection_address: config.default_redirection_address.as_ref().map(|to| to.0.clone()),
        cluster_nodes_version: match config.cluster_nodes_version {
            config::NodesVersion::V1 => NodesVersion::V1,
            config::NodesVersion::V2 => NodesVersion::V2,
        },
        log_level: log_level(&config.log_level.to_string()),
    }
}

/// The engine's batching rules, and how many connections for large requests each worker may have where all may have
/// `uploads_max`; other limits come from the settings.
pub(super) fn policy(config: &ProxyConfig, uploads_max: u64) -> Policy {
    let share = uploads_max / config.thread_number.unsigned().max(1);
    let policy = Policy { uploads_max: narrow(share.clamp(1, UPLOADS_OF_WORKER_MAX)), ..Policy::default() };
    match config.batching {
        Batching::On => policy,
        Batching::Off => policy.unbatched(),
    }
}

/// What the nodes ask of those who connect.
pub(super) fn backend_password(config: &ProxyConfig) -> Option<Password> {
    config.backend_password.as_ref().and_then(password)
}

fn password(secret: &service::config::Secret) -> Option<Password> {
    Password::new(secret.expose().as_bytes())
}

fn address_of(address: SocketAddr) -> Address {
    Address::new(&address.ip().to_string(), address.port())
        .expect("a bound socket has a port and an IP address")
}

/// For numbers whose range, stated by their type in the configuration, fits.
fn narrow<T: TryFrom<u64>>(number: u64) -> T {
    T::try_from(number).unwrap_or_else(|_| panic!("{number} is within the range of its setting"))
}

/// The level of everything that has none of its own, as CONFIG GET shows it.
fn log_level(directives: &str) -> LogLevel {
    let general = directives.split(',').map(str::trim).rfind(|directive| !directive.contains('='));
    match general.map(str::to_ascii_lowercase).as_deref() {
        Some("trace") => LogLevel::Trace,
        Some("debug") => LogLevel::Debug,
        Some("info") => LogLevel::Info,
        Some("warn") => LogLevel::Warn,
        _ => LogLevel::Error,
    }
}

#[cfg(test)]
mod tests {
    use service::config::Count;

    use super::*;

    fn bound() -> Bound {
        Bound { clients: "127.0.0.1:7001".parse().unwrap(), admin: None, control: None }
    }

    #[test]
    fn the_announced_address_is_that_of_the_socket_unless_set() {
        let mut config = ProxyConfig::default();
        assert_eq!(settings(&config, &bound()).announce_address.to_string(), "127.0.0.1:7001");
        config.announce_address = Some(config::HostPort("proxy-0.local:5299".parse().unwrap()));
        let settings = settings(&config, &bound());
        assert_eq!(settings.announce_address.to_string(), "proxy-0.local:5299");
        assert_eq!(settings.address.to_string(), "127.0.0.1:7001");
    }

    #[test]
    fn batching_can_be_switched_off() {
        assert!(policy(&ProxyConfig::default(), 64).nap_us_max > 0);
        let off = ProxyConfig { batching: Batching::Off, ..ProxyConfig::default() };
        assert_eq!(policy(&off, 64).nap_us_max, 0);
    }

    #[test]
    fn workers_share_the_connections_for_large_requests() {
        for (threads, all, each) in [(2, 256, 128), (4, 2, 1), (1, 1 << 40, 1024)] {
            let config = ProxyConfig { thread_number: Count::of(threads), ..ProxyConfig::default() };
            assert_eq!(policy(&config, all).uploads_max, each, "{threads} workers, {all} connections");
        }
    }

    #[test]
    fn the_general_level_is_the_one_without_a_module() {
        for (directives, expected) in [
            ("info", LogLevel::Info),
            ("proxy=trace,warn", LogLevel::Warn),
            ("DEBUG,proxy=warn", LogLevel::Debug),
            ("proxy=trace", LogLevel::Error),
            ("off", LogLevel::Error),
        ] {
            assert_eq!(log_level(directives), expected, "{directives}");
        }
    }
}
