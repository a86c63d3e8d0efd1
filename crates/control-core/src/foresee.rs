//! What a command would do, in words, and why: for dry runs.

use model::ClusterName;

use crate::apply::apply;
use crate::command::Command;
use crate::error::ApplyError;
use crate::explain::explain;
use crate::query::hosts_cannot_fail;
use crate::state::{Chunk, Cluster, Half, Proxy, State, SyncState};

/// What the command would do to this state now, with what it would begin, one sentence each; then the reasons.
/// Empty when nothing would change.
///
/// # Errors
/// Why the command would be refused.
pub fn foresee(before: &State, command: Command) -> Result<Vec<String>, ApplyError> {
    let mut after = before.clone();
    apply(&mut after, command)?;
    let mut words = explain(before, &after);
    let added = clusters_that_wait(before, &after);
    for (name, command) in added {
        // What the coordinator has done when the new nodes are ready.
        let mut later = after.clone();
        apply(&mut later, command)?;
        let begun = explain(&after, &later);
        let moves = begun.into_iter().map(|word| word.replacen(&format!("cluster {name}: "), "", 1));
        words.extend(moves.map(|word| format!("cluster {name}: then {word}")));
        after = later;
    }
    let reasons = reasons(before, &after);
    words.extend(reasons.into_iter().map(|reason| format!("why: {reason}")));
    words.extend(lost_safety(before, &after));
    Ok(words)
}

/// Clusters whose slots move as soon as their new nodes are ready, with the command that says that they are.
fn clusters_that_wait(before: &State, after: &State) -> Vec<(ClusterName, Command)> {
    let is_new =
        |name: &ClusterName| before.clusters.get(name).is_none_or(|cluster| cluster.scaling.is_none());
    let waiting = after.clusters.iter().filter(|(name, _)| is_new(name));
    let go_on = |(name, cluster): (&ClusterName, &Cluster)| {
        let epoch = cluster.scaling?.epoch;
        Some((name.clone(), Command::ContinueScaling { cluster: name.clone(), epoch }))
    };
    waiting.filter_map(go_on).collect()
}

fn reasons(before: &State, after: &State) -> Vec<String> {
    let mut reasons = Vec::new();
    for (name, new) in &after.clusters {
        let old = before.clusters.get(name);
        reasons.extend(why_these_proxies(before, after, old, new));
        if let Some(old) = old {
            reasons.extend(why_these_moves(old, new));
            reasons.extend(why_away(after, old, new));
        }
    }
    reasons
}

/// What the pool could make up for until now, and could not afterwards.
fn lost_safety(before: &State, after: &State) -> Option<String> {
    let could_not = hosts_cannot_fail(before);
    let cannot = hosts_cannot_fail(after).into_iter().filter(|host| !could_not.contains(host));
    let hosts: Vec<String> = cannot.map(|host| host.to_string()).collect();
    let is_any = !hosts.is_empty();
    is_any.then(|| {
        format!("note: afterwards the pool could not make up for the loss of host {}", hosts.join(" or "))
    })
}

/// Why the chunks that are added are made of these proxies.
fn why_these_proxies(before: &State, after: &State, old: Option<&Cluster>, new: &Cluster) -> Option<String> {
    let is_new = |chunk: &&Chunk| {
        let has = |cluster: &Cluster| chunk.proxies.iter().any(|proxy| cluster.place_of(proxy).is_some());
        !old.is_some_and(has)
    };
    let added: Vec<&Chunk> = new.chunks.iter().filter(is_new).collect();
    if added.is_empty() {
        return None;
    }
    let hosts = |chunk: &&Chunk| {
        let host = |half| after.host_of(chunk.proxy(half)).map_or_else(String::new, ToString::to_string);
        Half::BOTH.map(host).join(" with ")
    };
    let pairs: Vec<String> = added.iter().map(hosts).collect();
    let free = |state: &State| state.proxies.values().filter(|proxy| Proxy::is_free(proxy)).count();
    let order = if after.settings.ordered_proxies {
        "proxies are taken in their order"
    } else {
        "each chunk is made on the host with most free proxies and the one that it is least paired with, so that the \
         load of a lost host is spread"
    };
    let pairs = pairs.join(", ");
    Some(format!("{order}: {pairs}; of {} free proxies {} are left", free(before), free(after)))
}

/// Why this number of slots moves.
fn why_these_moves(old: &Cluster, new: &Cluster) -> Option<String> {
    if new.migrations.is_empty() || !old.migrations.is_empty() {
        return None;
    }
    let moved: usize = new.migrations.iter().map(|migration| migration.ranges.count()).sum();
    let final_count = |id| {
        let sum = |ends: fn(&crate::state::Migration) -> crate::state::ShardId| -> usize {
            let touching = new.migrations.iter().filter(|migration| ends(migration) == id);
            touching.map(|migration| migration.ranges.count()).sum()
        };
        new.shard(id).slots.count() + sum(|migration| migration.target) - sum(|migration| migration.source)
    };
    let counts: Vec<usize> = new.shard_ids().map(final_count).filter(|count| *count > 0).collect();
    let (least, most) = (counts.iter().min()?, counts.iter().max()?);
    let each = if least == most { least.to_string() } else { format!("{least} or {most}") };
    let empty = new.node_count() / 2 - counts.len();
    let kept = if empty == 0 {
        ""
    } else {
        "; chunks without slots stay with the cluster until they are given back"
    };
    Some(format!(
        "no plan that gives each of {} shards {each} slots moves fewer than {moved}{kept}",
        counts.len()
    ))
}

