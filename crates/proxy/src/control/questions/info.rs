//! INFO, from a picture of the control thread and the workers' counters.

use proxy_core::info::{self, InfoContext};
use proxy_core::stats::{Rates, Snapshot};
use resp::Protocol;
use service::build_info::BUILD;

use super::super::node_status::{NodeLink, NodeRole};
use super::super::picture::Picture;
use super::super::process::{self, ProcessFacts, ProcessUse};

/// What INFO is made from besides the picture.
#[derive(Debug)]
pub(super) struct InfoSources<'a> {
    pub(super) process: &'a ProcessFacts,
    /// Since the last CONFIG RESETSTAT.
    pub(super) snapshot: &'a Snapshot,
    pub(super) rates: Rates,
    /// Clients that wait in WAIT.
    pub(super) waits: usize,
}

/// Appends the reply.
pub(super) fn reply(
    picture: &Picture,
    sources: &InfoSources<'_>,
    sections: &[String],
    protocol: Protocol,
    reply: &mut Vec<u8>,
) {
    let used = ProcessUse::now();
    let is_primary =
        |address: &model::Address| picture.primaries.is_empty() || picture.primaries.contains(address);
    let statuses: Vec<_> =
        picture.nodes.iter().filter_map(|(address, health)| Some((address, health.status()?))).collect();
    let keyspaces = statuses.iter().filter(|(address, _)| is_primary(address));
    let keyspace = info::merge_keyspace(keyspaces.map(|(_, status)| status.keyspace.as_str()));
    let links_up = statuses.iter().all(|(_, status)| match status.role {
        NodeRole::Primary => true,
        NodeRole::Replica { link, .. } => link == NodeLink::Up,
    });
    let saves = info::NodeSaves::joined(statuses.iter().map(|(_, status)| status.saves));
    let context = InfoContext {
        settings: &picture.shared.settings,
        table: &picture.shared.table,
        cluster: picture.shared.view.as_deref().map(|view| &*view.replies),
        snapshot: sources.snapshot,
        rates: sources.rates,
        process: info::Process {
            version: BUILD.version,
            os: &sources.process.os,
            id: std::process::id(),
            run_id: &sources.process.run_id,
            started_ms: sources.process.started_ms,
            rss_bytes: used.rss_bytes,
            rss_peak_bytes: used.rss_peak_bytes,
            system_cpu_us: used.system_cpu_us,
            user_cpu_us: used.user_cpu_us,
            blocked_clients: sources.waits as u64 + sources.snapshot.totals.sessions_held,
        },
        nodes: info::Nodes { version: &picture.shared.server_version, keyspace: &keyspace, links_up, saves },
        now_us: process::unix_us(),
    };
    info::reply(&context, sections, protocol, reply);
}
