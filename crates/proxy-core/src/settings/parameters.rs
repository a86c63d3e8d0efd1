//! The table of CONFIG's parameters: name, how it is shown, and how it is set where it may be.
//!
//! Names are Redis's where Redis has the setting. Some rows are only there because clients and tools ask for
//! them (`save`, `appendonly`, `maxmemory`): they say what is true of the proxy itself, which stores nothing.

use std::num::NonZeroU16;

use super::change::Change;
use super::fields::{LogLevel, NodesVersion, Settings};
use super::password::Password;

/// One row.
pub(super) struct Parameter {
    /// In lower case, words joined by `-`.
    pub(super) name: &'static str,
    /// The value as CONFIG GET shows it.
    pub(super) read: fn(&Settings) -> String,
    /// Sets the value, or says why not; `None` if it cannot change at run time.
    pub(super) write: Option<Write>,
    /// Whether only those who are to know the value may see it.
    pub(super) is_secret: bool,
}

/// Sets a value, or says what would be accepted.
type Write = fn(&mut Settings, &[u8]) -> Result<Change, String>;

/// Redis's own upper bound of `timeout`, in seconds.
const TIMEOUT_S_MAX: u64 = 2_147_483_647;
/// Redis's own lower bound of `proto-max-bulk-len`.
const BULK_BYTES_MIN: u64 = 1024 * 1024;
/// The most proxies that may forward one request, as in the configuration.
const REDIRECTIONS_MAX: u8 = 64;
/// A larger argument would not fit the parser's 32-bit offsets.
const BULK_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Below this a few replies of ordinary size would close sessions.
const MEMORY_BYTES_MIN: u64 = 16 * 1024 * 1024;
/// More entries than anybody reads; each costs up to 4 KiB.
const SLOWLOG_LEN_MAX: u64 = 1_000_000;
/// An hour: longer is a mistake in the unit.
const BACKEND_TIMEOUT_MS_MAX: u64 = 3_600_000;

/// The parameter of that name, in any case.
pub(super) fn find(name: &[u8]) -> Option<&'static Parameter> {
    ALL.iter().find(|parameter| parameter.name.as_bytes().eq_ignore_ascii_case(name))
}

const fn fixed(name: &'static str, read: fn(&Settings) -> String) -> Parameter {
    Parameter { name, read, write: None, is_secret: false }
}

const fn variable(name: &'static str, read: fn(&Settings) -> String, write: Write) -> Parameter {
    Parameter { name, read, write: Some(write), is_secret: false }
}

const fn secret(name: &'static str, read: fn(&Settings) -> String, write: Write) -> Parameter {
    Parameter { name, read, write: Some(write), is_secret: true }
}

/// Every parameter, in the order in which CONFIG GET lists them.
pub(super) static ALL: &[Parameter] = &[
    fixed("address", |s| s.address.to_string()),
    fixed("announce-address", |s| s.announce_address.to_string()),
    fixed("replica-port-offset", |s| s.replica_port_offset.map_or(0, NonZeroU16::get).to_string()),
    fixed("admin-address", |s| s.admin_address.as_ref().map(ToString::to_string).unwrap_or_default()),
    fixed("control-address", |s| s.control_address.as_ref().map(ToString::to_string).unwrap_or_default()),
    fixed("bind", |s| s.address.host().to_owned()),
    fixed("port", |s| s.address.port().to_string()),
    fixed("workers", |s| s.workers.to_string()),
    fixed("io-threads", |s| s.workers.to_string()),
    fixed("backend-conn-num", |s| s.backend_conn_num.to_string()),
    variable(
        "backend-timeout",
        |s| s.backend_timeout_ms.to_string(),
        |s, value| {
            s.backend_timeout_ms = integer(value, 1, BACKEND_TIMEOUT_MS_MAX)?;
            Ok(Change::BackendTimeout)
        },
    ),
    variable(
        "timeout",
        |s| s.session_timeout_ms.div_ceil(1000).to_string(),
        |s, value| {
            s.session_timeout_ms = integer(value, 0, TIMEOUT_S_MAX)? * 1000;
            Ok(Change::SessionTimeout)
        },
    ),
    secret("requirepass", show_password, |s, value| {
        s.password = Password::new(value);
        Ok(Change::Password)
    }),
    variable(
        "maxclients",
        |s| s.maxclients.to_string(),
        |s, value| {
            s.maxclients = narrow(integer(value, 1, u64::from(u32::MAX))?);
            Ok(Change::MaxClients)
        },
    ),
    fixed("databases", |s| s.databases.to_string()),
    variable(
        "proto-max-bulk-len",
        |s| s.bulk_bytes_max.to_string(),
        |s, value| {
            s.bulk_bytes_max = narrow(memory(value, BULK_BYTES_MIN, BULK_BYTES_MAX)?);
            Ok(Change::Limits)
        },
    ),
    variable(
        "memory-max",
        |s| s.memory_max_bytes.to_string(),
        |s, value| {
            s.memory_max_bytes = memory(value, MEMORY_BYTES_MIN, u64::MAX)?;
            Ok(Change::Limits)
        },
    ),
    variable(
        "slowlog-max-len",
        |s| s.slowlog_len.to_string(),
        |s, value| {
            s.slowlog_len = integer(value, 0, SLOWLOG_LEN_MAX)?;
            Ok(Change::SlowLog)
        },
    ),
    variable(
        "slowlog-log-slower-than",
        |s| s.slowlog_log_slower_than_us.to_string(),
        |s, value| {
            s.slowlog_log_slower_than_us = signed(value, -1, i64::MAX)?;
            Ok(Change::SlowLog)
        },
    ),
    variable(
        "slowlog-sample-rate",
        |s| s.slowlog_sample_rate.to_string(),
        |s, value| {
            s.slowlog_sample_rate = narrow(integer(value, 1, u64::from(u32::MAX))?);
            Ok(Change::SlowLog)
        },
    ),
    fixed("script-keys", |s| if s.strict_scripts { "strict" } else { "trusted" }.to_owned()),
    variable(
        "active-redirection",
        |s| yes_no(s.active_redirection).to_owned(),
        |s, value| {
            s.active_redirection = one_of(value, &[("yes", true), ("no", false)])
                .map_err(|_| "argument must be 'yes' or 'no'".to_owned())?;
            Ok(Change::Redirection)
        },
    ),
    variable(
        "max-redirections",
        |s| s.max_redirections.to_string(),
        |s, value| {
            let redirections = integer(value, 1, u64::from(REDIRECTIONS_MAX))?;
            s.max_redirections = u8::try_from(redirections).expect("it is within its bounds");
            Ok(Change::Redirection)
        },
    ),
    variable("default-redirection-address", show_redirection_address, write_redirection_address),
    variable("cluster-nodes-version", show_nodes_version, |s, value| {
        s.cluster_nodes_version = one_of(value, &[("v1", NodesVersion::V1), ("v2", NodesVersion::V2)])?;
        Ok(Change::ClusterNodesVersion)
    }),
    variable("loglevel", show_log_level, |s, value| {
        s.log_level = one_of(value, LOG_LEVELS)?;
        Ok(Change::LogLevel)
    }),
    fixed("cluster-enabled", |_| "yes".to_owned()),
    fixed("cluster-require-full-coverage", |_| "no".to_owned()),
    fixed("appendonly", |_| "no".to_owned()),
    fixed("save", |_| String::new()),
    fixed("maxmemory", |_| "0".to_owned()),
    fixed("maxmemory-policy", |_| "noeviction".to_owned()),
    fixed("notify-keyspace-events", |_| String::new()),
    fixed("tcp-keepalive", |_| "300".to_owned()),
];

