//! The settings themselves, typed, with their defaults. How their names and texts look is not known here.

use std::num::NonZeroU16;

use model::Address;

use super::password::Password;

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
    pub control_password: Option<Password>,
    /// Threads of the data plane.
    pub workers: u16,
    /// Connections from one worker to one node, for each database in use.
    pub backend_conn_num: u16,
    /// How long a command may wait for a node's reply.
    pub backend_timeout_ms: u64,
    /// A session idle for longer is closed; 0 is never. CONFIG calls it `timeout`, in seconds.
    pub session_timeout_ms: u64,
    /// The password that clients must give; `None` lets everybody in. CONFIG calls it `requirepass`.
    pub password: Option<Password>,
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
    /// One in this many slow requests is put in the slow log.
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
}
