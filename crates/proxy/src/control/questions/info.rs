//! INFO, from a picture of the control thread and the workers' counters.

use keeper::{NodeLink, NodeRole};
use proxy_core::info::{self, InfoContext};
use proxy_core::profile::Profile;
use proxy_core::stats::{Rates, Snapshot};
use service::build_info::BUILD;

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
    asker: &Profile,
    reply: &mut Vec<u8>,
) {
    let used = ProcessUse::now();
    let view = picture.shared.view.as_deref();
    let shown = view.map(|view| view.routes.data_nodes(asker.face));
    let is_shown = |address: &model::Address| shown.as_ref().is_none_or(|nodes| nodes.contains(address));
    let statuses: Vec<_> = picture
        .nodes
        .iter()
        .filter_map(|(address, shown)| Some((&shown.info, address, shown.health.status()?)))
        .collect();
    let keyspaces = statuses.iter().filter(|(_, address, _)| is_shown(address));
    let keyspace = info::merge_keyspace(keyspaces.map(|(info, ..)| info.keyspace.as_str()));
    let links_up = statuses.iter().all(|(.., status)| match status.role {
        NodeRole::Primary => true,
        NodeRole::Replica { link, .. } => link == NodeLink::Up,
    });
    let saves = info::NodeSaves::joined(statuses.iter().map(|(info, ..)| info.saves));
    let context = InfoContext {
        settings: &picture.shared.settings,
        table: &picture.shared.table,
        cluster: view.map(|view| view.replies.at(asker.face)),
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
    info::reply(&context, sections, asker.protocol, reply);
}
