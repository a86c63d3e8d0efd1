//! UMCTL SETCLUSTER: all of a proxy's metadata in one command.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::arguments::Arguments;
use super::error::{MetaError, MetaFault, MetaPlace};
use super::flags::MetaFlags;
use super::payload;
use crate::address::Address;
use crate::assignment::{MigrationMeta, SlotAssignment, SlotTag};
use crate::cluster_name::ClusterName;
use crate::config::{ClusterConfig, ConfigField};
use crate::slot::SLOT_COUNT;
use crate::slot_range::SlotRange;
use crate::slot_ranges::SlotRanges;
use crate::view::{LocalNode, PeerProxy, View, ViewDraft};

const VERSION: &str = "v2";
const PEER: &str = "PEER";
const CONFIG: &str = "CONFIG";
const MIGRATING: &str = "MIGRATING";
const IMPORTING: &str = "IMPORTING";
const REPLICA: &str = "REPLICA";

/// A whole SETCLUSTER command.
///
/// ```text
/// v2 <epoch> <flags> <cluster> [<node> <slots>]… [PEER [<proxy> <slots>]…] [CONFIG <field> <value>…]
/// v2 <epoch> <flags with COMPRESS> <base64 of gzip of JSON>
/// <slots>: [REPLICA] N a-b…  or  MIGRATING|IMPORTING N a-b… <epoch> <source proxy> <source node>
///          <target proxy> <target node>
/// ```
/// A member may be named several times, once for each tag; `0` alone stands for a node without slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetCluster {
    /// How it is to be taken.
    pub flags: MetaFlags,
    /// What it says; well formed.
    pub view: View,
    /// Settings that were given and that this version does not know.
    pub ignored_config: Vec<String>,
}

/// What a payload holds: everything that the plain form has after the flags.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    cluster: ClusterName,
    local: Vec<LocalNode>,
    peers: Vec<PeerProxy>,
    config: BTreeMap<String, String>,
}

impl SetCluster {
    /// The command that carries a view.
    #[must_use]
    pub fn new(view: View, force: bool) -> Self {
        let flags = MetaFlags { force, ..MetaFlags::default() };
        Self { flags, view, ignored_config: Vec::new() }
    }

    /// Reads the arguments after the word SETCLUSTER.
    pub fn parse(args: &[&[u8]]) -> Result<Self, MetaError> {
        let mut args = Arguments::new(args);
        let version = args.text("the version 'v2'")?;
        if !version.eq_ignore_ascii_case(VERSION) {
            return Err(args.wrong("the version 'v2'"));
        }
        let epoch = args.value("an epoch")?;
        let flags = MetaFlags::parse(&mut args)?;
        let (cluster, members, config) =
            if flags.compress { parse_packed(&mut args)? } else { parse_plain(&mut args)? };
        let ((local, peers), (config, ignored_config)) = (members.finish(), config);
        Ok(Self { flags, view: View { epoch, cluster, local, peers, config }, ignored_config })
    }

    /// The arguments after the word SETCLUSTER, in the compressed form or the plain one.
    #[must_use]
    pub fn to_args(&self, compress: bool) -> Vec<String> {
        let View { epoch, cluster, local, peers, config } = &self.view;
        let flags = MetaFlags { compress, ..self.flags };
        let mut args = vec![VERSION.to_owned(), epoch.to_string(), flags.to_text()];
        if compress {
            let (cluster, local, peers) = (cluster.clone(), local.clone(), peers.clone());
            args.push(payload::pack(&Content { cluster, local, peers, config: config.clone().into() }));
            return args;
        }
        args.push(cluster.to_string());
        for node in local {
            push_member(&mut args, &node.address, &node.slots);
        }
        if !peers.is_empty() {
            args.push(PEER.to_owned());
        }
        for peer in peers {
            push_member(&mut args, &peer.address, &peer.slots);
        }
        args.push(CONFIG.to_owned());
        for (field, value) in config.iter() {
            args.extend([field.to_owned(), value]);
        }
        args
    }
}

type Config = (ClusterConfig, Vec<String>);
type Parts = (ClusterName, ViewDraft, Config);

fn parse_plain(args: &mut Arguments<'_>) -> Result<Parts, MetaError> {
    let cluster = args.value("a cluster name of 1 to 30 of A-Z, a-z, 0-9, '@', '_' and '-'")?;
    let mut draft = ViewDraft::new();
    let mut in_peers = false;
    while !args.is_done() && !args.is_word(CONFIG) {
        if !in_peers && args.take_word(PEER) {
            in_peers = true;
            continue;
        }
        let expected =
            if in_peers { "a proxy's address or CONFIG" } else { "a node's address, PEER or CONFIG" };
        let address: Address = args.value(expected)?;
        let place = args.last_place();
        let slots = parse_slots(args, &address)?;
        let added =
            if in_peers { draft.add_peer(&address, [slots]) } else { draft.add_local(&address, [slots]) };
        added.map_err(|error| MetaFault::from(error).at(place))?;
    }
    let config = parse_config(args)?;
    Ok((cluster, draft, config))
}

