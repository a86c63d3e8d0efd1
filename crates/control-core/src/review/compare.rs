//! One cluster: what its proxies have against what the metadata says, in words.

use std::collections::BTreeMap;

use model::{Address, ClusterName, Epoch};

use super::found::{AskedProxies, Found};
use super::serving::Newest;
use super::verdict::ClusterReview;
use crate::apply::apply;
use crate::command::Command;
use crate::explain::explain;
use crate::serving::Serving;
use crate::state::{Half, State};
use crate::time::TimeMs;

/// Compares a cluster.
pub(super) fn cluster(
    state: &State,
    name: &ClusterName,
    asked: &AskedProxies,
    highest: Epoch,
) -> ClusterReview {
    let stored = state.clusters.get(name).map(|cluster| cluster.epoch);
    let by_metadata = by_metadata(state, name, asked);
    let mut review = ClusterReview {
        stored,
        served: None,
        serving: None,
        obstacles: Vec::new(),
        by_proxies: Vec::new(),
        deposed: BTreeMap::new(),
        by_metadata,
    };
    let newest = Newest::find(state, name, asked);
    review.deposed = deposed(state, name, newest.as_ref());
    let Some(newest) = newest else {
        review.obstacles.push(nobody_serves(state, name, asked));
        return review;
    };
    review.served = Some(newest.epoch);
    review.obstacles = strangers(&newest);
    review.obstacles.extend(unknown(state, &newest));
    let serving = match newest.serving() {
        Ok(serving) => serving,
        Err(reason) => {
            review.obstacles.push(reason);
            return review;
        }
    };
    review.obstacles.extend(unserved(&newest, &serving));
    review.obstacles.extend(left_out(&newest, &serving));
    let (read, serving) = (stored, Box::new(serving));
    let now = TimeMs::default();
    let adopt = Command::Adopt { cluster: name.clone(), read, serving: serving.clone(), highest, now };
    let mut after = state.clone();
    match apply(&mut after, adopt) {
        Ok(_) => {
            review.by_proxies = explain(state, &after);
            review.serving = Some(*serving);
        }
        Err(error) => review.obstacles.push(error.to_string()),
    }
    review
}

fn nobody_serves(state: &State, name: &ClusterName, asked: &AskedProxies) -> String {
    let members = || {
        let chunks = state.clusters.get(name).into_iter().flat_map(|cluster| &cluster.chunks);
        chunks.flat_map(|chunk| &chunk.proxies)
    };
    let silent = members().filter(|proxy| !matches!(asked.get(*proxy), Some(Some(_)))).count();
    let others =
        members().filter_map(|proxy| asked.get(proxy)?.as_ref()).filter(|found| found.epoch() > Epoch(0));
    match others.count() {
        0 => format!(
            "no proxy has a view of it: {silent} of its proxies do not answer, the others know nothing"
        ),
        count => format!(
            "no proxy has a view of it, and {count} of its proxies were told of something else since: it may have been \
             deleted; {silent} of its proxies do not answer"
        ),
    }
}

/// Proxies of the newest view that do not say what it says of them.
fn strangers(newest: &Newest<'_>) -> Vec<String> {
    let mut words = Vec::new();
    for proxy in newest.members.keys() {
        let Some(found) = newest.found(proxy) else {
            words.push(format!("proxy {proxy} does not answer, and may know more"));
            continue;
        };
        let epoch = found.health.view_epoch;
        if found.cluster() != Some(newest.name) && epoch > newest.epoch {
            words.push(format!("proxy {proxy} has left the cluster at epoch {epoch}"));
        }
    }
    words
}

/// Proxies of the newest view that were registered here and serve what these metadata did not know.
fn unknown(state: &State, newest: &Newest<'_>) -> Option<String> {
    let is_new = |proxy: &&&Address| state.proxies.get(**proxy).is_some_and(|record| record.is_new);
    let new: Vec<String> = newest.members.keys().filter(is_new).map(ToString::to_string).collect();
    (!new.is_empty()).then(|| {
        format!(
            "{} served it when they were registered here: unless this broker has lost its metadata, another control plane \
             has them",
            new.join(", ")
        )
    })
}