/// Why primaries stay away from home when others are brought back.
fn why_away(state: &State, old: &Cluster, new: &Cluster) -> Vec<String> {
    let is_fenced =
        |cluster: &Cluster| cluster.shard_ids().filter(|id| cluster.shard(*id).fence.is_some()).count();
    if is_fenced(new) <= is_fenced(old) {
        return Vec::new();
    }
    let stays = |id: &crate::state::ShardId| {
        let shard = new.shard(*id);
        shard.primary != id.shard && shard.fence.is_none()
    };
    let reason = |id: crate::state::ShardId| {
        let chunk = &new.chunks[id.chunk];
        let why = if chunk.proxies.iter().any(|proxy| state.is_failed(proxy)) {
            "a proxy of its chunk has failed"
        } else if chunk.shard(id.shard).replica != SyncState::InSync {
            "its replica is not in sync"
        } else {
            "its slots are moving"
        };
        format!("{} stays where it is: {why}", chunk.primary(id.shard))
    };
    new.shard_ids().filter(stays).map(reason).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::Address;

    use super::*;
    use crate::command::NewProxy;
    use crate::time::TimeMs;

    fn address(host: usize, port: u16) -> Address {
        Address::new(&format!("10.0.0.{host}"), port).unwrap()
    }

    fn name() -> ClusterName {
        "mydb".parse().unwrap()
    }

    fn create(node_number: usize) -> Command {
        Command::CreateCluster { cluster: name(), node_number, config: BTreeMap::new(), now: TimeMs(1) }
    }

    fn scale(node_number: usize) -> Command {
        Command::Scale { cluster: name(), node_number, now: TimeMs(2) }
    }

    /// A pool of proxies on as many hosts, after these commands.
    fn state(proxies: usize, commands: &[Command]) -> State {
        let mut state = State::default();
        for host in 1..=proxies {
            let (nodes, address) = (vec![address(host, 6379), address(host, 6380)], address(host, 5299));
            let new = NewProxy { address, nodes, host: None, index: None };
            apply(&mut state, Command::RegisterProxy(new)).unwrap();
        }
        for command in commands {
            apply(&mut state, command.clone()).unwrap();
        }
        state
    }

    #[test]
    fn reasons_are_given() {
        fn check(before: &State, command: &Command, wanted: &[&str]) {
            let words = foresee(before, command.clone()).unwrap().join("\n");
            for part in wanted {
                assert!(words.contains(part), "{command:?}: no {part:?} in\n{words}");
            }
            assert_eq!(words.is_empty(), wanted.is_empty(), "{command:?}: {words}");
        }
        let pool = state(4, &[]);
        check(
            &pool,
            &create(4),
            &["is created with 4 nodes", "why: each chunk is made on", "of 4 free proxies 2 are left"],
        );
        let nobody_left =
            "note: afterwards the pool could not make up for the loss of host 10.0.0.1 or 10.0.0.2 or";
        check(&pool, &create(8), &["of 4 free proxies 0 are left", nobody_left]);

        let small = state(4, &[create(4)]);
        // What moves only when the new nodes are ready is foreseen, too.
        let moves = [
            "then 4096 slots (4096-8191) are to move from 10.0.0.1:6379",
            "each of 4 shards 4096 slots",
            "fewer than 8192",
        ];
        check(&small, &scale(8), &moves);
        check(&small, &Command::Balance { cluster: name(), now: TimeMs(2) }, &[]);
        let failed = Command::FailOverProxy {
            proxy: address(1, 5299),
            force: false,
            decided_after: None,
            now: TimeMs(2),
        };
        check(&small, &failed, &["takes the place of 10.0.0.1:5299", "takes over from"]);

        let large = state(4, &[create(8)]);
        check(&large, &scale(4), &["fewer than 8192; chunks without slots stay"]);
        assert_eq!(foresee(&large, scale(8)), Err(ApplyError::SlotsAlreadyEven(name())));
    }

    #[test]
    fn who_cannot_go_home_is_told() {
        let mut state = state(4, &[create(8)]);
        let shards: Vec<_> = state.clusters[&name()].shard_ids().collect();
        for id in &shards {
            let replica = state.clusters[&name()].chunks[id.chunk].replica(id.shard).clone();
            let (cluster, sync) = (name(), SyncState::InSync);
            apply(&mut state, Command::SetReplicaSync { cluster, replica, sync }).unwrap();
        }
        // Two primaries go away from home; only one of them has a replica in sync afterwards.
        for id in &shards[..2] {
            let primary = state.clusters[&name()].chunks[id.chunk].primary(id.shard).clone();
            let promote = Command::fail_over_unfenced(name(), primary, true, TimeMs(3));
            apply(&mut state, promote).unwrap();
            let shard = state.clusters[&name()].shard(*id);
            let primary = state.clusters[&name()].chunks[id.chunk].primary(id.shard).clone();
            let lift = Command::LiftFence {
                cluster: name(),
                primary,
                fence: shard.fence.unwrap().epoch,
                stopped: None,
            };
            apply(&mut state, lift).unwrap();
        }
        let replica = state.clusters[&name()].chunks[0].replica(shards[0].shard).clone();
        let (cluster, sync) = (name(), SyncState::InSync);
        apply(&mut state, Command::SetReplicaSync { cluster, replica, sync }).unwrap();
        let words = foresee(&state, Command::Balance { cluster: name(), now: TimeMs(4) }).unwrap().join("\n");
        assert!(
            words.contains("is taken out of service, because its replica is to take over without loss"),
            "{words}"
        );
        let stays = state.clusters[&name()].chunks[0].primary(shards[1].shard);
        assert!(
            words.contains(&format!("why: {stays} stays where it is: its replica is not in sync")),
            "{words}"
        );
    }
}
