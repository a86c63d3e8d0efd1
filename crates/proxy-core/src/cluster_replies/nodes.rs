//! CLUSTER NODES: a line for each node.
//!
//! ```text
//! <id> <address> <flags> <primary's id or -> <ping> <pong> <epoch> <link> <slots>
//! ```

use super::topology::{Standing, Topology};
use crate::settings::NodesVersion;

/// The port of the cluster bus in addresses of the second form. There is no bus; clients only want a number.
const BUS_PORT: u16 = 5299;

/// All lines, each with its line end.
pub(super) fn text(topology: &Topology, version: NodesVersion) -> String {
    let mut text = String::new();
    for place in 0..topology.members.len() {
        text += &line(topology, place, version);
        text.push('\n');
    }
    text
}

/// The line of a node, without a line end.
pub(super) fn line(topology: &Topology, place: usize, version: NodesVersion) -> String {
    let member = &topology.members[place];
    let (id, host, port) = (member.id, member.address.host(), member.address.port());
    let bus = match version {
        NodesVersion::V1 => String::new(),
        NodesVersion::V2 => format!("@{BUS_PORT}"),
    };
    let myself = if topology.is_me(place) { "myself," } else { "" };
    let (role, primary) = match member.standing {
        Standing::Primary { .. } => ("master", "-"),
        Standing::Replica { primary } => ("slave", topology.members[primary].id.as_str()),
    };
    let epoch = topology.epoch;
    // No address is known to ping or to have answered: 0, as Redis prints of itself.
    let mut line = format!("{id} {host}:{port}{bus} {myself}{role} {primary} 0 0 {epoch} connected");
    if let Standing::Primary { slots, .. } = &member.standing {
        for range in slots {
            line.push(' ');
            line += &range.to_string();
        }
    }
    line
}