/// Shards whose primaries do not serve now.
fn unserved(newest: &Newest<'_>, serving: &Serving) -> Vec<String> {
    let mut words = Vec::new();
    for chunk in &serving.chunks {
        for home in Half::BOTH {
            let shard = &chunk.shards[home.index()];
            if shard.slots.is_empty() || newest.is_served(chunk, home) {
                continue;
            }
            let node = newest.node(chunk, home, shard.primary).map_or_else(String::new, ToString::to_string);
            words.push(format!(
                "slots {} should be served by {node} behind {}, and are not",
                shard.slots,
                chunk.proxies[shard.primary.index()]
            ));
        }
    }
    words
}

/// Proxies that the cluster has now and would lose.
fn left_out(newest: &Newest<'_>, serving: &Serving) -> Option<String> {
    let left_out: Vec<String> = newest.left_out(serving).iter().map(ToString::to_string).collect();
    (!left_out.is_empty()).then(|| {
        format!(
            "{} have no slots, and nobody says which of them belong together: the cluster would be taken over without them, \
             and they are reviewed one by one",
            left_out.join(", ")
        )
    })
}

/// Primaries by the metadata of which nobody can say that they, and so nobody else, serve now: each with the proxy that
/// serves by the newest view, or else that of the replica.
fn deposed(state: &State, name: &ClusterName, newest: Option<&Newest<'_>>) -> BTreeMap<Address, Address> {
    let chunks = state.clusters.get(name).into_iter().flat_map(|cluster| &cluster.chunks);
    let shards = chunks.flat_map(|chunk| Half::BOTH.map(|home| (chunk, home)));
    let with_slots = shards.filter(|(chunk, home)| !chunk.shard(*home).slots.is_empty());
    let unserved = with_slots.filter(|(chunk, home)| {
        let (proxy, primary) = (chunk.primary_proxy(*home), chunk.primary(*home));
        !newest.is_some_and(|newest| newest.serves(proxy, primary, &chunk.shard(*home).slots))
    });
    unserved
        .map(|(chunk, home)| {
            let owner = newest.and_then(|newest| newest.owner(&chunk.shard(home).slots));
            let other = owner.filter(|owner| *owner != chunk.primary_proxy(home));
            let other = other.unwrap_or_else(|| chunk.replica_proxy(home));
            (chunk.primary(home).clone(), other.clone())
        })
        .collect()
}

/// What the nodes of each shard hold that the metadata would make its primary and its replica.
fn by_metadata(state: &State, name: &ClusterName, asked: &AskedProxies) -> Vec<String> {
    let mut words = Vec::new();
    let chunks = state.clusters.get(name).into_iter().flat_map(|cluster| &cluster.chunks);
    for chunk in chunks {
        for shard in Half::BOTH.into_iter().filter(|shard| !chunk.shard(*shard).slots.is_empty()) {
            let (primary, replica) = (chunk.primary(shard), chunk.replica(shard));
            let told = |proxy, node| node_told(asked.get(proxy).and_then(Option::as_ref), node);
            words.push(format!(
                "slots {}: {primary} ({}) would be the primary, and {replica} ({}) would be given what it has",
                chunk.shard(shard).slots,
                told(chunk.primary_proxy(shard), primary),
                told(chunk.replica_proxy(shard), replica),
            ));
        }
    }
    words
}

fn node_told(found: Option<&Found>, node: &Address) -> String {
    let Some(found) = found else { return "its proxy does not answer".to_owned() };
    let Some(health) = found.node(node) else { return "not known to its proxy".to_owned() };
    let role = match &health.primary {
        Some(primary) => format!("replica of {primary}"),
        None => "primary".to_owned(),
    };
    match found.contents.get(node) {
        Some(contents) => {
            format!("{} keys, {role}, offset {}, run id {:.8}", contents.keys, health.offset, contents.run_id)
        }
        None => format!("{role}, it does not answer"),
    }
}
