//! The settings of a running proxy, and how CONFIG GET and CONFIG SET see them.
//!
//! Reading them from a file or the environment is the shell's work; this holds what was read, typed, and
//! changes what may change while the proxy runs. A change is applied by one thread to its copy, which then
//! replaces that of every worker.

mod parameters;

use std::fmt;
use std::num::NonZeroU16;

use model::Address;

use crate::glob;

/// What all sessions may hold together where nothing else is said, bytes.
const MEMORY_BYTES_DEFAULT: u64 = 4 * 1024 * 1024 * 1024;

/// Everything that can be set for a proxy. Times and sizes have their unit in the name; 0 means "no limit"
/// where the comment says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the proxy listens.
    pub address: Address,
    /// The address by which clients, peers and metadata know this proxy.
    pub announce_address: Address,
    /// How far above its port the proxy has its replica face, as all proxies of the cluster do; `None` without one.
    pub replica_port_offset: Option<NonZeroU16>,
    /// Where the admin HTTP server listens, if anywhere.
    pub admin_address: Option<Address>,
    /// Where operators and coordinators are answered apart from clients, if anywhere.
    pub control_address: Option<Address>,
    /// The password that operators and coordinators must give; without one they must be on this machine.
    pub control_password: Option<Secret>,
    /// Threads of the data plane.
    pub workers: u16,
    /// Connections from one worker to one node, for each database in use.
    pub backend_conn_num: u16,
    /// How long a command may wait for a node's reply.
    pub backend_timeout_ms: u64,
    /// A session idle for longer is closed; 0 is never. CONFIG calls it `timeout`, in seconds.
    pub session_timeout_ms: u64,
    /// The password that clients must give; none lets everybody in. CONFIG calls it `requirepass`.
    pub password: Option<Secret>,
    /// Sessions at one time.
    pub maxclients: u32,
    /// Databases that SELECT accepts: as many as the nodes have.
    pub databases: u32,
    /// The largest argument of a request.
    pub bulk_bytes_max: u32,
    /// The memory that all sessions together may hold: requests that are not answered, replies that are not read.
    /// Bytes.
    pub memory_max_bytes: u64,
    /// Entries that the slow log keeps. CONFIG calls it `slowlog-max-len`.
    pub slowlog_len: u64,
    /// A command that took longer is put in the slow log; 0 is every command, below 0 none. Microseconds.
    pub slowlog_log_slower_than_us: i64,
    /// One request of so many is timed.
    pub slowlog_sample_rate: u32,
    /// Scripts may use no keys but those that they declare. CONFIG calls it `script-keys`.
    pub strict_scripts: bool,
    /// Forward to the owner of a slot instead of answering MOVED.
    pub active_redirection: bool,
    /// How many proxies may forward one command.
    pub max_redirections: u8,
    /// MOVED to this address where the proxy has no cluster.
    pub default_redirection_address: Option<Address>,
    /// The form of addresses in CLUSTER NODES.
    pub cluster_nodes_version: NodesVersion,
    /// What is logged.
    pub log_level: LogLevel,
}

/// The address form of CLUSTER NODES.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodesVersion {
    /// `ip:port`, as before Redis 4.
    V1,
    /// `ip:port@cport`.
    V2,
}

/// The least severe message that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Failures only.
    Error,
    /// Also what needs attention. CONFIG calls it `warning`.
    Warn,
    /// Also what happens rarely. CONFIG calls it `notice`.
    Info,
    /// Also what helps to find a fault. CONFIG calls it `verbose`.
    Debug,
    /// Everything. CONFIG calls it `debug`.
    Trace,
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Wraps `text`; none if it is empty, which is how a password is removed.
    pub fn new(text: &[u8]) -> Option<Secret> {
        (!text.is_empty()).then(|| Secret(text.into()))
    }

    /// The text itself.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }

    /// Whether `given` is the secret, in a time that depends on the lengths only.
    pub fn is(&self, given: &[u8]) -> bool {
        subtle::ConstantTimeEq::ct_eq(&*self.0, given).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// A setting as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its name in CONFIG.
    pub name: &'static str,
    /// Its value; `***` for a secret that is set.
    pub value: String,
    /// Whether CONFIG SET takes it.
    pub is_changeable: bool,
}

/// What a successful CONFIG SET touched; whoever owns the thing acts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// `requirepass`: holds for the next AUTH; who is authenticated stays so.
    Password,
    /// `maxclients`.
    MaxClients,
    /// `timeout`.
    SessionTimeout,
    /// `backend-timeout`.
    BackendTimeout,
    /// `proto-max-bulk-len` or `memory-max`.
    Limits,
    /// Length, threshold or sampling of the slow log.
    SlowLog,
    /// What is answered for a slot of another proxy.
    Redirection,
    /// The form of CLUSTER NODES: cluster replies have to be encoded again.
    ClusterNodesVersion,
    /// `loglevel`.
    LogLevel,
}

