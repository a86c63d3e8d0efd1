//! `undermoon ctl pool replace`: taking a living proxy out of its cluster.

use api::v4::{FailoverRequest, PlannedChange};
use control_core::{State, SyncState};
use model::{Address, ClusterName};

use super::cluster::until_handed_over;
use super::context::Context;
use super::error::CtlError;
use super::output::{Done, print};
use super::wait::{Patience, Progress, Task, spoken, until_done};
use super::{advice, connection};

/// The code with which the broker refuses to replace a proxy that has primaries.
const HAS_PRIMARIES: &str = "HAS_PRIMARIES";

/// Take a living proxy out of its cluster, without loss: another of the pool takes its place
///
/// Its primaries are handed over, the new proxy's nodes are filled, and the old ones are emptied. Then the proxy is in the
/// pool again, and can be removed.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The proxy
    proxy: Address,
    #[command(flatten)]
    patience: Patience,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CtlError> {
    let (proxy, client) = (&arguments.proxy, &context.client);
    // Nothing is handed over where the rest would be refused.
    let plan = client.plan(&PlannedChange::ReplaceProxy { address: proxy.clone() }).await?;
    if let Some(code) = plan.error.filter(|code| code != HAS_PRIMARIES) {
        return Err(CtlError::failed(plan.words.join("; "), advice::of(&code).unwrap_or_default()));
    }
    if let Some(cluster) = cluster_with_primaries(&connection::state(client).await?, proxy) {
        let wanted = FailoverRequest { proxy: Some(proxy.clone()), ..FailoverRequest::default() };
        let shards = client.fail_over(&cluster, &wanted).await?.shards;
        until_handed_over(context, &cluster, arguments.patience, &shards).await?;
    }
    let answer = client.replace_proxy(proxy).await?;
    let (cluster, new) = (&answer.cluster, &answer.replacement);
    if arguments.patience.no_wait {
        let message =
            format!("cluster {cluster}: {new} has the place of {proxy}; its nodes are being filled");
        return print(context.format, &Done::accepted(message));
    }
    let task = Task {
        name: &format!("cluster {cluster}: {new} instead of {proxy}"),
        unit: "steps (two replicas filled, the old nodes emptied)",
        advice: "`undermoon ctl cluster show` shows which replica is not in sync; is a coordinator running, and can it reach \
                 the proxies?",
    };
    let measure = |state: &State| Ok(progress(state, cluster, (proxy, new)));
    let took = until_done(client, arguments.patience, task, measure).await?;
    let message = format!(
        "cluster {cluster}: {new} has taken the place of {proxy}, after {}; {proxy} is in the pool, and `undermoon ctl pool \
         remove {proxy}` takes it out of there",
        spoken(took)
    );
    print(context.format, &Done::complete(message))
}

/// The cluster in which a proxy has primaries.
fn cluster_with_primaries(state: &State, proxy: &Address) -> Option<ClusterName> {
    let name = state.proxies.get(proxy)?.cluster.as_ref()?;
    let cluster = state.clusters.get(name)?;
    let (place, half) = cluster.place_of(proxy)?;
    cluster.chunks[place].primaries_in(half).next().map(|_| name.clone())
}

/// How far it is. A new proxy that has been replaced itself is not waited for.
fn progress(state: &State, cluster: &ClusterName, (old, new): (&Address, &Address)) -> Progress {
    let place = state.clusters.get(cluster).and_then(|cluster| Some((cluster, cluster.place_of(new)?)));
    let filled = place.map_or(2, |(cluster, (chunk, _))| {
        let shards = cluster.chunks[chunk].shards.iter();
        shards.filter(|shard| shard.replica == SyncState::InSync).count()
    });
    let is_emptied =
        state.proxies.get(old).is_none_or(|record| !record.dirty || record.failed_since.is_some());
    Progress::of(filled + usize::from(is_emptied), 3)
}
