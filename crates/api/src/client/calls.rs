//! The calls by name, in the order of the reference.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use model::{Address, ClusterName, Epoch};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{BrokerClient, ClientError};
use crate::v3::{
    Addresses, BrokerSettings, Cluster, ClusterAnswer, ClusterInfo, ClusterNodeNumber, HostsCannotFail,
    MigrationTask, Names, NewProxy, NodeNumber, Proxy, ProxyAnswer,
};
use crate::v4::{
    ClusterHealth, CommandAnswer, EventPage, FailoverAnswer, FailoverRequest, Health, Jobs, Observations,
    Overview, Plan, PlannedChange, ReplaceAnswer, Review, ReviewDecision, ServeRequest, StateAnswer,
    StateMark,
};
use crate::{V3, V4};

type Answer<T> = Result<T, ClientError>;

const NOTHING: Option<&()> = None;

/// Every call fails as [`ClientError`] says.
impl BrokerClient {
    async fn read<T: DeserializeOwned>(&self, path: String) -> Answer<T> {
        self.call(Method::GET, &path, NOTHING).await
    }

    async fn act(&self, method: Method, path: String) -> Answer<()> {
        self.call::<Option<()>>(method, &path, NOTHING).await.map(drop)
    }

    async fn give(&self, method: Method, path: String, body: &(impl Serialize + Sync)) -> Answer<()> {
        self.call::<Option<()>>(method, &path, Some(body)).await.map(drop)
    }

    /// The broker's version.
    pub async fn version(&self) -> Answer<String> {
        Ok(self.health().await?.version)
    }

    /// The whole of the metadata.
    pub async fn metadata<S: DeserializeOwned>(&self) -> Answer<S> {
        self.read(format!("{V3}/metadata")).await
    }

    /// Replaces the whole of the metadata.
    pub async fn restore(&self, dump: &(impl Serialize + Sync)) -> Answer<()> {
        self.give(Method::PUT, format!("{V3}/metadata"), dump).await
    }

    /// The clusters.
    pub async fn cluster_names(&self) -> Answer<Vec<ClusterName>> {
        self.read::<Names>(format!("{V3}/clusters/names")).await.map(|answer| answer.names)
    }

    /// A cluster with its nodes; `None` if there is no cluster of that name.
    pub async fn cluster(&self, cluster: &ClusterName) -> Answer<Option<Cluster>> {
        let answer = self.read::<ClusterAnswer>(format!("{V3}/clusters/meta/{cluster}")).await;
        answer.map(|answer| answer.cluster)
    }

    /// A cluster in numbers.
    pub async fn cluster_info(&self, cluster: &ClusterName) -> Answer<ClusterInfo> {
        self.read(format!("{V3}/clusters/info/{cluster}")).await
    }

    /// Makes a cluster.
    pub async fn create_cluster(&self, cluster: &ClusterName, node_number: usize) -> Answer<()> {
        let body = NodeNumber { node_number };
        self.give(Method::POST, format!("{V3}/clusters/meta/{cluster}"), &body).await
    }

    /// Ends a cluster.
    pub async fn delete_cluster(&self, cluster: &ClusterName) -> Answer<()> {
        self.act(Method::DELETE, format!("{V3}/clusters/meta/{cluster}")).await
    }

    /// Adds that many nodes without slots.
    pub async fn add_nodes(&self, cluster: &ClusterName, node_number: usize) -> Answer<()> {
        let body = NodeNumber { node_number };
        self.give(Method::PATCH, format!("{V3}/clusters/nodes/{cluster}"), &body).await
    }

    /// Adds nodes without slots up to a total.
    pub async fn grow_to(&self, cluster: &ClusterName, cluster_node_number: usize) -> Answer<()> {
        let body = ClusterNodeNumber { cluster_node_number };
        self.give(Method::PUT, format!("{V3}/clusters/nodes/{cluster}"), &body).await
    }

    /// Gives back the chunks without slots.
    pub async fn remove_free_nodes(&self, cluster: &ClusterName) -> Answer<()> {
        self.act(Method::DELETE, format!("{V3}/clusters/free_nodes/{cluster}")).await
    }

    /// Starts to spread the slots over all nodes.
    pub async fn expand(&self, cluster: &ClusterName) -> Answer<()> {
        self.act(Method::POST, format!("{V3}/clusters/migrations/expand/{cluster}")).await
    }

    /// Starts to move the slots onto that many nodes.
    pub async fn shrink(&self, cluster: &ClusterName, node_number: usize) -> Answer<()> {
        self.act(Method::POST, format!("{V3}/clusters/migrations/shrink/{cluster}/{node_number}")).await
    }

