//! The servers of a run: nodes that keep their data, two proxies that forward to each other, and a plain Redis to
//! compare with.
//!
//! Both proxies are in front of the same nodes, and each node has a part of the slots whichever proxy owns them: so
//! slots move between proxies while their data stay where they are.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use model::{
    ClusterConfig, Epoch, LocalNode, PeerProxy, SLOT_COUNT, Slot, SlotAssignment, SlotRange, SlotRanges,
    SlotTag, View,
};

use crate::connection::Connection;
use crate::proxy::{ProxyOptions, ProxyProcess, cluster_name, model_address};
use crate::redis_server::{RedisOptions, RedisServer};
use crate::tagged::value;
use crate::wait::{Deadline, retry_until};

/// Parts of the slots, each on a node of its own.
pub const PARTS: usize = 3;
/// Proxies in front of the nodes.
pub const PROXIES: usize = 2;
/// The value that every part has for clients that read late.
const BIG_VALUE_BYTES: usize = 3 << 20;
/// How long the proxies wait for a node that does not answer.
const BACKEND_TIMEOUT_MS: &str = "500";
/// How long it may take until every node is served again.
const RECOVERY: Duration = Duration::from_secs(20);

/// The slots of a part.
fn slots(part: usize) -> Result<SlotRanges> {
    let slot = |index: usize| u16::try_from(index).ok().and_then(Slot::new);
    let first = slot(part * SLOT_COUNT / PARTS);
    let last = slot((part + 1) * SLOT_COUNT / PARTS - 1);
    let range = first.zip(last).and_then(|(first, last)| SlotRange::new(first, last));
    Ok(SlotRanges::from(range.context("the bounds of a part of the slots")?))
}

/// A hash tag of a part.
#[must_use]
pub fn tag(part: usize) -> String {
    let is_in = |tag: &String| Slot::of_key(tag.as_bytes()).index() * PARTS / SLOT_COUNT == part;
    (0..).map(|number| format!("{{t{number}}}")).find(is_in).unwrap_or_default()
}

/// The key of a part's large value, in database 0.
#[must_use]
pub fn big_key(part: usize) -> String {
    format!("{}:big", tag(part))
}

/// The value of [`big_key`].
#[must_use]
pub fn big_value(key: &str) -> Vec<u8> {
    value(key, BIG_VALUE_BYTES)
}

/// The running servers.
#[derive(Debug)]
pub struct Stage {
    /// In front of the nodes.
    pub proxies: Vec<ProxyProcess>,
    /// One for each part.
    pub nodes: Vec<RedisServer>,
    /// What is right.
    pub plain: RedisServer,
    /// The proxy that owns each part.
    owners: [usize; PARTS],
    epoch: u64,
}

impl Stage {
    /// Starts everything.
    ///
    /// # Errors
    /// When something does not start.
    pub fn start() -> Result<Self> {
        let options = RedisOptions { append_only: true, ..RedisOptions::default() }
            .with("appendfsync", "always")
            .with("enable-debug-command", "yes");
        let nodes = (0..PARTS).map(|_| RedisServer::start(options.clone())).collect::<Result<Vec<_>>>()?;
        let options = ProxyOptions::default()
            .with("active_redirection", "true")
            .with("backend_timeout", BACKEND_TIMEOUT_MS);
        let proxies = (0..PROXIES).map(|_| ProxyProcess::start(&options)).collect::<Result<Vec<_>>>()?;
        let plain = RedisServer::start(RedisOptions::default())?;
        let mut stage = Self { proxies, nodes, plain, owners: [0, 1, 0], epoch: 0 };
        stage.push(&[0, 1])?;
        for part in 0..PARTS {
            let key = big_key(part);
            stage.nodes[part].connect()?.call(&[b"SET", key.as_bytes(), &big_value(&key)])?.expect_ok()?;
        }
        stage.wait_served()?;
        Ok(stage)
    }

    /// Gives a part to the other proxy.
    ///
    /// # Errors
    /// When a proxy refuses the view.
    pub fn move_part(&mut self, part: usize, new_first: bool) -> Result<()> {
        let old = self.owners[part];
        let new = (old + 1) % PROXIES;
        self.owners[part] = new;
        if new_first { self.push(&[new, old]) } else { self.push(&[old, new]) }
    }

    /// Waits until every part is served through each proxy.
    ///
    /// # Errors
    /// When one is not in time.
    pub fn wait_served(&self) -> Result<()> {
        let deadline = Deadline::within(RECOVERY);
        for proxy in &self.proxies {
            for part in 0..PARTS {
                retry_until(deadline, "every part is served", || {
                    let reply = proxy.connect()?.say(&format!("STRLEN {}", big_key(part)))?;
                    ensure!(reply.integer()? == i64::try_from(BIG_VALUE_BYTES)?, "{reply:?}");
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    /// A connection to the node of a part, with this database selected.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn at_node(&self, part: usize, database: usize) -> Result<Connection> {
        let mut direct = self.nodes[part].connect()?;
        direct.say(&format!("SELECT {database}"))?.expect_ok()?;
        Ok(direct)
    }

    /// Tells the proxies, in this order, who owns what.
    fn push(&mut self, order: &[usize]) -> Result<()> {
        self.epoch += 1;
        for proxy in order {
            self.proxies[*proxy].set_view(&self.view(*proxy)?)?;
        }
        Ok(())
    }

    fn view(&self, proxy: usize) -> Result<View> {
        let owned = |part: usize, by: usize| -> Result<Vec<SlotAssignment>> {
            let assignment = |ranges| SlotAssignment { ranges, tag: SlotTag::None };
            if self.owners[part] == by { Ok(vec![assignment(slots(part)?)]) } else { Ok(Vec::new()) }
        };
        let mut local = Vec::new();
        for (part, node) in self.nodes.iter().enumerate() {
            local.push(LocalNode { address: model_address(node.address())?, slots: owned(part, proxy)? });
        }
        let mut peers = Vec::new();
        for (peer, process) in self.proxies.iter().enumerate().filter(|(peer, _)| *peer != proxy) {
            let mut slots = Vec::new();
            for part in 0..PARTS {
                slots.extend(owned(part, peer)?);
            }
            peers.push(PeerProxy { address: model_address(process.address())?, slots });
        }
        let config = ClusterConfig::default();
        Ok(View { epoch: Epoch(self.epoch), cluster: cluster_name()?, local, peers, config })
    }
}
