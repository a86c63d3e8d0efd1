//! What holds whatever commands are given: the metadata never contradicts itself, what is refused changes
//! nothing, epochs only grow, every proxy of a cluster is told the same, and a replay gives the same state.
#![allow(clippy::unwrap_used, reason = "a test stops where its own preparation fails")]

mod pool;

use std::collections::BTreeMap;

use control_core::{
    Comeback, Command, FenceReason, Half, KeysSeen, Reply, ReporterId, RestartedPrimary, State,
    StoreSettings, SyncState, TimeMs, apply, desired_view, explain, query,
};
use model::{Address, ClusterName, Epoch, Slot, SlotRanges};
use pool::{address, new_proxy};
use proptest::prelude::*;
use proptest::sample::Index;

/// A command whose names and numbers are still to be chosen from what there is.
#[derive(Clone, Debug)]
struct Draft {
    kind: u8,
    cluster: Index,
    proxy: Index,
    other: Index,
    number: usize,
    flag: bool,
    pause_ms: u64,
}

fn draft() -> impl Strategy<Value = Draft> {
    let places = (any::<Index>(), any::<Index>(), any::<Index>());
    (0u8..35, places, 0usize..5, any::<bool>(), 0u64..40_000).prop_map(
        |(kind, (cluster, proxy, other), number, flag, pause_ms)| Draft {
            kind,
            cluster,
            proxy,
            other,
            number,
            flag,
            pause_ms,
        },
    )
}

