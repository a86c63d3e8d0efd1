//! What changed between two states, in words: for dry runs and for the record of events.

use std::collections::BTreeMap;

use model::Address;

use crate::state::{Chunk, Cluster, Comeback, Difference, Half, MigrationOutcome, State, SyncState};

/// One sentence for each change that an operator would want to know of, from `before` to `after`. For a dry
/// run, apply the command to a copy and explain the difference.
#[must_use]
pub fn explain(before: &State, after: &State) -> Vec<String> {
    let mut words = explain_settings(before, after);
    let clusters = before.clusters.differences(&after.clusters);
    for Difference { key: name, before, after } in &clusters {
        match (before, after) {
            (Some(old), None) => words.push(format!(
                "cluster {name} is deleted, {} proxies go back to the pool",
                old.chunks.len() * 2
            )),
            (Some(old), Some(new)) => {
                let changes = explain_cluster(old, new).into_iter();
                words.extend(changes.map(|change| format!("cluster {name}: {change}")));
            }
            (None, _) => {}
        }
    }
    for Difference { key: name, before, after } in &clusters {
        if let (None, Some(new)) = (before, after) {
            words.push(format!("cluster {name} is created with {} nodes", new.node_count()));
            words.extend(new.chunks.iter().map(|chunk| format!("cluster {name}: {}", describe(chunk))));
        }
    }
    let proxies = before.proxies.differences(&after.proxies);
    for Difference { key: address, before, after } in &proxies {
        match (before, after) {
            (Some(_), None) => words.push(format!("proxy {address} leaves the pool")),
            (Some(old), Some(new)) => {
                if old.failed_since.is_some() != new.failed_since.is_some() {
                    let what = if new.failed_since.is_some() { "counts as failed" } else { "is well again" };
                    words.push(format!("proxy {address} {what}"));
                }
                match (&old.vouched, &new.vouched) {
                    (None, Some(vouch)) => {
                        words.push(format!(
                            "proxy {address} is heard by {}, and does not count as failed",
                            vouch.by
                        ));
                    }
                    (Some(before), Some(vouch)) if before.by != vouch.by => {
                        words.push(format!("proxy {address} is heard by {}, too", vouch.by));
                    }
                    _ => {}
                }
                if old.review != new.review {
                    let what = if new.review { "is under review" } else { "is not under review any more" };
                    words.push(format!("proxy {address} {what}"));
                }
                if old.dirty && !new.dirty {
                    words.push(format!("proxy {address} is empty and ready"));
                }
                // What leaves a cluster is emptied as a matter of course.
                if !old.dirty && new.dirty && old.cluster.is_none() && new.cluster.is_none() {
                    words.push(format!("proxy {address} may hold something, and is emptied again"));
                }
            }
            (None, _) => {}
        }
    }
    for Difference { key: address, before, after } in &proxies {
        if let (None, Some(new)) = (before, after) {
            let first = match (new.review, new.dirty) {
                (true, _) => ", and is under review until it is known whether it serves anybody",
                (false, true) => ", and is emptied first",
                (false, false) => "",
            };
            words.push(format!("proxy {address} on host {} joins the pool{first}", new.host));
        }
    }
    words
}

fn explain_settings(before: &State, after: &State) -> Vec<String> {
    let (old, new) = (&before.settings, &after.settings);
    let changes = [
        ("failure_ttl_ms", old.failure_ttl_ms.to_string(), new.failure_ttl_ms.to_string()),
        ("failure_quorum", old.failure_quorum.to_string(), new.failure_quorum.to_string()),
        ("migration_limit", old.migration_limit.to_string(), new.migration_limit.to_string()),
        ("restarted_primary", old.restarted_primary.to_string(), new.restarted_primary.to_string()),
        ("ordered_proxies", old.ordered_proxies.to_string(), new.ordered_proxies.to_string()),
    ];
    let changes = changes.into_iter().filter(|(_, was, is)| was != is);
    let mut words: Vec<String> =
        changes.map(|(name, was, is)| format!("{name} changes from {was} to {is}")).collect();
    if before.lease_limit != after.lease_limit {
        let (was, is) = (before.lease_limit, after.lease_limit);
        words.push(if was.granted_ms == is.granted_ms {
            format!("leases of more than {} ms have run out", is.held_ms)
        } else {
            format!("leases of up to {} ms may be granted; it was {} ms", is.granted_ms, was.granted_ms)
        });
    }
    if before.replica_addresses != after.replica_addresses {
        words.push(match after.replica_addresses.as_slice() {
            [] => "no other broker gets a copy".to_owned(),
            brokers => format!("copies go to {}", brokers.join(", ")),
        });
    }
    words
}

fn describe(chunk: &Chunk) -> String {
    let shard = |shard: Half| {
        let slots = &chunk.shard(shard).slots;
        let slots = if slots.is_empty() { "no slots".to_owned() } else { format!("slots {slots}") };
        format!("{slots} at {} behind {}", chunk.primary(shard), chunk.primary_proxy(shard))
    };
    format!("a chunk with {} and {}", shard(Half::First), shard(Half::Second))
}

