//! The pool: registering proxies, forgetting them, and noting that they are clean.

use model::{Address, Epoch};

use crate::command::{NewProxy, Reply};
use crate::error::ApplyError;
use crate::state::{Comebacks, HostName, Proxy, State, UNCLEANED_NODES_MAX};

/// Registers a proxy; one that is registered has its failure cleared instead.
pub(super) fn register(state: &mut State, new: NewProxy) -> Result<Reply, ApplyError> {
    let NewProxy { address, nodes, host, index } = new;
    if state.settings.ordered_proxies && index.is_none() {
        return Err(ApplyError::MissingProxyIndex(address));
    }
    if let Some(record) = state.proxies.get_mut(&address) {
        let has_these =
            nodes.len() == record.nodes.len() && nodes.iter().all(|node| record.nodes.contains(node));
        if !has_these || host.as_ref().is_some_and(|host| *host != record.host) {
            let (nodes, host) = (record.nodes.clone(), record.host.to_string());
            return Err(ApplyError::RegisteredOtherwise { proxy: address, nodes, host });
        }
        let had_reports = state.failures.remove(&address).is_some();
        let had_failed = record.failed_since.take().is_some();
        if had_failed || had_reports {
            record.comebacks = record.comebacks.next();
            record.vouched = None;
        }
        if had_failed {
            empty_anew(state, &address);
        }
        return Ok(Reply::AlreadyExisted);
    }
    let nodes = check_nodes(state, &address, nodes)?;
    // By whatever name: the halves of a chunk must not be on one machine.
    let host = host.unwrap_or_else(|| HostName(address.machine().into_owned()));
    if !host.is_fit() {
        return Err(ApplyError::InvalidHost);
    }
    let epoch = state.next_epoch();
    // Another tenant's keys may still be there.
    let dirty = nodes.iter().any(|node| state.uncleaned_nodes.contains(node));
    state.uncleaned_nodes.retain(|node| !nodes.contains(node));
    let proxy = Proxy {
        nodes,
        host,
        index,
        cluster: None,
        epoch,
        failed_since: None,
        dirty,
        comebacks: Comebacks::default(),
        vouched: None,
        // It may serve a cluster that has been forgotten here.
        review: state.is_in_doubt(),
        is_new: false,
        serves_nobody: false,
    };
    state.proxies.insert(address, proxy);
    Ok(Reply::Done)
}

/// Registers a proxy of which it is not known that it is idle. Where these metadata themselves are in doubt it may well
/// serve for them; else it may be another control plane's.
pub(super) fn announce(
    state: &mut State,
    new: NewProxy,
    is_at_work: bool,
    serves_nobody: bool,
) -> Result<Reply, ApplyError> {
    let (address, is_in_doubt) = (new.address.clone(), state.is_in_doubt());
    let reply = register(state, new)?;
    if let Some(record) = state.proxies.get_mut(&address).filter(|_| reply == Reply::Done) {
        (record.review, record.is_new) = (is_at_work || is_in_doubt, !is_in_doubt);
        record.serves_nobody = serves_nobody;
    }
    Ok(reply)
}

/// A proxy of the pool was away: nobody knows what its nodes come back with.
pub(super) fn empty_anew(state: &mut State, address: &Address) {
    let is_clean = |record: &Proxy| record.cluster.is_none() && !record.dirty && !record.review;
    if !state.proxies.get(address).is_some_and(is_clean) {
        return;
    }
    let epoch = state.next_epoch();
    if let Some(record) = state.proxies.get_mut(address) {
        (record.dirty, record.epoch) = (true, epoch);
    }
}

/// Notes that the nodes of a proxy of the pool may hold something again, by what was seen while it had the empty view of
/// that epoch: what was seen before it was emptied says nothing.
pub(super) fn note_dirty(state: &mut State, address: &Address, epoch: Epoch) -> Result<Reply, ApplyError> {
    let record = state.proxy(address)?;
    if record.epoch != epoch || record.cluster.is_some() {
        return Err(ApplyError::Retry("the proxy has been given another view since, or to a cluster"));
    }
    let unseen = state.proxies.get_mut(address).filter(|record| record.is_new && !record.dirty);
    match unseen {
        Some(record) => record.review = true,
        None => empty_anew(state, address),
    }
    Ok(Reply::Done)
}

fn check_nodes(state: &State, proxy: &Address, nodes: Vec<Address>) -> Result<[Address; 2], ApplyError> {
    let invalid = |address: &Address, reason| {
        Err(ApplyError::InvalidProxyAddress { address: address.to_string(), reason })
    };
    let Ok([first, second]) = <[Address; 2]>::try_from(nodes) else {
        return invalid(proxy, "a proxy has two nodes");
    };
    if first == second {
        return invalid(&first, "the two nodes of a proxy are two");
    }
    let is_node = |place: &Address| {
        state.proxies.values().any(|other| other.nodes.iter().any(|node| node.is_same_place(place)))
    };
    if is_node(proxy) {
        return invalid(proxy, "it is a node of another proxy");
    }
    if state.proxies.keys().any(|other| other.is_same_place(proxy)) {
        return invalid(proxy, "it is registered by another name of its machine");
    }
    for node in [&first, &second] {
        if node == proxy {
            return invalid(node, "a proxy is not its own node");
        }
        if state.proxies.keys().any(|other| other.is_same_place(node)) {
            return invalid(node, "it is a proxy, and no node");
        }
        if node.host() != proxy.host() {
            return invalid(node, "a node is on the host of its proxy, and named like it");
        }
        if is_node(node) {
            return invalid(node, "the node is behind another proxy");
        }
    }
    Ok([first, second])
}

/// Forgets a proxy of the pool, but not which of its nodes may hold the keys of a cluster.
pub(super) fn remove(state: &mut State, address: &Address) -> Result<Reply, ApplyError> {
    let record = state.proxy(address)?;
    if record.cluster.is_some() {
        return Err(ApplyError::InUse(address.clone()));
    }
    if record.dirty || (record.review && !record.is_new) {
        let nodes = record.nodes.clone();
        if state.uncleaned_nodes.len() + nodes.len() > UNCLEANED_NODES_MAX {
            return Err(ApplyError::TooManyUncleaned(address.clone()));
        }
        state.uncleaned_nodes.extend(nodes);
    }
    state.proxies.remove(address);
    state.failures.remove(address);
    Ok(Reply::Done)
}

/// Notes that the nodes of a proxy hold nothing. The proxy must have had the empty view of that epoch while
/// they were emptied: a view that came later may have brought new data.
pub(super) fn cleaned(state: &mut State, address: &Address, epoch: Epoch) -> Result<Reply, ApplyError> {
    let record = state.proxy(address)?;
    if record.epoch != epoch {
        return Err(ApplyError::Retry("the proxy has been given another view since"));
    }
    let (is_clean, cluster) = (!record.dirty, record.cluster.clone());
    if is_clean {
        if let Some(record) = state.proxies.get_mut(address) {
            record.is_new = false;
        }
        return Ok(Reply::Done);
    }
    let epoch = state.next_epoch();
    if let Some(record) = state.proxies.get_mut(address) {
        (record.dirty, record.is_new) = (false, false);
        record.epoch = epoch;
    }
    // A cluster that waits for it may now give it its view.
    if let Some(cluster) = cluster.and_then(|name| state.clusters.get_mut(&name)) {
        cluster.epoch = epoch;
    }
    Ok(Reply::Done)
}