/// Makes a command of a draft, mostly one that makes sense now.
fn command(state: &State, draft: &Draft, now: TimeMs) -> Command {
    let names: Vec<ClusterName> = ["one", "two", "three"].map(|name| name.parse().unwrap()).to_vec();
    let cluster = draft.cluster.get(&names).clone();
    let registered: Vec<Address> = state.proxies.keys().cloned().collect();
    let proxy = if registered.is_empty() { address(1, 7000) } else { draft.proxy.get(&registered).clone() };
    let held = state.clusters.get(&cluster);
    let chunk = held.map(|cluster| draft.other.get(&cluster.chunks).clone());
    let shard = if draft.flag { Half::First } else { Half::Second };
    let primary = chunk.as_ref().map_or(proxy.clone(), |chunk| chunk.primary(shard).clone());
    let replica = chunk.as_ref().map_or(proxy.clone(), |chunk| chunk.replica(shard).clone());
    let fence = chunk.as_ref().and_then(|chunk| chunk.shard(shard).fence).map(|fence| fence.epoch);
    let node_number = draft.number * 4;
    let reporter = ReporterId(format!("coordinator-{}", draft.number % 3));
    let running = held.and_then(|cluster| {
        let place = draft.other.index(cluster.migrations.len().max(1));
        let migration = cluster.migrations.get(place)?;
        Some((migration.ranges.clone(), cluster.meta(migration)?))
    });
    match draft.kind {
        0 if draft.number == 0 => {
            let new = new_proxy(1 + draft.proxy.index(5), draft.other.index(4));
            Command::AnnounceProxy { new, is_at_work: draft.flag, serves_nobody: !draft.flag }
        }
        0 | 1 => Command::RegisterProxy(new_proxy(1 + draft.proxy.index(5), draft.other.index(4))),
        2 => Command::RemoveProxy { proxy },
        3 | 4 => Command::CreateCluster { cluster, node_number, config: BTreeMap::new(), now },
        5 if draft.number == 0 => Command::DeleteCluster { cluster },
        5 | 6 => Command::AddNodes { cluster, node_number, now },
        7 => Command::GrowTo { cluster, node_number, now },
        8 => Command::RemoveFreeNodes { cluster },
        9 => Command::Expand { cluster },
        10 => Command::Shrink { cluster, node_number },
        11 => Command::Scale { cluster, node_number, now },
        12 => {
            let epoch = held.and_then(|cluster| cluster.scaling).map_or(Epoch(1), |job| job.epoch);
            Command::ContinueScaling { cluster, epoch }
        }
        13..=16 => match running {
            Some((ranges, meta)) if draft.kind < 16 => Command::CommitMigration { cluster, ranges, meta },
            Some((_, meta)) => Command::RestartMigration { cluster, attempt: meta.epoch },
            None => Command::CancelMigrations { cluster },
        },
        17 if draft.number == 0 => Command::CancelMigrations { cluster },
        17 => {
            let value = if draft.flag { "allow_all" } else { "zip" };
            let fields = BTreeMap::from([("compression_strategy".to_owned(), value.to_owned())]);
            Command::SetConfig { cluster, fields }
        }
        18 => Command::Balance { cluster, now },
        19 | 20 => Command::ReportFailure { proxy, reporter, now },
        21 => Command::ProxyReturned { proxy, reporter, now },
        22 => Command::FailOverProxy { proxy, force: draft.number == 0, decided_after: None, now },
        23 => {
            let reason = [FenceReason::Dead, FenceReason::Handover, FenceReason::Planned][draft.number % 3];
            Command::FenceShard { cluster, primary, reason, now }
        }
        24 => Command::LiftFence { cluster, primary, fence: fence.unwrap_or(Epoch(1)), stopped: None },
        25 => Command::FailOverShard {
            cluster,
            primary,
            fence,
            force: draft.number == 0,
            behind_bytes: None,
            empty_primary: None,
            process: None,
            stopped: None,
            now,
        },
        26 => {
            let sync = if draft.number == 0 { SyncState::OutOfSync } else { SyncState::InSync };
            Command::SetReplicaSync { cluster, replica, sync }
        }
        27 => {
            let epoch = state.proxies.get(&proxy).map_or(Epoch(1), |record| record.epoch);
            if draft.flag && draft.number == 0 {
                Command::NoteDirty { proxy, epoch }
            } else {
                Command::ProxyCleaned { proxy, epoch }
            }
        }
        28 if draft.flag => Command::DecideComeback {
            cluster,
            primary,
            comeback: if draft.number < 2 { Comeback::Waits } else { Comeback::Serves },
            process: draft.number.is_multiple_of(2).then(|| "run".parse().unwrap()),
            keys: KeysSeen::default(),
            by_operator: draft.number % 2 == 1,
        },
        28 => Command::PauseMigrations { cluster },
        29 => Command::ResumeMigrations { cluster },
        30 if draft.flag => Command::BeginReview { proxy, seen: Epoch(state.global_epoch.0 + 3) },
        // Often: until it is over, all that concerns a cluster is refused.
        31 | 32 => {
            let deposed = draft.flag.then_some((primary, proxy)).into_iter().collect();
            let highest = state.global_epoch;
            Command::TrustMetadata { cluster, highest, deposed, now }
        }
        33 | 34 => Command::SettleProxy { proxy, seen: state.global_epoch },
        _ => match draft.other.index(5) {
            0 => Command::RaiseEpoch { epoch: Epoch(state.global_epoch.0 + 7) },
            1 => Command::RecoverEpoch { highest: Epoch(state.global_epoch.0.saturating_sub(1)) },
            2 => Command::Restore(Box::new(state.clone())),
            3 => {
                let restarted_primary =
                    if draft.flag { RestartedPrimary::Waits } else { RestartedPrimary::Serves };
                Command::Configure(StoreSettings { restarted_primary, ..state.settings.clone() })
            }
            _ => Command::SetReplicaAddresses(vec!["broker:7799".to_owned()]),
        },
    }
}

/// The owner of some slots as a proxy's view has them, over its own nodes and its peers.
fn owners(state: &State, proxy: &Address, slots: &[Slot]) -> Vec<Option<Address>> {
    let view = desired_view(state, proxy).unwrap().1.view;
    view.check().unwrap();
    let mine = view.local.iter().flat_map(|node| node.slots.iter().map(|slots| (proxy.clone(), slots)));
    let theirs =
        view.peers.iter().flat_map(|peer| peer.slots.iter().map(|slots| (peer.address.clone(), slots)));
    let all: Vec<_> = mine.chain(theirs).filter(|(_, slots)| slots.tag.owns()).collect();
    let owner =
        |slot: &Slot| all.iter().find(|(_, slots)| slots.ranges.contains(*slot)).map(|(who, _)| who.clone());
    slots.iter().map(owner).collect()
}

