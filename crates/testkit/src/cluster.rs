//! A whole cluster: proxies with two Redis servers each, slots spread evenly, every primary with one replica
//! behind the next proxy.
//!
//! ```text
//! proxy 0: primary 0, replica of 1    proxy 1: primary 1, replica of 2    proxy 2: primary 2, replica of 0
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use model::{
    ClusterConfig, Epoch, LocalNode, MetaFlags, NodeRole, PeerProxy, ReplPeer, Role, SLOT_COUNT, SetRepl,
    Slot, SlotAssignment, SlotRange, SlotRanges, SlotTag, View,
};

use crate::binary::ServerBinary;
use crate::connection::Connection;
use crate::proxy::{ProxyOptions, ProxyProcess, cluster_name, model_address};
use crate::redis_server::{RedisOptions, RedisServer};
use crate::wait::{Deadline, retry_until};

/// How long the cluster may take until it is whole.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How a cluster is started.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Proxies, each with a primary and a replica.
    pub proxies: usize,
    /// The servers behind them.
    pub binary: ServerBinary,
    /// The proxies' settings.
    pub proxy: ProxyOptions,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self { proxies: 3, binary: ServerBinary::Redis7, proxy: ProxyOptions::default() }
    }
}

/// One proxy and the servers behind it.
#[derive(Debug)]
pub struct Member {
    /// The proxy.
    pub proxy: ProxyProcess,
    /// The primary of this member's slots.
    pub primary: RedisServer,
    /// The replica of the next member's primary.
    pub replica: RedisServer,
}

/// A running cluster.
#[derive(Debug)]
pub struct ClusterFixture {
    /// Its members, in the order of their slots.
    pub members: Vec<Member>,
}

impl ClusterFixture {
    /// Starts everything, pushes the metadata and waits until every proxy serves and every replica follows.
    ///
    /// # Errors
    /// When something does not start, or the cluster does not become whole in time.
    pub fn start(options: &ClusterOptions) -> Result<Self> {
        let member = |_| -> Result<Member> {
            Ok(Member {
                proxy: ProxyProcess::start(&options.proxy)?,
                primary: RedisServer::start(RedisOptions::of(options.binary))?,
                replica: RedisServer::start(RedisOptions::of(options.binary))?,
            })
        };
        let members = (0..options.proxies).map(member).collect::<Result<Vec<_>>>()?;
        let fixture = Self { members };
        fixture.push(1)?;
        fixture.wait_whole()?;
        Ok(fixture)
    }

    /// Pushes the metadata of this epoch to every proxy.
    ///
    /// # Errors
    /// When a proxy refuses it.
    pub fn push(&self, epoch: u64) -> Result<()> {
        for (number, member) in self.members.iter().enumerate() {
            let roles = self.roles(number, epoch)?.to_args(false);
            let words: Vec<&str> =
                std::iter::once("SETREPL").chain(roles.iter().map(String::as_str)).collect();
            member.proxy.umctl(&words)?.expect_ok().with_context(|| format!("UMCTL {}", words.join(" ")))?;
            member.proxy.set_view(&self.view(number, epoch)?)?;
        }
        Ok(())
    }

    /// The proxies' addresses.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.members.iter().map(|member| member.proxy.address()).collect()
    }

    /// A connection to one proxy.
    ///
    /// # Errors
    /// When it does not accept one.
    pub fn connect(&self, number: usize) -> Result<Connection> {
        self.members[number].proxy.connect()
    }

    /// The slots of one member's primary.
    ///
    /// # Errors
    /// Never for a member's number.
    pub fn slots(&self, number: usize) -> Result<SlotRanges> {
        let bound = |part: usize| part * SLOT_COUNT / self.members.len();
        let slot = |index: usize| u16::try_from(index).ok().and_then(Slot::new);
        let range = slot(bound(number))
            .zip(slot(bound(number + 1) - 1))
            .and_then(|(first, last)| SlotRange::new(first, last))
            .context("the bounds of a member's slots")?;
        let mut ranges = SlotRanges::default();
        ranges.insert(range);
        Ok(ranges)
    }

    /// The member whose primary owns a key.
    ///
    /// # Errors
    /// Never: every slot has an owner.
    pub fn owner(&self, key: &[u8]) -> Result<usize> {
        for number in 0..self.members.len() {
            if self.slots(number)?.contains(Slot::of_key(key)) {
                return Ok(number);
            }
        }
        anyhow::bail!("no member owns the slot of {}", key.escape_ascii())
    }

    /// The view that one proxy gets.
    ///
    /// # Errors
    /// Never for a member's number.
    pub fn view(&self, number: usize, epoch: u64) -> Result<View> {
        let own = &self.members[number];
        let local = vec![
            LocalNode { address: model_address(own.primary.address())?, slots: vec![self.owned(number)?] },
            LocalNode { address: model_address(own.replica.address())?, slots: vec![self.copied(number)?] },
        ];
        let mut peers = Vec::new();
        for (other, member) in self.members.iter().enumerate().filter(|(other, _)| *other != number) {
            let slots = vec![self.owned(other)?, self.copied(other)?];
            peers.push(PeerProxy { address: model_address(member.proxy.address())?, slots });
        }
        let config = ClusterConfig::default();
        Ok(View { epoch: Epoch(epoch), cluster: cluster_name()?, local, peers, config })
    }

    fn owned(&self, number: usize) -> Result<SlotAssignment> {
        Ok(SlotAssignment { ranges: self.slots(number)?, tag: SlotTag::None })
    }

    fn copied(&self, number: usize) -> Result<SlotAssignment> {
        Ok(SlotAssignment { ranges: self.slots(self.next(number))?, tag: SlotTag::Replica })
    }

    /// The member whose primary the replica behind this one follows.
    fn next(&self, number: usize) -> usize {
        (number + 1) % self.members.len()
    }

    fn roles(&self, number: usize, epoch: u64) -> Result<SetRepl> {
        let count = self.members.len();
        let (own, next) = (&self.members[number], &self.members[self.next(number)]);
        let previous = &self.members[(number + count - 1) % count];
        let peer = |server: &RedisServer, proxy: &ProxyProcess| -> Result<ReplPeer> {
            Ok(ReplPeer { node: model_address(server.address())?, proxy: model_address(proxy.address())? })
        };
        let role = |server: &RedisServer, role: Role, peer: ReplPeer| -> Result<NodeRole> {
            Ok(NodeRole {
                cluster: cluster_name()?,
                node: model_address(server.address())?,
                role,
                peers: vec![peer],
            })
        };
        let roles = vec![
            role(&own.primary, Role::Primary, peer(&previous.replica, &previous.proxy)?)?,
            role(&own.replica, Role::Replica, peer(&next.primary, &next.proxy)?)?,
        ];
        Ok(SetRepl { epoch: Epoch(epoch), flags: MetaFlags::default(), processes: Vec::new(), roles })
    }

    fn wait_whole(&self) -> Result<()> {
        let deadline = Deadline::within(START_LIMIT);
        for member in &self.members {
            member.proxy.wait_ready()?;
            retry_until(deadline, "the proxy sees the whole cluster", || {
                let info = member.proxy.connect()?.say("CLUSTER INFO")?.text()?;
                ensure!(info.contains("cluster_state:ok"), "{info}");
                Ok(())
            })?;
            retry_until(deadline, "the replica follows", || {
                let info = member.replica.connect()?.say("INFO replication")?.text()?;
                ensure!(info.contains("master_link_status:up"), "{info}");
                Ok(())
            })?;
        }
        Ok(())
    }
}
