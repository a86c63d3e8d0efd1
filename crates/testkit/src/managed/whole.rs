//! Clusters that are whole: how one begins, and how it is told whether one is.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use api::ClientError;
use control_core::{ShardId, SyncState};
use model::ClusterName;

use super::shard::ShardPlace;
use super::{ManagedCluster, ManagedOptions};

/// How long a cluster may take until it is whole.
const WHOLE_LIMIT: Duration = Duration::from_secs(60);
/// How often everything is restarted because a machine stalled meanwhile.
const STARTS_MAX: usize = 5;
/// With more hosts than these the first by name are not the first by number.
const HOSTS_IN_ORDER_MAX: usize = 10;

impl ManagedCluster {
    /// [`start`](Self::start), then a cluster over the first `hosts` hosts (any of them where there are more than ten),
    /// whole and with every primary at home when this returns.
    ///
    /// # Errors
    /// As `start`; when no cluster can be made, or it does not become whole.
    pub fn with_cluster(options: &ManagedOptions, name: &str, hosts: usize) -> Result<Self> {
        let mut starts = 1;
        loop {
            let cluster = Self::start(options)?;
            cluster.wait_for(WHOLE_LIMIT, "the cluster is made", || cluster.create_once(name, hosts * 2))?;
            // A machine that stalls while everything starts may let somebody count as dead for a moment: then a primary
            // is away, and would go home in the middle of what comes next; or a spare host has another's place.
            cluster.wait_home(name)?;
            let shards = cluster.shards(name)?;
            let mut used = shards.iter().flat_map(|shard| [shard.primary.host, shard.replica.host]);
            if options.hosts.len() > HOSTS_IN_ORDER_MAX || used.all(|host| host < hosts) {
                return Ok(cluster);
            }
            ensure!(starts < STARTS_MAX, "a host was taken for dead at each of {starts} starts: {shards:?}");
            println!("start {starts} does not count, a host was taken for dead: {shards:?}");
            starts += 1;
        }
    }

    /// [`create`](Self::create), which may have succeeded before without an answer.
    fn create_once(&self, name: &str, nodes: usize) -> Result<()> {
        let code = |error: &anyhow::Error| error.downcast_ref::<ClientError>()?.code().map(str::to_owned);
        match self.create(name, nodes) {
            Err(error) if code(&error).as_deref() == Some("ALREADY_EXISTED") => Ok(()),
            outcome => outcome,
        }
    }

    /// Waits until every replica is in sync, no primary is being replaced, the cluster is not under review, and every proxy of
    /// it serves the view that the metadata has.
    ///
    /// # Errors
    /// When that does not come about in time; the message has the metadata and the coordinators' logs.
    pub fn wait_whole(&self, name: &str) -> Result<()> {
        self.wait_for(WHOLE_LIMIT, "the cluster is whole", || self.check_whole(name))
    }

    /// Whether the cluster is whole, and if not, what is missing.
    ///
    /// # Errors
    /// What is missing.
    pub fn check_whole(&self, name: &str) -> Result<()> {
        let (state, name) = (self.state()?, name.parse::<ClusterName>()?);
        let cluster = state.clusters.get(&name).with_context(|| format!("no cluster {name}"))?;
        ensure!(!cluster.review, "the cluster is under review");
        for id in cluster.shard_ids() {
            let (shard, place) = (cluster.shard(id), ShardPlace::of(&self.hosts, cluster, id)?);
            ensure!(shard.fence.is_none(), "{place:?} is fenced");
            ensure!(shard.replica == SyncState::InSync, "the replica of {place:?} is {:?}", shard.replica);
            for node in [place.primary, place.replica] {
                let served = self.hosts[node.host].proxy.say("UMCTL GETEPOCH")?.integer()?;
                let served = u64::try_from(served)?;
                ensure!(served == cluster.epoch.0, "host {} serves epoch {served}", node.host);
            }
        }
        Ok(())
    }

    /// Waits until the cluster is whole and every primary is at home; those that are not are told to go there.
    ///
    /// # Errors
    /// When that does not come about in time.
    pub fn wait_home(&self, name: &str) -> Result<()> {
        let settled = || self.check_whole(name).and_then(|()| self.bring_home(name));
        self.wait_for(WHOLE_LIMIT, "the cluster is whole and at home", settled)
    }

    /// Waits until each primary has heard from its replica. A replica that was given everything anew says up to a second
    /// later for the first time that it has it; until then its primary serves by its lease alone.
    ///
    /// # Errors
    /// When one does not in time.
    pub fn wait_attached(&self, name: &str) -> Result<()> {
        for shard in self.shards(name)? {
            let key = shard.key("attached", 0)?;
            let proxy = &self.hosts[shard.primary.host].proxy;
            // A lease may lapse for a moment on a machine that is busy for long: then it is asked again.
            let heard = || {
                let mut connection = proxy.connect()?;
                connection.call(&[b"SET", key.as_bytes(), b"1"])?.expect_ok()?;
                ensure!(connection.say("WAIT 1 5000")?.integer()? == 1, "no replica of {shard:?} is heard");
                Ok(())
            };
            self.wait_for(WHOLE_LIMIT, "each primary has heard from its replica", heard)?;
        }
        Ok(())
    }

    /// Whether every primary is at home; if one is not, it is told to go there.
    fn bring_home(&self, name: &str) -> Result<()> {
        let (state, name) = (self.state()?, name.parse::<ClusterName>()?);
        let cluster = state.clusters.get(&name).with_context(|| format!("no cluster {name}"))?;
        let is_away = |id: &ShardId| cluster.shard(*id).primary != id.shard;
        if let Some(away) = cluster.shard_ids().find(is_away) {
            self.runtime.block_on(self.client.balance(&name))?;
            bail!("the primary of {away:?} is away from home");
        }
        Ok(())
    }
}