fn check_views(state: &State) {
    for cluster in state.clusters.values() {
        let shards = cluster.chunks.iter().flat_map(|chunk| Half::BOTH.map(|shard| (chunk, shard)));
        let with_slots: Vec<_> =
            shards.filter(|(chunk, shard)| !chunk.shard(*shard).slots.is_empty()).collect();
        let slot = |set: &SlotRanges| set.ranges()[0].first();
        let slots: Vec<Slot> =
            with_slots.iter().map(|(chunk, shard)| slot(&chunk.shard(*shard).slots)).collect();
        let expected: Vec<_> =
            with_slots.iter().map(|(chunk, shard)| chunk.primary_proxy(*shard).clone()).collect();
        for proxy in cluster.chunks.iter().flat_map(|chunk| &chunk.proxies) {
            if state.proxies[proxy].dirty {
                assert!(desired_view(state, proxy).unwrap().1.view.is_empty());
                continue;
            }
            let name = state.proxies[proxy].cluster.as_ref().unwrap();
            check_own(state, name, proxy);
            for ((seen, expected), (chunk, shard)) in
                owners(state, proxy, &slots).into_iter().zip(&expected).zip(&with_slots)
            {
                let is_fenced_here = chunk.shard(*shard).fence.is_some() && expected == proxy;
                assert_eq!(seen.as_ref(), Some(expected).filter(|_| !is_fenced_here), "as {proxy} sees it");
            }
            let (roles, view) = desired_view(state, proxy).unwrap();
            let args = view.to_args(false);
            let args: Vec<&[u8]> = args.iter().map(String::as_bytes).collect();
            assert_eq!(model::SetCluster::parse(&args).unwrap().view, view.view, "survives the wire");
            let args = roles.to_args(false);
            let args: Vec<&[u8]> = args.iter().map(String::as_bytes).collect();
            assert_eq!(model::SetRepl::parse(&args).unwrap().roles, roles.roles);
        }
    }
}

/// The one cluster that a command is about, if there is one.
fn named_cluster(command: &Command) -> Option<&ClusterName> {
    match command {
        Command::CreateCluster { cluster, .. }
        | Command::DeleteCluster { cluster }
        | Command::AddNodes { cluster, .. }
        | Command::GrowTo { cluster, .. }
        | Command::RemoveFreeNodes { cluster }
        | Command::Expand { cluster }
        | Command::Shrink { cluster, .. }
        | Command::Scale { cluster, .. }
        | Command::ContinueScaling { cluster, .. }
        | Command::CommitMigration { cluster, .. }
        | Command::RestartMigration { cluster, .. }
        | Command::CancelMigrations { cluster }
        | Command::PauseMigrations { cluster }
        | Command::ResumeMigrations { cluster }
        | Command::SetConfig { cluster, .. }
        | Command::Balance { cluster, .. }
        | Command::FenceShard { cluster, .. }
        | Command::LiftFence { cluster, .. }
        | Command::FailOverShard { cluster, .. }
        | Command::SetReplicaSync { cluster, .. } => Some(cluster),
        _ => None,
    }
}

/// What is done to one cluster is not to be seen in another, nor by the proxies of another.
fn check_isolation(before: &State, after: &State, named: &ClusterName) {
    for (name, cluster) in before.clusters.iter().filter(|(name, _)| *name != named) {
        assert_eq!(after.clusters.get(name), Some(cluster), "{name}, by a change of {named}");
    }
    for (address, proxy) in &before.proxies {
        if proxy.cluster.as_ref().is_some_and(|cluster| cluster != named) {
            assert_eq!(after.proxies.get(address), Some(proxy), "{address}, by a change of {named}");
        }
    }
}

/// A proxy is told of its own cluster's proxies and nodes only, and of its own keys only when they are clean.
fn check_own(state: &State, name: &ClusterName, proxy: &Address) {
    let view = desired_view(state, proxy).unwrap().1.view;
    let own: Vec<&Address> = state.clusters[name].chunks.iter().flat_map(|chunk| &chunk.proxies).collect();
    assert!(view.peers.iter().all(|peer| own.contains(&&peer.address)), "{proxy} hears of strangers");
    let nodes = &state.proxies[proxy].nodes;
    assert!(view.local.iter().all(|node| nodes.contains(&node.address)), "{proxy} has another's nodes");
    assert_eq!(&view.cluster, name);
}

/// Whether a text for operators is in words, and has no name out of the code: each of those begins with a capital letter.
fn is_plain(text: &str) -> bool {
    !text.contains(|letter: char| letter.is_uppercase() || "{}\"".contains(letter))
}