/// Why CONFIG SET changed nothing. `Display` is Redis's error text, with its code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// No setting has that name.
    #[error("ERR Unknown option or number of arguments for CONFIG SET - '{0}'")]
    Unknown(String),
    /// The setting cannot take that value, or cannot change at run time.
    #[error("ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")]
    Refused {
        /// The setting.
        name: String,
        /// What is wrong, and what is accepted.
        reason: String,
    },
}

impl Settings {
    /// The defaults, for a proxy that listens on and is known by `address`.
    pub fn new(address: Address) -> Settings {
        Settings {
            announce_address: address.clone(),
            replica_port_offset: None,
            address,
            admin_address: None,
            control_address: None,
            control_password: None,
            workers: 2,
            backend_conn_num: 1,
            backend_timeout_ms: 3000,
            session_timeout_ms: 0,
            password: None,
            maxclients: 10_000,
            databases: 16,
            bulk_bytes_max: 512 * 1024 * 1024,
            memory_max_bytes: MEMORY_BYTES_DEFAULT,
            slowlog_len: 1024,
            slowlog_log_slower_than_us: 20_000,
            slowlog_sample_rate: 1,
            strict_scripts: false,
            active_redirection: false,
            max_redirections: 4,
            default_redirection_address: None,
            cluster_nodes_version: NodesVersion::V2,
            log_level: LogLevel::Info,
        }
    }

    /// The settings whose names match `pattern` (a glob, in any case), as CONFIG GET shows them.
    pub fn get(&self, pattern: &[u8]) -> Vec<(String, String)> {
        self.get_any(&[pattern])
    }

    /// Like [`Settings::get`] for several patterns; a setting that several match is listed once. As in Redis, one
    /// that was asked for without wildcards is named as the asker wrote it.
    pub fn get_any(&self, patterns: &[&[u8]]) -> Vec<(String, String)> {
        let shown_name = |name: &str| {
            let matching = |pattern: &&&[u8]| glob::matches_ignoring_case(pattern, name.as_bytes());
            let pattern = patterns.iter().find(matching)?;
            let exact = pattern.eq_ignore_ascii_case(name.as_bytes());
            let shown = if exact { pattern } else { name.as_bytes() };
            Some(String::from_utf8_lossy(shown).into_owned())
        };
        let shown = |row: &parameters::Parameter| Some((shown_name(row.name)?, (row.read)(self)));
        parameters::ALL.iter().filter_map(shown).collect()
    }

    /// Every setting, its value as CONFIG GET shows it but for secrets.
    pub fn shown(&self) -> impl Iterator<Item = Shown> {
        parameters::ALL.iter().map(|row| {
            let value = (row.read)(self);
            let hides = row.is_secret && !value.is_empty();
            let value = if hides { "***".to_owned() } else { value };
            Shown { name: row.name, value, is_changeable: row.write.is_some() }
        })
    }

