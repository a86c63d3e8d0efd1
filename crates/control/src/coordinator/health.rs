//! Reading a proxy's answer to `UMCTL HEALTH`.
//!
//! ```text
//! UMCTL HEALTH [LEASE <token> <ms>]
//!
//! token <text> epoch <n> roles_epoch <n> lease_longest_ms <n> nodes [<node>…] finished [<import>…]
//!   node:   address <text> state up|loading|down for_ms <n> restarted 0|1 role master|replica
//!           primary <text> link up|syncing|down|none link_for_ms <n> offset <n>
//!           replicated 0|1 attached 0|1 role_epoch <n>
//!   import: cluster <text> slots <a-b,…> epoch <n> and four addresses: source_proxy source_node target_proxy
//!           target_node
//! ```
//! Every level is an array of names and values in turn. Names that are not known are passed over, so that newer
//! proxies may say more.

use std::str::FromStr;

use control_core::{FinishedImport, LinkState, NodeHealth, NodeState, ProxyHealth};
use model::{Address, ClusterName, Epoch, MigrationMeta, Role, SlotRange, SlotRanges};
use resp::Value;

use super::link::LinkError;

/// The longest token that is taken and sent back.
const TOKEN_BYTES_MAX: usize = 64;

/// An answer to a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Names the moment of the answer to the proxy: a lease that is granted with it counts from then.
    pub(crate) token: Vec<u8>,
    /// How the proxy and its nodes are.
    pub(crate) health: ProxyHealth,
}

impl Answer {
    /// Reads the reply.
    pub(crate) fn read(reply: &Value<'_>) -> Result<Self, LinkError> {
        let fields = Fields::of(reply)?;
        let token = fields.bytes("token")?;
        if token.len() > TOKEN_BYTES_MAX {
            return Err(LinkError::Unexpected("a short token"));
        }
        let health = ProxyHealth {
            view_epoch: fields.epoch("epoch")?,
            roles_epoch: fields.epoch("roles_epoch")?,
            lease_longest_ms: fields.number("lease_longest_ms")?,
            nodes: fields.list("nodes")?.iter().map(node).collect::<Result<_, _>>()?,
            finished: fields.list("finished")?.iter().map(import).collect::<Result<_, _>>()?,
        };
        Ok(Self { token: token.to_vec(), health })
    }
}

fn node(value: &Value<'_>) -> Result<NodeHealth, LinkError> {
    let fields = Fields::of(value)?;
    let state = match fields.bytes("state")? {
        b"up" => NodeState::Up,
        b"loading" => NodeState::Loading,
        b"down" => NodeState::Down { for_ms: fields.number("for_ms")? },
        _ => return Err(LinkError::Unexpected("a known state")),
    };
    let role = match fields.bytes("role")? {
        b"master" => Role::Primary,
        b"replica" => Role::Replica,
        _ => return Err(LinkError::Unexpected("a known role")),
    };
    let link = match fields.bytes("link")? {
        b"up" => Some(LinkState::Up),
        b"syncing" => Some(LinkState::Syncing),
        b"down" => Some(LinkState::Down { for_ms: fields.number("link_for_ms")? }),
        b"none" => None,
        _ => return Err(LinkError::Unexpected("a known link")),
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
    })
}

fn import(value: &Value<'_>) -> Result<FinishedImport, LinkError> {
    let fields = Fields::of(value)?;
    let slots = fields.text("slots")?;
    let ranges: Result<Vec<SlotRange>, _> = slots.split(',').map(str::parse).collect();
    let ranges = ranges.map_err(|_| LinkError::Unexpected("slots"))?;
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

/// An array of names and values in turn.
struct Fields<'a, 'b>(&'a [Value<'b>]);

impl<'a, 'b> Fields<'a, 'b> {
    fn of(value: &'a Value<'b>) -> Result<Self, LinkError> {
        match value {
            Value::Array(fields) if fields.len() % 2 == 0 => Ok(Self(fields)),
            _ => Err(LinkError::Unexpected("names and values")),
        }
    }

    fn find(&self, name: &'static str) -> Result<&'a Value<'b>, LinkError> {
        let is_named =
            |pair: &&[Value<'_>]| matches!(&pair[0], Value::Bulk(found) if *found == name.as_bytes());
        let pair = self.0.chunks_exact(2).find(is_named).ok_or(LinkError::Unexpected(name))?;
        Ok(&pair[1])
    }

    fn bytes(&self, name: &'static str) -> Result<&'a [u8], LinkError> {
        match self.find(name)? {
            Value::Bulk(bytes) | Value::Simple(bytes) => Ok(bytes),
            _ => Err(LinkError::Unexpected(name)),
        }
    }

    fn text(&self, name: &'static str) -> Result<&'a str, LinkError> {
        std::str::from_utf8(self.bytes(name)?).map_err(|_| LinkError::Unexpected(name))
    }

    fn parsed<T: FromStr>(&self, name: &'static str) -> Result<T, LinkError> {
        self.text(name)?.parse().map_err(|_| LinkError::Unexpected(name))
    }

    fn number(&self, name: &'static str) -> Result<u64, LinkError> {
        match self.find(name)? {
            Value::Integer(number) => u64::try_from(*number).map_err(|_| LinkError::Unexpected(name)),
            _ => Err(LinkError::Unexpected(name)),
        }
    }

    fn epoch(&self, name: &'static str) -> Result<Epoch, LinkError> {
        self.number(name).map(Epoch)
    }

    fn list(&self, name: &'static str) -> Result<&'a [Value<'b>], LinkError> {
        match self.find(name)? {
            Value::Array(items) => Ok(items),
            _ => Err(LinkError::Unexpected(name)),
        }
    }
}

#[cfg(test)]
mod tests;