fn parse_config(args: &mut Arguments<'_>) -> Result<Config, MetaError> {
    let (mut config, mut ignored) = (ClusterConfig::default(), Vec::new());
    if !args.take_word(CONFIG) {
        return Ok((config, ignored));
    }
    while !args.is_done() {
        let field = args.text("a setting's name")?;
        let value = args.text("a setting's value")?;
        match config.parse(field, value) {
            Ok(ConfigField::Known) => {}
            Ok(ConfigField::Unknown) => ignored.push(field.to_owned()),
            Err(error) => return Err(MetaFault::from(error).at(args.last_place())),
        }
    }
    Ok((config, ignored))
}

fn parse_packed(args: &mut Arguments<'_>) -> Result<Parts, MetaError> {
    let packed = args.take("a compressed payload")?;
    args.finish()?;
    let content: Content = payload::unpack(packed)?;
    let wrong = |fault: MetaFault| fault.at(MetaPlace::Payload);
    let mut draft = ViewDraft::new();
    for node in content.local {
        draft.add_local(&node.address, node.slots).map_err(|error| wrong(error.into()))?;
    }
    for peer in content.peers {
        draft.add_peer(&peer.address, peer.slots).map_err(|error| wrong(error.into()))?;
    }
    let (mut config, mut ignored) = (ClusterConfig::default(), Vec::new());
    for (field, value) in content.config {
        match config.parse(&field, &value).map_err(|error| wrong(error.into()))? {
            ConfigField::Known => {}
            ConfigField::Unknown => ignored.push(field),
        }
    }
    Ok((content.cluster, draft, (config, ignored)))
}

fn parse_slots(args: &mut Arguments<'_>, address: &Address) -> Result<SlotAssignment, MetaError> {
    let word = [MIGRATING, IMPORTING, REPLICA].into_iter().find(|word| args.take_word(word));
    let expected = match word {
        None => "MIGRATING, IMPORTING, REPLICA or a count of slot ranges",
        Some(_) => "a count of slot ranges",
    };
    let count = args.count(expected, SLOT_COUNT)?;
    let count_place = args.last_place();
    let mut ranges: Vec<SlotRange> = Vec::new();
    for _ in 0..count {
        ranges.push(args.value("a slot range 'a-b' with 0 <= a <= b <= 16383")?);
    }
    let ranges = SlotRanges::from_disjoint(ranges).map_err(|slot| {
        let address = address.clone();
        MetaFault::from(crate::ViewError::SlotTwice { slot, address }).at(count_place)
    })?;
    let tag = match word {
        None => SlotTag::None,
        Some(REPLICA) => SlotTag::Replica,
        Some(MIGRATING) => SlotTag::Migrating(parse_migration(args)?),
        Some(_) => SlotTag::Importing(parse_migration(args)?),
    };
    Ok(SlotAssignment { ranges, tag })
}

fn parse_migration(args: &mut Arguments<'_>) -> Result<MigrationMeta, MetaError> {
    Ok(MigrationMeta {
        epoch: args.value("the migration's epoch")?,
        source_proxy: args.value("the source proxy's address")?,
        source_node: args.value("the source node's address")?,
        target_proxy: args.value("the target proxy's address")?,
        target_node: args.value("the target node's address")?,
    })
}

fn push_member(args: &mut Vec<String>, address: &Address, slots: &[SlotAssignment]) {
    if slots.iter().all(|slots| slots.ranges.is_empty()) {
        args.extend([address.to_string(), "0".to_owned()]);
    }
    for SlotAssignment { ranges, tag } in slots.iter().filter(|slots| !slots.ranges.is_empty()) {
        args.push(address.to_string());
        let word = match tag {
            SlotTag::None => None,
            SlotTag::Migrating(_) => Some(MIGRATING),
            SlotTag::Importing(_) => Some(IMPORTING),
            SlotTag::Replica => Some(REPLICA),
        };
        args.extend(word.map(str::to_owned));
        args.push(ranges.ranges().len().to_string());
        args.extend(ranges.iter().map(|range| format!("{}-{}", range.first(), range.last())));
        if let Some(meta) = tag.migration() {
            args.push(meta.epoch.to_string());
            let addresses = [&meta.source_proxy, &meta.source_node, &meta.target_proxy, &meta.target_node];
            args.extend(addresses.map(ToString::to_string));
        }
    }
}
