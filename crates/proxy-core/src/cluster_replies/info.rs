//! CLUSTER INFO: Redis's fields. The bus is not there, so its counters are 0.

use model::SLOT_COUNT;

use super::topology::Topology;

/// The text; without a cluster, that of a cluster that is down. `failing`: slots whose node does not answer.
pub(super) fn text(topology: Option<&Topology>, failing: usize) -> String {
    let assigned = topology.map_or(0, Topology::slots_owned);
    let members = topology.map_or(&[][..], |topology| &topology.members);
    let with_slots =
        |topology: &Topology| topology.primaries().filter(|(_, slots, _)| !slots.is_empty()).count();
    let size = topology.map_or(0, with_slots);
    let epoch = topology.map_or(0, |topology| topology.epoch.0);
    let well = assigned.saturating_sub(failing);
    let state = if well == SLOT_COUNT { "ok" } else { "fail" };
    let known = members.len().max(1);
    format!(
        "cluster_state:{state}\r\n\
         cluster_slots_assigned:{assigned}\r\n\
         cluster_slots_ok:{well}\r\n\
         cluster_slots_pfail:0\r\n\
         cluster_slots_fail:{failing}\r\n\
         cluster_known_nodes:{known}\r\n\
         cluster_size:{size}\r\n\
         cluster_current_epoch:{epoch}\r\n\
         cluster_my_epoch:{epoch}\r\n\
         cluster_stats_messages_sent:0\r\n\
         cluster_stats_messages_received:0\r\n\
         total_cluster_links_buffer_limit_exceeded:0\r\n"
    )
}
