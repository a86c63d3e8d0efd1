//! CLUSTER NODES: a line for each proxy.
//!
//! ```text
//! <id> <address> <flags> <primary's id or -> <ping> <pong> <epoch> <link> <slots>
//! ```

use super::topology::Topology;
use crate::settings::NodesVersion;

/// The port of the cluster bus in addresses of the second form. There is no bus; clients only want a number.
const BUS_PORT: u16 = 5299;

/// All lines, each with its line end.
pub(super) fn text(topology: &Topology, version: NodesVersion) -> String {
    let mut text = String::new();
    for (place, member) in topology.members.iter().enumerate() {
        text += &match topology.primary_of(place) {
            Some(primary) => replica_line(topology, place, primary, version),
            None => line(topology, place, "master", "-", version),
        };
        for range in &member.owned {
            text.push(' ');
            text += &range.to_string();
        }
        text.push('\n');
    }
    text
}

/// The line of a member as the replica of another, without a line end.
pub(super) fn replica_line(
    topology: &Topology,
    replica: usize,
    primary: usize,
    version: NodesVersion,
) -> String {
    line(topology, replica, "slave", topology.members[primary].id.as_str(), version)
}

fn line(topology: &Topology, place: usize, role: &str, primary: &str, version: NodesVersion) -> String {
    let member = &topology.members[place];
    let (id, host, port) = (member.id, member.address.host(), member.address.port());
    let bus = match version {
        NodesVersion::V1 => String::new(),
        NodesVersion::V2 => format!("@{BUS_PORT}"),
    };
    let myself = if place == 0 { "myself," } else { "" };
    let epoch = topology.epoch;
    // No address is known to ping or to have answered: 0, as Redis prints of itself.
    format!("{id} {host}:{port}{bus} {myself}{role} {primary} 0 0 {epoch} connected")
}
