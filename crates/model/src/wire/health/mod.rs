//! The answer to UMCTL HEALTH, in both directions.
//!
//! ```text
//! UMCTL HEALTH [LEASE <token> <ms>]
//!
//! token <text> run_id <text> epoch <n> roles_epoch <n> lease_ms <n> lease_longest_ms <n>
//! attached_soon_for_ms <n> nodes [<node>…] finished [<import>…]
//!   node:   address <text> state up|loading|down for_ms <n> process works|unseen restarted 0|1 role master|replica
//!           primary <text> link up|syncing|down|none link_for_ms <n> offset <n>
//!           replicated 0|1 attached 0|1 role_epoch <n> run_id <text> keys <n>
//!           keeps_log 0|1
//!   import: cluster <text> slots <a-b,…> epoch <n> and four addresses: source_proxy source_node target_proxy
//!           target_node
//! ```
//! Every level is an array of names and values in turn. A reader passes over names that it does not know, so that newer
//! proxies may say more. `process` is there only for a node that is down: a reader that does not know it goes by
//! time alone.

use resp::{Value, encode};

use super::fields::{Fields, HealthFault};
use super::set_repl::Role;
use crate::address::Address;
use crate::assignment::MigrationMeta;
use crate::cluster_name::ClusterName;
use crate::health::{FinishedImport, HealthAnswer, LinkState, NodeHealth, NodeState, ProxyHealth};
use crate::slot_range::SlotRange;
use crate::slot_ranges::SlotRanges;

/// The longest token that is taken and sent back.
const TOKEN_BYTES_MAX: usize = 64;

impl HealthAnswer {
    /// Appends the reply.
    pub fn write(&self, reply: &mut Vec<u8>) {
        let ProxyHealth {
            run_id,
            view_epoch,
            roles_epoch,
            lease_longest_ms,
            lease_ms,
            attached_soon_for_ms,
            nodes,
            finished,
        } = &self.health;
        let mut fields = Writer::default();
        fields.bytes("token", &self.token);
        if let Some(run_id) = run_id {
            fields.text("run_id", run_id.as_str());
        }
        fields.number("epoch", view_epoch.0);
        fields.number("roles_epoch", roles_epoch.0);
        if let Some(lease_ms) = lease_ms {
            fields.number("lease_ms", *lease_ms);
        }
        fields.number("lease_longest_ms", *lease_longest_ms);
        if let Some(soon_for_ms) = attached_soon_for_ms {
            fields.number("attached_soon_for_ms", *soon_for_ms);
        }
        fields.list("nodes", nodes.iter().map(write_node));
        fields.list("finished", finished.iter().map(write_import));
        fields.append_to(reply);
    }

    /// Reads the reply.
    ///
    /// # Errors
    /// [`HealthFault`], which says what is missing or cannot be read.
    pub fn read(reply: &Value<'_>) -> Result<Self, HealthFault> {
        let fields = Fields::of(reply)?;
        let token = fields.bytes("token")?;
        if token.len() > TOKEN_BYTES_MAX {
            return Err(HealthFault("a short token"));
        }
        let health = ProxyHealth {
            run_id: fields.find("run_id").is_ok().then(|| fields.parsed("run_id")).transpose()?,
            view_epoch: fields.epoch("epoch")?,
            roles_epoch: fields.epoch("roles_epoch")?,
            lease_longest_ms: fields.number("lease_longest_ms")?,
            lease_ms: fields.number("lease_ms").ok(),
            attached_soon_for_ms: fields.number("attached_soon_for_ms").ok(),
            nodes: fields.list("nodes")?.iter().map(read_node).collect::<Result<_, _>>()?,
            finished: fields.list("finished")?.iter().map(read_import).collect::<Result<_, _>>()?,
        };
        Ok(Self { token: token.to_vec(), health })
    }
}

fn write_node(node: &NodeHealth) -> Writer {
    let (state, for_ms, process) = match node.state {
        NodeState::Up => ("up", 0, None),
        NodeState::Loading => ("loading", 0, None),
        NodeState::Busy { for_ms } => ("down", for_ms, Some("works")),
        NodeState::Unseen { for_ms } => ("down", for_ms, Some("unseen")),
        NodeState::Down { for_ms } => ("down", for_ms, None),
    };
    let (link, link_for_ms) = match node.link {
        None => ("none", 0),
        Some(LinkState::Up) => ("up", 0),
        Some(LinkState::Syncing) => ("syncing", 0),
        Some(LinkState::Down { for_ms }) => ("down", for_ms),
    };
    let role = match node.role {
        Role::Primary => "master",
        Role::Replica => "replica",
    };
    let mut fields = Writer::default();
    fields.text("address", &node.address.to_string());
    fields.text("state", state);
    fields.number("for_ms", for_ms);
    if let Some(process) = process {
        fields.text("process", process);
    }
    fields.number("restarted", u64::from(node.restarted));
    fields.text("role", role);
    fields.text("primary", &node.primary.as_ref().map(Address::to_string).unwrap_or_default());
    fields.text("link", link);
    fields.number("link_for_ms", link_for_ms);
    fields.number("offset", node.offset);
    fields.number("replicated", u64::from(node.replicated));
    fields.number("attached", u64::from(node.attached));
    if let Some(epoch) = node.role_epoch {
        fields.number("role_epoch", epoch.0);
    }
    if let Some(run_id) = &node.run_id {
        fields.text("run_id", run_id.as_str());
    }
    if let Some(keys) = node.keys {
        fields.number("keys", keys);
    }
    fields.number("keeps_log", u64::from(node.keeps_log));
    fields
}

