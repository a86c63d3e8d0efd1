//! What INFO is made from: everything is passed in, nothing is looked up.

use super::saves::NodeSaves;
use crate::cluster_replies::FaceReplies;
use crate::command::CommandTable;
use crate::settings::Settings;
use crate::stats::{Rates, Snapshot};

/// What INFO is made from.
#[derive(Clone, Copy)]
pub struct InfoContext<'a> {
    /// The proxy's settings.
    pub settings: &'a Settings,
    /// For the names of commands.
    pub table: &'a CommandTable,
    /// The cluster as the face of the session sees it.
    pub cluster: Option<&'a FaceReplies>,
    /// What all workers counted, since the last CONFIG RESETSTAT.
    pub snapshot: &'a Snapshot,
    /// Averages over the last second or so.
    pub rates: Rates,
    /// The process.
    pub process: Process<'a>,
    /// The nodes behind the proxy.
    pub nodes: Nodes<'a>,
    /// Unix time in µs.
    pub now_us: u64,
}

/// What is known of the proxy's process.
#[derive(Debug, Clone, Copy)]
pub struct Process<'a> {
    /// The version of Undermoon.
    pub version: &'a str,
    /// System, release and machine, as `uname` says them.
    pub os: &'a str,
    /// Its number.
    pub id: u32,
    /// 40 hex digits, drawn at the start.
    pub run_id: &'a str,
    /// Unix time of the start.
    pub started_ms: u64,
    /// Memory that it occupies.
    pub rss_bytes: u64,
    /// The most that it ever occupied.
    pub rss_peak_bytes: u64,
    /// Processor time in the kernel.
    pub system_cpu_us: u64,
    /// Processor time outside of it.
    pub user_cpu_us: u64,
    /// Sessions that wait in a blocking command.
    pub blocked_clients: u64,
}

/// What is known of the nodes behind the proxy.
#[derive(Debug, Clone, Copy)]
pub struct Nodes<'a> {
    /// Their version.
    pub version: &'a str,
    /// The lines of the section `Keyspace`, see [`super::merge_keyspace`].
    pub keyspace: &'a str,
    /// Whether the replicas among them are connected to their primaries.
    pub links_up: bool,
    /// How far those that have the keys of the face have come in their replication streams; of several the least.
    /// Clients read nothing from a replica that has 0: it has no data yet.
    pub offset: u64,
    /// What they save, and the scripts that they keep.
    pub saves: NodeSaves,
}