/// Redis's names first in order of severity; ours are accepted too where they are not the same word.
const LOG_LEVELS: &[(&str, LogLevel)] = &[
    ("debug", LogLevel::Trace),
    ("verbose", LogLevel::Debug),
    ("notice", LogLevel::Info),
    ("warning", LogLevel::Warn),
    ("error", LogLevel::Error),
];

fn show_password(settings: &Settings) -> String {
    let password = settings.password.as_ref();
    password.map(|secret| String::from_utf8_lossy(secret.reveal()).into_owned()).unwrap_or_default()
}

fn show_redirection_address(settings: &Settings) -> String {
    settings.default_redirection_address.as_ref().map(ToString::to_string).unwrap_or_default()
}

fn write_redirection_address(settings: &mut Settings, value: &[u8]) -> Result<Change, String> {
    settings.default_redirection_address = if value.is_empty() {
        None
    } else {
        let parsed = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
        Some(parsed.ok_or_else(|| "argument must be host:port, or empty for none".to_owned())?)
    };
    Ok(Change::Redirection)
}

fn show_nodes_version(settings: &Settings) -> String {
    match settings.cluster_nodes_version {
        NodesVersion::V1 => "v1".to_owned(),
        NodesVersion::V2 => "v2".to_owned(),
    }
}

fn show_log_level(settings: &Settings) -> String {
    let row = LOG_LEVELS.iter().find(|(_, level)| *level == settings.log_level);
    row.map_or("", |(name, _)| name).to_owned()
}

fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

/// Only called with what was already checked against `u32::MAX`.
fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// A decimal number within bounds; both errors are Redis's texts.
fn integer(value: &[u8], least: u64, most: u64) -> Result<u64, String> {
    let number: i128 = parse(value)?;
    u64::try_from(number)
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| bounds(least, most))
}

fn signed(value: &[u8], least: i64, most: i64) -> Result<i64, String> {
    let number: i128 = parse(value)?;
    i64::try_from(number)
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| bounds(least, most))
}

/// A number of bytes, with Redis's units: `k` is 1000, `kb` is 1024, and so on.
fn memory(value: &[u8], least: u64, most: u64) -> Result<u64, String> {
    const INVALID: &str = "argument must be a memory value";
    let text = std::str::from_utf8(value).map_err(|_| INVALID.to_owned())?;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return Err(INVALID.to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| INVALID.to_owned())?;
    let bytes = number.checked_mul(factor).ok_or_else(|| INVALID.to_owned())?;
    if (least..=most).contains(&bytes) { Ok(bytes) } else { Err(bounds(least, most)) }
}

fn parse(value: &[u8]) -> Result<i128, String> {
    // Rust would also take a leading plus sign, Redis does not.
    let text = std::str::from_utf8(value).ok().filter(|text| !text.starts_with('+'));
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| "argument couldn't be parsed into an integer".to_owned())
}

fn bounds(least: impl std::fmt::Display, most: impl std::fmt::Display) -> String {
    format!("argument must be between {least} and {most} inclusive")
}

fn one_of<T: Copy>(value: &[u8], accepted: &[(&str, T)]) -> Result<T, String> {
    let row = accepted.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(value));
    row.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = accepted.iter().map(|(name, _)| *name).collect();
        format!("argument(s) must be one of the following: {}", names.join(", "))
    })
}