    /// Changes one setting.
    ///
    /// # Errors
    /// If there is no such setting, it cannot change at run time, or the value is not accepted.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<Change, SettingsError> {
        let changes = self.set_all(&[(name, value)])?;
        Ok(changes[0])
    }

    /// Changes several settings, or none if one of them is refused. One change for each pair.
    ///
    /// # Errors
    /// As [`Settings::set`]; also if a setting is named twice.
    pub fn set_all(&mut self, pairs: &[(&[u8], &[u8])]) -> Result<Vec<Change>, SettingsError> {
        let mut changed = self.clone();
        let mut touched = Vec::with_capacity(pairs.len());
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        for (name, _) in pairs {
            let parameter = parameters::find(name).ok_or_else(|| SettingsError::Unknown(text(name)))?;
            let refused =
                |reason: &str| SettingsError::Refused { name: text(name), reason: reason.to_owned() };
            let write = parameter.write.ok_or_else(|| refused("can't set immutable config"))?;
            if touched.iter().any(|(seen, _)| *seen == parameter.name) {
                return Err(refused("duplicate parameter"));
            }
            touched.push((parameter.name, write));
        }
        let mut changes = Vec::with_capacity(pairs.len());
        for ((_, write), (name, value)) in touched.iter().zip(pairs) {
            let change = write(&mut changed, value)
                .map_err(|reason| SettingsError::Refused { name: text(name), reason })?;
            changes.push(change);
        }
        *self = changed;
        Ok(changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new("127.0.0.1:5299".parse().unwrap())
    }

    #[test]
    fn shown_as_redis_shows_them() {
        for (pattern, expected) in [
            ("maxclients", "maxclients=10000"),
            ("MAXC*", "maxclients=10000"),
            ("save", "save="),
            ("appendonly", "appendonly=no"),
            ("timeout", "timeout=0"),
            ("loglevel", "loglevel=notice"),
            ("slowlog-*", "slowlog-max-len=1024 slowlog-log-slower-than=20000 slowlog-sample-rate=1"),
            ("nothing", ""),
        ] {
            let pairs = settings().get(pattern.as_bytes());
            let shown: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!(shown.join(" "), expected, "{pattern}");
        }
        for (patterns, shown) in [([b"p?rt".as_slice(), b"PORT"], "port"), ([b"PORT", b"port"], "PORT")] {
            assert_eq!(settings().get_any(&patterns), [(shown.to_owned(), "5299".to_owned())]);
        }
    }

    #[test]
    fn every_accepted_value_is_shown_again() {
        for (name, value, shown) in [
            ("maxclients", "3", "3"),
            ("TIMEOUT", "60", "60"),
            ("requirepass", "secret", "secret"),
            ("requirepass", "", ""),
            ("proto-max-bulk-len", "2mb", "2097152"),
            ("memory-max", "1g", "1000000000"),
            ("slowlog-log-slower-than", "-1", "-1"),
            ("active-redirection", "YES", "yes"),
            ("default-redirection-address", "10.0.0.1:5299", "10.0.0.1:5299"),
            ("default-redirection-address", "", ""),
            ("cluster-nodes-version", "v1", "v1"),
            ("loglevel", "verbose", "verbose"),
        ] {
            let mut settings = settings();
            settings.set(name.as_bytes(), value.as_bytes()).unwrap();
            assert_eq!(settings.get(name.as_bytes())[0].1, shown, "{name}");
        }
    }

    #[test]
    fn refused_values_say_what_is_accepted() {
        for (pairs, expected) in [
            (&["foo", "1"][..], "ERR Unknown option or number of arguments for CONFIG SET - 'foo'"),
            (
                &["timeout", "5", "foo", "1"],
                "ERR Unknown option or number of arguments for CONFIG SET - 'foo'",
            ),
            (&["databases", "3"], "databases') - can't set immutable config"),
            (&["maxclients", "x"], "maxclients') - argument couldn't be parsed into an integer"),
            (&["maxclients", "+1"], "maxclients') - argument couldn't be parsed into an integer"),
            (&["maxclients", "0"], "maxclients') - argument must be between 1 and 4294967295 inclusive"),
            (&["maxclients", "10", "MAXCLIENTS", "12"], "MAXCLIENTS') - duplicate parameter"),
            (&["timeout", "-1"], "timeout') - argument must be between 0 and 2147483647 inclusive"),
            (&["active-redirection", "maybe"], "active-redirection') - argument must be 'yes' or 'no'"),
            (&["proto-max-bulk-len", "1xb"], "proto-max-bulk-len') - argument must be a memory value"),
            (&["proto-max-bulk-len", "9g"], "proto-max-bulk-len') - argument must be between"),
            (&["cluster-nodes-version", "v3"], "argument(s) must be one of the following: v1, v2"),
            (&["default-redirection-address", "x"], "argument must be host:port, or empty for none"),
        ] {
            let mut changed = settings();
            let pairs: Vec<(&[u8], &[u8])> =
                pairs.chunks(2).map(|pair| (pair[0].as_bytes(), pair[1].as_bytes())).collect();
            let error = changed.set_all(&pairs).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert_eq!(changed, settings(), "nothing may change");
        }
    }

    #[test]
    fn operators_see_no_secret() {
        let mut settings = settings();
        let of = |settings: &Settings, name: &str| {
            let shown = settings.shown().find(|shown| shown.name == name).unwrap();
            (shown.value, shown.is_changeable)
        };
        assert_eq!(of(&settings, "requirepass"), (String::new(), true));
        settings.set(b"requirepass", b"hunter2").unwrap();
        assert_eq!(of(&settings, "requirepass"), ("***".to_owned(), true));
        assert_eq!(of(&settings, "databases"), ("16".to_owned(), false));
    }

    #[test]
    fn the_password_is_not_printed() {
        let mut settings = settings();
        settings.set(b"requirepass", b"hunter2").unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
        let secret = settings.password.unwrap();
        assert!(secret.is(b"hunter2") && !secret.is(b"hunter") && !secret.is(b"Hunter2"));
    }
}