    /// Scales to that many nodes with slots.
    pub async fn scale(&self, cluster: &ClusterName, node_number: usize) -> Answer<()> {
        self.act(Method::POST, format!("{V3}/clusters/migrations/auto/{cluster}/{node_number}")).await
    }

    /// Commits a finished migration.
    pub async fn commit_migration(&self, task: &MigrationTask) -> Answer<()> {
        self.give(Method::PUT, format!("{V3}/clusters/migrations"), task).await
    }

    /// Changes settings of a cluster.
    pub async fn configure(&self, cluster: &ClusterName, fields: &BTreeMap<String, String>) -> Answer<()> {
        self.give(Method::PATCH, format!("{V3}/clusters/config/{cluster}"), fields).await
    }

    /// Begins to bring primaries home.
    pub async fn balance(&self, cluster: &ClusterName) -> Answer<()> {
        self.act(Method::PUT, format!("{V3}/clusters/balance/{cluster}")).await
    }

    /// The registered proxies.
    pub async fn proxy_addresses(&self) -> Answer<Vec<Address>> {
        self.read::<Addresses>(format!("{V3}/proxies/addresses")).await.map(|answer| answer.addresses)
    }

    /// The proxies that count as failed.
    pub async fn failed_proxies(&self) -> Answer<Vec<Address>> {
        self.read::<Addresses>(format!("{V3}/proxies/failed/addresses")).await.map(|answer| answer.addresses)
    }

    /// A proxy with what it should know; `None` if it is not registered.
    pub async fn proxy(&self, address: &Address) -> Answer<Option<Proxy>> {
        self.read::<ProxyAnswer>(format!("{V3}/proxies/meta/{address}")).await.map(|answer| answer.proxy)
    }

    /// Registers a proxy, or clears its failure (and is refused with ALREADY_EXISTED).
    pub async fn add_proxy(&self, proxy: &NewProxy) -> Answer<()> {
        self.give(Method::POST, format!("{V3}/proxies/meta"), proxy).await
    }

    /// Forgets a proxy.
    pub async fn remove_proxy(&self, address: &Address) -> Answer<()> {
        self.act(Method::DELETE, format!("{V3}/proxies/meta/{address}")).await
    }

    /// Reports a proxy as failed.
    pub async fn report_failure(&self, address: &Address, reporter: &str) -> Answer<()> {
        self.act(Method::POST, format!("{V3}/failures/{address}/{reporter}")).await
    }

    /// The proxies that a quorum reports as failed.
    pub async fn failures(&self) -> Answer<Vec<Address>> {
        self.read::<Addresses>(format!("{V3}/failures")).await.map(|answer| answer.addresses)
    }

    /// Takes a proxy out of service; answers what has its place, if it was in use.
    pub async fn fail_over_proxy(&self, address: &Address) -> Answer<Option<Proxy>> {
        let path = format!("{V3}/proxies/failover/{address}");
        self.call::<ProxyAnswer>(Method::POST, &path, NOTHING).await.map(|answer| answer.proxy)
    }

    /// The hosts whose loss the pool could not make up for.
    pub async fn hosts_cannot_fail(&self) -> Answer<Vec<String>> {
        let path = format!("{V3}/resources/failures/check");
        let answer = self.call::<HostsCannotFail>(Method::POST, &path, NOTHING).await;
        answer.map(|answer| answer.hosts_cannot_fail)
    }

    /// The global epoch.
    pub async fn epoch(&self) -> Answer<Epoch> {
        self.read(format!("{V3}/epoch")).await
    }

    /// Raises all epochs to a number.
    pub async fn raise_epoch(&self, epoch: Epoch) -> Answer<()> {
        self.act(Method::PUT, format!("{V3}/epoch/{}", epoch.0)).await
    }

    /// Raises all epochs past those of the proxies; answers the proxies that could not be asked.
    pub async fn recover_epoch(&self) -> Answer<Vec<Address>> {
        let path = format!("{V3}/epoch/recovery");
        self.call::<Addresses>(Method::PUT, &path, NOTHING).await.map(|answer| answer.addresses)
    }

    /// The broker's settings that can be changed.
    pub async fn settings(&self) -> Answer<BrokerSettings> {
        self.read(format!("{V3}/config")).await
    }

    /// Changes the broker's settings.
    pub async fn set_settings(&self, settings: &BrokerSettings) -> Answer<()> {
        self.give(Method::PUT, format!("{V3}/config"), settings).await
    }