/// Epochs as proxies see them; they never go back.
fn epochs(state: &State) -> BTreeMap<Address, Epoch> {
    let epoch = |proxy: &Address| desired_view(state, proxy).unwrap().1.view.epoch;
    state.proxies.keys().map(|proxy| (proxy.clone(), epoch(proxy))).collect()
}

fn prepared(ordered: bool) -> (State, Vec<Command>) {
    let settings = StoreSettings { ordered_proxies: ordered, failure_quorum: 2, ..StoreSettings::default() };
    let mut commands = vec![Command::Configure(settings)];
    for host in 1..=5 {
        commands.extend((0..3).map(|place| Command::RegisterProxy(new_proxy(host, place))));
    }
    if !ordered {
        // Slots move from the beginning: random commands alone seldom come as far.
        let (cluster, now) = (|| "one".parse().unwrap(), TimeMs(0));
        commands.extend([
            Command::CreateCluster { cluster: cluster(), node_number: 4, config: BTreeMap::new(), now },
            Command::AddNodes { cluster: cluster(), node_number: 4, now },
            Command::Expand { cluster: cluster() },
        ]);
    }
    let mut state = State::default();
    for command in &commands {
        apply(&mut state, command.clone()).unwrap();
    }
    (state, commands)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_commands(drafts in proptest::collection::vec(draft(), 1..60), ordered in prop::bool::weighted(0.2)) {
        let (mut state, mut commands) = prepared(ordered);
        let mut now = TimeMs(1_000_000);
        for draft in &drafts {
            now = TimeMs(now.0 + draft.pause_ms);
            let command = command(&state, draft, now);
            let (before, told) = (state.clone(), epochs(&state));
            let reply = apply(&mut state, command.clone());
            state.check().unwrap();
            prop_assert!(state.global_epoch >= before.global_epoch);
            match &reply {
                Err(error) => {
                    prop_assert_eq!(&state, &before, "{} changed something", error);
                    prop_assert!(explain(&before, &state).is_empty());
                }
                Ok(_) => {
                    commands.push(command.clone());
                    let events = explain(&before, &state);
                    prop_assert!(events.iter().all(|words| is_plain(words)), "{:?}", events);
                }
            }
            for (proxy, epoch) in epochs(&state) {
                prop_assert!(told.get(&proxy).is_none_or(|told| *told <= epoch), "{:?}: {} goes back", command, proxy);
                // What a proxy is told differs only under a higher epoch.
                if told.get(&proxy) == Some(&epoch) {
                    let view = |state: &State| desired_view(state, &proxy).unwrap();
                    prop_assert_eq!(view(&state), view(&before), "{:?}: {} under one epoch", command, proxy);
                }
            }
            if let Some(named) = named_cluster(&command) {
                check_isolation(&before, &state, named);
            }
            // A node is never promoted while it is known to lack data, unless by force.
            if let (Ok(Reply::FailedOver(outcome)), Command::FailOverProxy { force: false, .. }) = (&reply, &command) {
                let chunks = before.clusters.values().flat_map(|cluster| &cluster.chunks);
                for (chunk, shard) in chunks.flat_map(|chunk| Half::BOTH.map(|shard| (chunk, shard))) {
                    let lacks = chunk.shard(shard).replica == SyncState::OutOfSync;
                    prop_assert!(!(lacks && outcome.promoted.contains(chunk.replica(shard))));
                }
            }
        }
        for cluster in state.clusters.values().filter(|cluster| cluster.paused) {
            prop_assert!(cluster.migrations.iter().all(|migration| migration.attempt.is_none()), "one runs on");
        }
        check_views(&state);
        for name in state.clusters.keys() {
            let meta = query::cluster_meta(&state, name).unwrap();
            let info = query::cluster_info(&state, name).unwrap();
            prop_assert_eq!(meta.nodes.len(), info.node_number);
            let back: query::ClusterMeta = serde_json::from_str(&serde_json::to_string(&meta).unwrap()).unwrap();
            prop_assert_eq!(back, meta);
        }
        // The record of commands, written down and read again, leads to the same state.
        let mut replayed = State::default();
        for command in &commands {
            let written = serde_json::to_string(command).unwrap();
            apply(&mut replayed, serde_json::from_str(&written).unwrap()).unwrap();
        }
        prop_assert_eq!(&replayed, &state);
        let dump: State = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
        prop_assert_eq!(&dump, &state);
    }
}
