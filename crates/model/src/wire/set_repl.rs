//! UMCTL SETREPL: which of a proxy's nodes are primaries, and whom the others replicate.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::arguments::Arguments;
use super::error::{MetaError, MetaFault, MetaPlace};
use super::flags::MetaFlags;
use super::payload;
use crate::address::Address;
use crate::cluster_name::ClusterName;
use crate::epoch::Epoch;
use crate::run_id::RunId;

/// The most peers that one node can be given.
const PEERS_MAX: usize = 128;
/// The most processes that one command can name.
const PROCESSES_MAX: usize = 16;
/// Names a process, among the flags.
const RUN: &str = "RUN=";

/// A whole SETREPL command.
///
/// ```text
/// <epoch> <flags> (master|replica <cluster> <node> <n> (<peer node> <peer proxy>)×n)…
/// <epoch> <flags with COMPRESS> <base64 of gzip of JSON>
/// ```
/// Among the flags may be `RUN=<run id>`, which are ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetRepl {
    /// Which version this is.
    pub epoch: Epoch,
    /// How it is to be taken.
    pub flags: MetaFlags,
    /// The processes that FORCE lets be primaries with what they have; none for whichever process a node is.
    pub processes: Vec<RunId>,
    /// One for each node behind the proxy; no node twice.
    pub roles: Vec<NodeRole>,
}

/// What one node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeRole {
    /// The cluster that the node serves.
    pub cluster: ClusterName,
    /// The node.
    pub node: Address,
    /// What it is.
    pub role: Role,
    /// A replica's primary, first; or a primary's replicas.
    pub peers: Vec<ReplPeer>,
}

/// A primary or its replica. The wire keeps Redis's older word for the former.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Takes writes: `master` on the wire.
    #[serde(rename = "master")]
    Primary,
    /// Follows a primary: `replica` on the wire.
    #[serde(rename = "replica")]
    Replica,
}

impl Role {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "master",
            Self::Replica => "replica",
        }
    }
}

/// The other end of a replication link.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplPeer {
    /// The node.
    #[serde(rename = "node_address")]
    pub node: Address,
    /// The proxy that fronts it.
    #[serde(rename = "proxy_address")]
    pub proxy: Address,
}

impl SetRepl {
    /// Reads the arguments after the word SETREPL.
    pub fn parse(args: &[&[u8]]) -> Result<Self, MetaError> {
        let mut args = Arguments::new(args);
        let epoch = args.value("an epoch")?;
        let mut processes = Vec::new();
        let flags = parse_flags(&mut args, &mut processes)?;
        let mut seen = HashSet::new();
        let mut roles: Vec<NodeRole> = Vec::new();
        if flags.compress {
            let packed = args.take("a compressed payload")?;
            args.finish()?;
            roles = payload::unpack(packed)?;
            for role in &roles {
                check_role(role, &mut seen).map_err(|fault| fault.at(MetaPlace::Payload))?;
            }
        }
        while !args.is_done() {
            let (role, place) = parse_role(&mut args)?;
            check_role(&role, &mut seen).map_err(|fault| fault.at(place))?;
            roles.push(role);
        }
        Ok(Self { epoch, flags, processes, roles })
    }

    /// The arguments after the word SETREPL, in the compressed form or the plain one.
    #[must_use]
    pub fn to_args(&self, compress: bool) -> Vec<String> {
        let flags = MetaFlags { compress, ..self.flags };
        let named = self.processes.iter().map(|process| format!(",{RUN}{process}"));
        let mut args = vec![self.epoch.to_string(), flags.to_text() + &named.collect::<String>()];
        if compress {
            args.push(payload::pack(&self.roles));
            return args;
        }
        for NodeRole { cluster, node, role, peers } in &self.roles {
            args.extend([role.as_str().to_owned(), cluster.to_string(), node.to_string()]);
            args.push(peers.len().to_string());
            args.extend(peers.iter().flat_map(|peer| [peer.node.to_string(), peer.proxy.to_string()]));
        }
        args
    }
}

fn parse_flags(args: &mut Arguments<'_>, processes: &mut Vec<RunId>) -> Result<MetaFlags, MetaError> {
    const EXPECTED: &str = "NOFLAGS, or FORCE, COMPRESS, LEASED and RUN=<run id> joined by commas";
    MetaFlags::parse_with(args, EXPECTED, |word| {
        let named = word.strip_prefix(RUN).and_then(|id| id.parse().ok());
        let is_taken = named.is_some() && processes.len() < PROCESSES_MAX;
        processes.extend(named.filter(|_| is_taken));
        is_taken
    })
}

/// Reads one node's role; the place is that of the node's address.
fn parse_role(args: &mut Arguments<'_>) -> Result<(NodeRole, MetaPlace), MetaError> {
    let role = if args.take_word(Role::Primary.as_str()) {
        Role::Primary
    } else if args.take_word(Role::Replica.as_str()) {
        Role::Replica
    } else {
        args.take("master or replica")?;
        return Err(args.wrong("master or replica"));
    };
    let cluster = args.value("a cluster name of 1 to 30 of A-Z, a-z, 0-9, '@', '_' and '-'")?;
    let node = args.value("a node's address")?;
    let place = args.last_place();
    let count = args.count("a count of peers from 0 to 128", PEERS_MAX)?;
    let mut peers = Vec::new();
    for _ in 0..count {
        let node = args.value("a peer node's address")?;
        peers.push(ReplPeer { node, proxy: args.value("a peer proxy's address")? });
    }
    Ok((NodeRole { cluster, node, role, peers }, place))
}

fn check_role(role: &NodeRole, seen: &mut HashSet<Address>) -> Result<(), MetaFault> {
    let node = &role.node;
    if !seen.insert(node.clone()) {
        return Err(MetaFault::NodeTwice(node.clone()));
    }
    if role.role == Role::Replica && role.peers.is_empty() {
        return Err(MetaFault::ReplicaWithoutPeer(node.clone()));
    }
    if role.peers.iter().any(|peer| peer.node == *node) {
        return Err(MetaFault::OwnPeer(node.clone()));
    }
    Ok(())
}
