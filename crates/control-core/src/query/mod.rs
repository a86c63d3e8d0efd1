//! What the HTTP API answers about the state, in the shapes of `/api/v3`.

mod busy;
mod cluster;
mod health;
mod late;
mod page;
mod proxy;
mod resources;
mod unattached;
mod unserved;

pub use busy::{BusyShard, busy};
pub use cluster::{ClusterInfo, ClusterMeta, NodeMeta, ReplMeta, cluster_info, cluster_meta};
pub use health::{
    Asked, Level, ShardCondition, answered, cannot_serve, is_served, is_settled, shard_condition,
};
pub use late::{LateProxy, late};
pub use page::{Page, cluster_names, failed_proxies, proxy_addresses, reported_proxies};
pub use proxy::{PeerMeta, ProxyMeta, proxy_meta};
pub use resources::hosts_cannot_fail;
pub use unattached::{Unattached, unattached};
pub use unserved::{Unserved, unserved};