fn explain_cluster(old: &Cluster, new: &Cluster) -> Vec<String> {
    let mut words = Vec::new();
    match (old.review, new.review) {
        (false, true) => words.push(
            "it is under review: nobody is promoted, emptied or given a view until its proxies have been asked".to_owned(),
        ),
        (true, false) => words.push("its review is over".to_owned()),
        _ => {}
    }
    let (old_places, new_places) = (places(old), places(new));
    for chunk in &old.chunks {
        match find(&new_places, chunk) {
            Some(place) => explain_chunk(chunk, &new.chunks[place], &mut words),
            None => words.push(format!(
                "the chunk of {} and {} goes back to the pool",
                chunk.proxies[0], chunk.proxies[1]
            )),
        }
    }
    for chunk in new.chunks.iter().filter(|chunk| find(&old_places, chunk).is_none()) {
        words.push(format!("added {}", describe(chunk)));
    }
    explain_migrations(old, new, &mut words);
    if old.paused != new.paused && !new.migrations.is_empty() {
        words.push(format!("the moves of slots {}", if new.paused { "are paused" } else { "go on" }));
    }
    if new.scaling.is_some() && old.scaling.is_none() {
        words.push("slots will move to the new nodes as soon as their proxies know of it".to_owned());
    }
    if old.config != new.config {
        for ((field, was), (_, is)) in old.config.iter().zip(new.config.iter()).filter(|(was, is)| was != is)
        {
            words.push(format!("{field} changes from {was} to {is}"));
        }
    }
    words
}

/// Where each proxy is, as which half.
fn places(cluster: &Cluster) -> BTreeMap<(Half, &Address), usize> {
    let chunks = cluster.chunks.iter().enumerate();
    chunks.flat_map(|(place, chunk)| Half::BOTH.map(|half| ((half, chunk.proxy(half)), place))).collect()
}

/// Where a chunk is: one of its proxies may have been replaced.
fn find(places: &BTreeMap<(Half, &Address), usize>, chunk: &Chunk) -> Option<usize> {
    Half::BOTH.into_iter().find_map(|half| places.get(&(half, chunk.proxy(half))).copied())
}

fn explain_migrations(old: &Cluster, new: &Cluster, words: &mut Vec<String>) {
    for migration in &new.migrations {
        let is_new = !old.migrations.iter().any(|other| {
            other.ranges == migration.ranges
                && other.source == migration.source
                && other.target == migration.target
        });
        if is_new {
            let node = |id: crate::state::ShardId| new.chunks[id.chunk].primary(id.shard);
            let (source, target) = (node(migration.source), node(migration.target));
            let (count, ranges) = (migration.ranges.count(), &migration.ranges);
            words.push(format!("{count} slots ({ranges}) are to move from {source} to {target}"));
        }
    }
    for done in new.finished.iter().filter(|done| !old.finished.contains(done)) {
        let (ranges, meta) = (&done.ranges, &done.meta);
        words.push(match done.outcome {
            MigrationOutcome::Committed => format!("slots {ranges} are now at {}", meta.target_node),
            MigrationOutcome::Cancelled => {
                format!("the move of slots {ranges} is cancelled, they stay at {}", meta.source_node)
            }
        });
    }
}

fn explain_chunk(old: &Chunk, new: &Chunk, words: &mut Vec<String>) {
    for half in Half::BOTH.into_iter().filter(|half| old.proxy(*half) != new.proxy(*half)) {
        words.push(format!("{} takes the place of {}", new.proxy(half), old.proxy(half)));
    }
    for home in Half::BOTH {
        let (was, is) = (old.shard(home), new.shard(home));
        if was.primary != is.primary {
            words.push(format!("{} takes over from {} as a primary", new.primary(home), old.primary(home)));
        }
        match (was.fence, is.fence) {
            (_, Some(_)) if was.deposed != is.deposed => {
                let old = new.stopping_proxy(home);
                words.push(format!("{} is not served before {old} has stopped", new.primary(home)));
            }
            (None, Some(fence)) => {
                words.push(format!(
                    "{} is taken out of service, because {}",
                    new.primary(home),
                    fence.reason
                ));
            }
            (Some(_), None) if was.primary == is.primary => {
                let how = if was.deposed.is_some() { "is served now" } else { "goes on serving" };
                words.push(format!("{} {how}", new.primary(home)));
            }
            _ => {}
        }
        match (was.comeback, is.comeback) {
            (before, Some(Comeback::Waits)) if before != is.comeback => words.push(format!(
                "{} restarted and waits: its replica may have what it lacks",
                new.primary(home)
            )),
            (before, Some(Comeback::Serves)) if before != is.comeback => {
                words.push(format!("{} restarted and is to serve with what it has", new.primary(home)));
            }
            (Some(_), None) if was.primary == is.primary => {
                words.push(format!("{} serves with what it has", new.primary(home)));
            }
            _ => {}
        }
        if was.replica != is.replica && was.primary == is.primary {
            let what = if is.replica == SyncState::InSync { "is in sync" } else { "is not in sync" };
            words.push(format!("replica {} {what}", new.replica(home)));
        }
    }
}