    /// Events after a cursor, at most `limit`.
    pub async fn events(&self, after: u64, limit: usize) -> Answer<EventPage> {
        self.read(format!("{V4}/events?after={after}&limit={limit}")).await
    }

    /// What long things are under way.
    pub async fn jobs(&self) -> Answer<Jobs> {
        self.read(format!("{V4}/jobs")).await
    }

    /// Calls off a cluster's migrations that are not committed.
    pub async fn cancel_jobs(&self, cluster: &ClusterName) -> Answer<()> {
        self.act(Method::DELETE, format!("{V4}/jobs/{cluster}")).await
    }

    /// Stops a cluster's migrations until they are resumed.
    pub async fn pause_jobs(&self, cluster: &ClusterName) -> Answer<()> {
        self.act(Method::POST, format!("{V4}/jobs/{cluster}/pause")).await
    }

    /// Lets a cluster's migrations go on.
    pub async fn resume_jobs(&self, cluster: &ClusterName) -> Answer<()> {
        self.act(Method::POST, format!("{V4}/jobs/{cluster}/resume")).await
    }

    /// How the broker is.
    pub async fn health(&self) -> Answer<Health> {
        self.read(format!("{V4}/health")).await
    }

    /// Moves primaries of a cluster to their replicas.
    pub async fn fail_over(&self, cluster: &ClusterName, wanted: &FailoverRequest) -> Answer<FailoverAnswer> {
        self.call(Method::POST, &format!("{V4}/clusters/{cluster}/failover"), Some(wanted)).await
    }

    /// Takes a living proxy without primaries out of its cluster.
    pub async fn replace_proxy(&self, address: &Address) -> Answer<ReplaceAnswer> {
        self.call(Method::POST, &format!("{V4}/proxies/{address}/replace"), NOTHING).await
    }

    /// Has a primary that came back without its data serve with what it has.
    pub async fn serve(&self, cluster: &ClusterName, wanted: &ServeRequest) -> Answer<()> {
        self.give(Method::POST, format!("{V4}/clusters/{cluster}/serve"), wanted).await
    }

    /// How a cluster is; with `live` its proxies are asked, too.
    pub async fn cluster_health(&self, cluster: &ClusterName, live: bool) -> Answer<ClusterHealth> {
        self.read(format!("{V4}/clusters/{cluster}/health?live={live}")).await
    }

    /// How everything is, in short.
    pub async fn overview(&self) -> Answer<Overview> {
        self.read(format!("{V4}/overview")).await
    }

    /// What a change would do.
    pub async fn plan(&self, change: &PlannedChange) -> Answer<Plan> {
        self.call(Method::POST, &format!("{V4}/plan"), Some(change)).await
    }

    /// The metadata once it is not what is known, or nothing after `wait`. Never older than the beginning of the
    /// call.
    pub async fn state<S: DeserializeOwned>(
        &self,
        known: Option<&StateMark>,
        wait: Duration,
    ) -> Answer<StateAnswer<S>> {
        // Without its time an answer lets nobody grant a lease.
        self.saying(crate::GRANTS_NOTHING).state_timed(known, wait).await.map(|(answer, _)| answer)
    }

    /// The same, and an instant than which the answer is not older: when the broker that gave it was asked, after others
    /// that did not answer.
    pub async fn state_timed<S: DeserializeOwned>(
        &self,
        known: Option<&StateMark>,
        wait: Duration,
    ) -> Answer<(StateAnswer<S>, Instant)> {
        let known = known.map(|mark| format!("&after={}&history={}", mark.change, mark.history));
        let path = format!("{V4}/state?wait_ms={}{}", wait.as_millis(), known.unwrap_or_default());
        self.call_timed(Method::GET, &path, NOTHING).await
    }

    /// Applies a command of the metadata's own, with the broker's time in it.
    pub async fn command<R: DeserializeOwned>(&self, command: &(impl Serialize + Sync)) -> Answer<R> {
        let answer =
            self.call::<CommandAnswer<R>>(Method::POST, &format!("{V4}/commands"), Some(command)).await;
        answer.map(|answer| answer.reply)
    }

    /// What is under review.
    pub async fn review(&self) -> Answer<Review> {
        self.read(format!("{V4}/review")).await
    }

    /// Ends a review by an operator's word.
    pub async fn decide_review(&self, decision: &ReviewDecision) -> Answer<()> {
        self.give(Method::POST, format!("{V4}/review"), decision).await
    }

    /// Tells a broker what a coordinator sees.
    pub async fn observe(&self, seen: &Observations) -> Answer<()> {
        self.give(Method::POST, format!("{V4}/observations"), seen).await
    }
}