fn read_node(value: &Value<'_>) -> Result<NodeHealth, HealthFault> {
    let fields = Fields::of(value)?;
    let state = match fields.bytes("state")? {
        b"up" => NodeState::Up,
        b"loading" => NodeState::Loading,
        b"down" => silence(&fields)?,
        _ => return Err(HealthFault("a known state")),
    };
    let role = match fields.bytes("role")? {
        b"master" => Role::Primary,
        b"replica" => Role::Replica,
        _ => return Err(HealthFault("a known role")),
    };
    let link = match fields.bytes("link")? {
        b"up" => Some(LinkState::Up),
        b"syncing" => Some(LinkState::Syncing),
        b"down" => Some(LinkState::Down { for_ms: fields.number("link_for_ms")? }),
        b"none" => None,
        _ => return Err(HealthFault("a known link")),
    };
    Ok(NodeHealth {
        address: fields.parsed("address")?,
        state,
        restarted: fields.number("restarted")? != 0,
        role,
        primary: match fields.bytes("primary")? {
            b"" => None,
            _ => Some(fields.parsed("primary")?),
        },
        link,
        offset: fields.number("offset")?,
        replicated: fields.number("replicated")? != 0,
        attached: fields.number("attached")? != 0,
        role_epoch: fields.find("role_epoch").is_ok().then(|| fields.epoch("role_epoch")).transpose()?,
        run_id: fields.find("run_id").is_ok().then(|| fields.parsed("run_id")).transpose()?,
        keys: fields.find("keys").is_ok().then(|| fields.number("keys")).transpose()?,
        keeps_log: fields.number("keeps_log").is_ok_and(|number| number != 0),
    })
}

/// Of a node that does not answer: what is seen of its process. A word that is not known is none.
fn silence(fields: &Fields<'_, '_>) -> Result<NodeState, HealthFault> {
    let for_ms = fields.number("for_ms")?;
    Ok(match fields.bytes("process") {
        Ok(b"works") => NodeState::Busy { for_ms },
        Ok(b"unseen") => NodeState::Unseen { for_ms },
        _ => NodeState::Down { for_ms },
    })
}

fn write_import(import: &FinishedImport) -> Writer {
    let word = |range: SlotRange| format!("{}-{}", range.first(), range.last());
    let slots: Vec<String> = import.ranges.iter().map(word).collect();
    let mut fields = Writer::default();
    fields.text("cluster", import.cluster.as_str());
    fields.text("slots", &slots.join(","));
    fields.number("epoch", import.meta.epoch.0);
    for (name, address) in [
        ("source_proxy", &import.meta.source_proxy),
        ("source_node", &import.meta.source_node),
        ("target_proxy", &import.meta.target_proxy),
        ("target_node", &import.meta.target_node),
    ] {
        fields.text(name, &address.to_string());
    }
    fields
}

fn read_import(value: &Value<'_>) -> Result<FinishedImport, HealthFault> {
    let fields = Fields::of(value)?;
    let slots = fields.text("slots")?;
    let ranges: Result<Vec<SlotRange>, _> = slots.split(',').map(str::parse).collect();
    let ranges = ranges.map_err(|_| HealthFault("slots"))?;
    Ok(FinishedImport {
        cluster: fields.parsed::<ClusterName>("cluster")?,
        ranges: ranges.into_iter().collect::<SlotRanges>(),
        meta: MigrationMeta {
            epoch: fields.epoch("epoch")?,
            source_proxy: fields.parsed::<Address>("source_proxy")?,
            source_node: fields.parsed("source_node")?,
            target_proxy: fields.parsed("target_proxy")?,
            target_node: fields.parsed("target_node")?,
        },
    })
}

/// Names and values in turn, as they are written.
#[derive(Default)]
struct Writer {
    items: usize,
    bytes: Vec<u8>,
}

impl Writer {
    fn name(&mut self, name: &str) {
        encode::bulk(&mut self.bytes, name.as_bytes());
        self.items += 2;
    }

    fn bytes(&mut self, name: &str, value: &[u8]) {
        self.name(name);
        encode::bulk(&mut self.bytes, value);
    }

    fn text(&mut self, name: &str, value: &str) {
        self.bytes(name, value.as_bytes());
    }

    fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        encode::integer(&mut self.bytes, i64::try_from(value).unwrap_or(i64::MAX));
    }

    fn list(&mut self, name: &str, items: impl ExactSizeIterator<Item = Self>) {
        self.name(name);
        encode::array(&mut self.bytes, items.len());
        items.for_each(|item| item.append_to(&mut self.bytes));
    }

    fn append_to(&self, reply: &mut Vec<u8>) {
        encode::array(reply, self.items);
        reply.extend_from_slice(&self.bytes);
    }
}

#[cfg(test)]
mod tests;
