//! What the proxy was told: its view and its nodes' roles; and the order to drain.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use keeper::{NodeLink, NodeRole};
use model::{Role, SlotAssignment, SlotTag};
use serde::Serialize;
use service::shutdown::Phase;
use utoipa::ToSchema;

use super::super::super::node_status::NodeSeen;
use super::super::error::ErrorBody;
use super::super::sources::Shared;

/// What the proxy goes by.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::control::admin) struct ViewShown {
    /// The cluster; `null` without one.
    cluster: Option<String>,
    /// The epoch of the view that every worker has; 0 before the first.
    epoch: u64,
    /// Whether every slot that this proxy owns has a node that answers, and it does not drain.
    ready: bool,
    /// Why it is not ready; `null` where it is.
    reason: Option<String>,
    /// How many slots this proxy owns.
    slots_owned: usize,
    /// The nodes of this proxy.
    local: Vec<MemberShown>,
    /// The other proxies.
    peers: Vec<MemberShown>,
    /// The cluster's own settings.
    config: BTreeMap<String, String>,
}

/// A node or a proxy and what it has.
#[derive(Debug, Serialize, ToSchema)]
struct MemberShown {
    /// Where it listens.
    address: String,
    /// Its slots.
    slots: Vec<SlotsShown>,
}

/// Slots and what is done with them.
#[derive(Debug, Serialize, ToSchema)]
struct SlotsShown {
    /// Ranges, first and last slot of each.
    ranges: Vec<[usize; 2]>,
    /// `owned`, `replica`, `migrating` or `importing`.
    state: &'static str,
}

/// The replication of this proxy's nodes.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::control::admin) struct RolesShown {
    /// The epoch of the roles that are in force; 0 before the first.
    epoch: u64,
    /// The nodes.
    nodes: Vec<NodeShown>,
}

/// A node: what it is to be and what it is.
#[derive(Debug, Serialize, ToSchema)]
struct NodeShown {
    /// Where it listens.
    address: String,
    /// The role that it was given, `master` or `replica`; `null` where nobody said.
    wanted: Option<&'static str>,
    /// Whom it is to replicate, if it is to be a replica.
    wanted_primary: Option<String>,
    /// `unknown`, `up`, `loading`, `busy` or `down`.
    state: &'static str,
    /// The role that it has; `null` while it does not answer.
    role: Option<&'static str>,
    /// Whom it replicates.
    primary: Option<String>,
    /// The link to that primary: `up`, `syncing` or `down`.
    link: Option<&'static str>,
    /// Its offset in the replication stream.
    offset: Option<u64>,
    /// Replicas connected to it.
    replicas: Option<u32>,
    /// Whether it is another process than the one that was given its role.
    restarted: Option<bool>,
}

/// That the proxy drains.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::control::admin) struct Draining {
    /// Always true.
    draining: bool,
}

/// The view that was accepted last.
#[utoipa::path(get, path = "/v1/view", tag = "state",
    responses((status = 200, body = ViewShown), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)))]
pub(in crate::control::admin) async fn view(State(sources): Shared) -> Json<ViewShown> {
    let picture = sources.picture.borrow();
    let view = picture.view.as_deref();
    let reason = if picture.draining {
        Some("draining".to_owned())
    } else {
        (!picture.is_ready()).then(|| picture.readiness.to_string())
    };
    let member = |address: &model::Address, slots: &[SlotAssignment]| MemberShown {
        address: address.to_string(),
        slots: slots.iter().map(slots_shown).collect(),
    };
    Json(ViewShown {
        cluster: view.map(|view| view.cluster.as_str().to_owned()),
        epoch: picture.epoch.0,
        ready: picture.is_ready(),
        reason,
        slots_owned: view.map_or(0, |view| view.owned_locally().count()),
        local: view.map_or_else(Vec::new, |view| {
            view.local.iter().map(|node| member(&node.address, &node.slots)).collect()
        }),
        peers: view.map_or_else(Vec::new, |view| {
            view.peers.iter().map(|peer| member(&peer.address, &peer.slots)).collect()
        }),
        config: view.map_or_else(BTreeMap::new, |view| {
            view.config.iter().map(|(field, value)| (field.to_owned(), value)).collect()
        }),
    })
}

fn slots_shown(slots: &SlotAssignment) -> SlotsShown {
    let ranges = slots.ranges.iter().map(|range| [range.first().index(), range.last().index()]);
    let state = match slots.tag {
        SlotTag::None => "owned",
        SlotTag::Replica => "replica",
        SlotTag::Migrating(_) => "migrating",
        SlotTag::Importing(_) => "importing",
    };
    SlotsShown { ranges: ranges.collect(), state }
}

/// The roles that the nodes were given, and those that they have.
#[utoipa::path(get, path = "/v1/roles", tag = "state",
    responses((status = 200, body = RolesShown), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)))]
pub(in crate::control::admin) async fn roles(State(sources): Shared) -> Json<RolesShown> {
    let picture = sources.picture.borrow();
    let told = picture.roles.as_deref().map_or(&[][..], |roles| &roles.roles);
    let node = |(address, shown): &(model::Address, NodeSeen)| {
        let order = told.iter().find(|role| role.node == *address);
        let wanted_primary =
            order.filter(|order| order.role == Role::Replica).and_then(|order| order.peers.first());
        let status = shown.health.status();
        let (primary, link) = match status.map(|status| &status.role) {
            Some(NodeRole::Replica { host, port, link }) => {
                (Some(format!("{host}:{port}")), Some(link_word(*link)))
            }
            Some(NodeRole::Primary) | None => (None, None),
        };
        NodeShown {
            address: address.to_string(),
            wanted: order.map(|order| if order.role == Role::Replica { "replica" } else { "master" }),
            wanted_primary: wanted_primary.map(|peer| peer.node.to_string()),
            state: shown.health.word(),
            role: status.map(|status| if status.role == NodeRole::Primary { "master" } else { "replica" }),
            primary,
            link,
            offset: status.map(|status| status.offset),
            replicas: status.map(|status| status.replicas),
            restarted: status.map(|status| status.restarted),
        }
    };
    Json(RolesShown { epoch: picture.roles_epoch.0, nodes: picture.nodes.iter().map(node).collect() })
}

fn link_word(link: NodeLink) -> &'static str {
    match link {
        NodeLink::Up => "up",
        NodeLink::Mute | NodeLink::Syncing => "syncing",
        NodeLink::Down { .. } => "down",
    }
}

/// Takes no more clients, finishes what is in flight, then ends the proxy: as SIGTERM does.
#[utoipa::path(post, path = "/v1/drain", tag = "state",
    responses((status = 202, body = Draining), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)))]
pub(in crate::control::admin) async fn drain(State(sources): Shared) -> (StatusCode, Json<Draining>) {
    tracing::warn!("told to end by POST /v1/drain");
    sources.shutdown.advance(Phase::Draining);
    (StatusCode::ACCEPTED, Json(Draining { draining: true }))
}
