//! INFO, from a picture of the control thread and the workers' counters.

use std::collections::BTreeMap;
use std::sync::Arc;

use keeper::{NodeLink, NodeRole};
use model::Address;
use proxy_core::face::Face;
use proxy_core::info::{self, InfoContext};
use proxy_core::profile::Profile;
use proxy_core::stats::{Rates, Snapshot};
use service::build_info::BUILD;

use super::super::node_status::NodeSeen;
use super::super::picture::Picture;
use super::super::process::{self, ProcessFacts, ProcessUse};

/// What INFO is made from besides the picture.
#[derive(Debug)]
pub(super) struct InfoSources {
    pub(super) process: Arc<ProcessFacts>,
    /// Since the last CONFIG RESETSTAT.
    pub(super) snapshot: Snapshot,
    pub(super) rates: Rates,
    /// Clients that wait in WAIT.
    pub(super) waits: usize,
    /// What nodes say of their keys now.
    pub(super) keyspaces: BTreeMap<Address, String>,
}

/// The nodes that have the keys of a face, as far as they are known to answer.
fn shown(picture: &Picture, face: Face) -> impl Iterator<Item = (&Address, &NodeSeen)> {
    let nodes = picture.shared.view.as_deref().map(|view| view.routes.data_nodes(face));
    let is_shown = move |address: &Address| nodes.as_ref().is_none_or(|nodes| nodes.contains(address));
    let answering = picture.nodes.iter().filter(|(_, seen)| seen.health.status().is_some());
    answering.map(|(address, seen)| (address, seen)).filter(move |(address, _)| is_shown(address))
}

/// The nodes to ask for their keys.
pub(super) fn nodes_with_keys(picture: &Picture, face: Face) -> Vec<Address> {
    shown(picture, face).map(|(address, _)| address.clone()).collect()
}

/// Appends the reply.
pub(super) fn reply(
    picture: &Picture,
    sources: &InfoSources,
    sections: &[String],
    asker: &Profile,
    reply: &mut Vec<u8>,
) {
    let used = ProcessUse::now();
    let view = picture.shared.view.as_deref();
    let statuses = || picture.nodes.iter().filter_map(|(_, seen)| Some((seen, seen.health.status()?)));
    let keyspaces = shown(picture, asker.face)
        .map(|(address, seen)| sources.keyspaces.get(address).unwrap_or(&seen.info.keyspace).as_str());
    let keyspace = info::merge_keyspace(keyspaces);
    let links_up = statuses().all(|(_, status)| match status.role {
        NodeRole::Primary => true,
        NodeRole::Replica { link, .. } => link == NodeLink::Up,
    });
    let offsets = shown(picture, asker.face).filter_map(|(_, seen)| Some(seen.health.status()?.offset));
    let offset = offsets.min().unwrap_or(0);
    let saves = info::NodeSaves::joined(statuses().map(|(seen, _)| seen.info.saves));
    let context = InfoContext {
        settings: &picture.shared.settings,
        table: &picture.shared.table,
        cluster: view.map(|view| view.replies.at(asker.face)),
        snapshot: &sources.snapshot,
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
        nodes: info::Nodes {
            version: &picture.shared.server_version,
            keyspace: &keyspace,
            links_up,
            offset,
            saves,
        },
        now_us: process::unix_us(),
    };
    info::reply(&context, sections, asker.protocol, reply);
}
