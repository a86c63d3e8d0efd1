//! Metadata that may be older than what the proxies know: what was found, and what an operator decides.

use model::{Address, ClusterName, Epoch};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Answer of GET `review`: what is under review, by what the proxies have just answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Review {
    /// Whether anything is.
    pub is_under_review: bool,
    /// Whether what is served is taken over as soon as nothing speaks against it; else an operator is waited for
    /// (`review_policy`).
    pub is_automatic: bool,
    /// Clusters, and those that are served and not in the metadata.
    pub clusters: Vec<ClusterReview>,
    /// Proxies of the pool.
    pub proxies: Vec<ProxyReview>,
}

/// A cluster that is under review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClusterReview {
    /// The cluster.
    #[schema(value_type = String)]
    pub cluster: ClusterName,
    /// The epoch that the metadata has for it; null where the metadata does not have it.
    #[schema(value_type = Option<u64>)]
    pub stored_epoch: Option<Epoch>,
    /// The epoch of the newest view that any of its proxies has.
    #[schema(value_type = Option<u64>)]
    pub served_epoch: Option<Epoch>,
    /// Why an operator is asked, one sentence each; empty where nobody needs to be.
    pub obstacles: Vec<String>,
    /// What `"by":"proxies"` would change in the metadata; null where nobody can tell how the cluster is served.
    pub by_proxies: Option<Vec<String>>,
    /// What `"by":"metadata"` would make of the nodes; null where the metadata does not have the cluster.
    pub by_metadata: Option<Vec<String>>,
}

/// A proxy of the pool that is under review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProxyReview {
    /// The proxy.
    #[schema(value_type = String)]
    pub proxy: Address,
    /// The epoch of its view; null where it does not answer.
    #[schema(value_type = Option<u64>)]
    pub epoch: Option<Epoch>,
    /// Why an operator is asked; null where no operator is needed.
    pub obstacle: Option<String>,
}

/// Body of POST `review`: what is right. Either a cluster and by what, or a proxy of the pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewDecision {
    /// The cluster.
    #[schema(value_type = Option<String>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterName>,
    /// Who is right about the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<ReviewedBy>,
    /// A proxy of the pool that serves nobody. Its nodes are emptied.
    #[schema(value_type = Option<String>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Address>,
}

/// Who is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReviewedBy {
    /// The cluster is as its proxies serve it.
    Proxies,
    /// The cluster is as the metadata has it: proxies are given that, and nodes that become replicas lose what they have.
    Metadata,
}
