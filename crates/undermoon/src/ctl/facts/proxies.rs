//! The registered proxies.

use control_core::{Proxy, State};
use model::{Address, ClusterName};
use serde::Serialize;

/// A registered proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::ctl) struct ProxyLine {
    /// Where it serves clients.
    pub proxy: Address,
    /// Its failure domain.
    pub host: String,
    /// How it is, in one word.
    pub state: ProxyCondition,
    /// The cluster that it serves.
    pub cluster: Option<ClusterName>,
    /// Its nodes.
    pub nodes: [Address; 2],
    /// Its place, where proxies are ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
}

/// How a proxy is; of several the first that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::ctl) enum ProxyCondition {
    /// It counts as failed.
    Failed,
    /// It is not known whether it serves somebody: see `ctl review`.
    InReview,
    /// Somebody has reported it, and not yet enough.
    Reported,
    /// What an earlier cluster left on its nodes is being removed.
    Cleaning,
    /// It serves a cluster.
    Used,
    /// It can be given to a cluster.
    Free,
}

impl ProxyCondition {
    pub(in crate::ctl) const fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::InReview => "in review",
            Self::Reported => "reported",
            Self::Cleaning => "cleaning",
            Self::Used => "used",
            Self::Free => "free",
        }
    }
}

/// Every registered proxy, in order.
pub(in crate::ctl) fn proxy_lines(state: &State) -> Vec<ProxyLine> {
    let line = |(address, proxy): (&Address, &Proxy)| ProxyLine {
        proxy: address.clone(),
        host: proxy.host.to_string(),
        state: proxy_condition(state, address, proxy),
        cluster: proxy.cluster.clone(),
        nodes: proxy.nodes.clone(),
        index: proxy.index,
    };
    state.proxies.iter().map(line).collect()
}

fn proxy_condition(state: &State, address: &Address, proxy: &Proxy) -> ProxyCondition {
    if proxy.failed_since.is_some() {
        ProxyCondition::Failed
    } else if state.is_proxy_under_review(address) {
        ProxyCondition::InReview
    } else if state.failures.contains_key(address) {
        ProxyCondition::Reported
    } else if proxy.dirty {
        ProxyCondition::Cleaning
    } else if proxy.cluster.is_some() {
        ProxyCondition::Used
    } else {
        ProxyCondition::Free
    }
}
