//! An operator says that the metadata is right, whatever the proxies know.

use super::*;
use crate::state::{Chunk, Shard};

fn chunk(state: &State) -> &Chunk {
    &state.clusters.get(&cluster()).unwrap().chunks[0]
}

/// Metadata from before the first shard went over to its replica, and what is served since.
fn before_and_after() -> (State, State) {
    let dump = state(6);
    let mut truth = dump.clone();
    let primary = chunk(&dump).primary(Half::First).clone();
    let command = Command::fail_over_unfenced(cluster(), primary, true, NOW);
    done(&mut truth, command);
    let held = truth.clusters.get_mut(&cluster()).unwrap();
    let shard = held.chunks[0].shard_mut(Half::First);
    (shard.fence, shard.deposed, shard.replica) = (None, None, SyncState::InSync);
    (dump, truth)
}

/// The metadata after the operator's word, by what was answered.
fn trusted(dump: &State, asked: &AskedProxies) -> State {
    let mut state = restored(dump);
    let found = review(&state, asked);
    done(&mut state, found.trust(&cluster(), NOW).unwrap());
    state.check().unwrap();
    assert!(!state.clusters.get(&cluster()).unwrap().review);
    state
}

fn is_held_back(shard: &Shard) -> bool {
    shard.fence.is_some_and(|fence| fence.reason == FenceReason::Dead) && shard.deposed.is_some()
}

#[test]
fn who_serves_has_to_stop_before_the_metadatas_primary_is_served() {
    let (dump, truth) = before_and_after();
    let [first, second] = chunk(&dump).proxies.clone();
    // Whether the proxy that serves, and the one that is to serve, answer.
    for (serving, other) in [(true, true), (false, true), (true, false), (false, false)] {
        let mut asked = answers(&truth);
        for (proxy, answers) in [(&second, serving), (&first, other)] {
            if !answers {
                asked.insert(proxy.clone(), None);
            }
        }
        let state = trusted(&dump, &asked);
        let shard = chunk(&state).shard(Half::First);
        assert_eq!(shard.primary, Half::First);
        assert!(is_held_back(shard), "{serving} {other}: {shard:?}");
        assert_eq!(shard.deposed, Some(second.clone()), "{serving} {other}");
        // The view of the one that is to serve has no slots of that shard yet.
        let (_, set) = desired_view(&state, &first).unwrap();
        let owned = set.view.owned_locally();
        let slots = &shard.slots;
        assert_eq!(slots.difference(&owned).count(), slots.count(), "{serving} {other}");
        let is_elsewhere = |place: usize| {
            let chunk = &state.clusters.get(&cluster()).unwrap().chunks[place];
            chunk.shards.iter().any(is_held_back)
        };
        assert!(!is_elsewhere(1), "as the metadata have it, and nobody else serves there");
        assert_eq!(is_held_back(chunk(&state).shard(Half::Second)), !serving);
    }
}

#[test]
fn an_old_view_is_no_proof_that_its_proxy_serves() {
    let (dump, truth) = before_and_after();
    let [first, second] = chunk(&dump).proxies.clone();
    let mut asked = answers(&truth);
    // It was cut off when the other took over, and has not heard of that.
    asked.insert(first.clone(), Some(answer(&dump, &first)));
    let state = trusted(&dump, &asked);
    assert!(is_held_back(chunk(&state).shard(Half::First)));
    assert_eq!(chunk(&state).shard(Half::First).deposed, Some(second));
    // No proxy has a view: a proxy that had one may come back with it.
    let none = truth.proxies.keys().map(|proxy| (proxy.clone(), None)).collect();
    let state = trusted(&dump, &none);
    assert!(chunk(&state).shards.iter().all(is_held_back));
}

#[test]
fn a_proxy_that_has_taken_the_others_place_has_to_stop() {
    let dump = state(6);
    let mut truth = dump.clone();
    let gone = chunk(&dump).proxies[0].clone();
    let (proxy, force, decided_after) = (gone, true, None);
    done(&mut truth, Command::FailOverProxy { proxy, force, decided_after, now: NOW });
    // Its replacement is home again for the first shard.
    let held = truth.clusters.get_mut(&cluster()).unwrap();
    for shard in &mut held.chunks[0].shards {
        (shard.fence, shard.deposed, shard.replica) = (None, None, SyncState::InSync);
    }
    held.chunks[0].shard_mut(Half::First).primary = Half::First;
    let spare = chunk(&truth).proxies[0].clone();
    assert!(!chunk(&dump).proxies.contains(&spare));
    let state = trusted(&dump, &answers(&truth));
    assert_eq!(chunk(&state).shard(Half::First).deposed, Some(spare));
}
