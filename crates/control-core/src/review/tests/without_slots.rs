//! Clusters with nodes that have no slots yet, after the store was lost.

use super::*;

/// Two of four hosts have slots, the others have been added and have none yet; the store is lost.
fn lost_store_with_a_chunk_without_slots() -> (State, State) {
    let mut truth = pool(6);
    let (cluster, config) = (cluster(), BTreeMap::new());
    let create = Command::CreateCluster { cluster: cluster.clone(), node_number: 4, config, now: NOW };
    done(&mut truth, create);
    done(&mut truth, Command::AddNodes { cluster, node_number: 4, now: NOW });
    in_sync(&mut truth);
    (restored(&pool(6)), truth)
}

#[test]
fn nodes_without_slots_are_found_by_their_roles() {
    let (mut state, truth) = lost_store_with_a_chunk_without_slots();
    let left = settle(&mut state, &answers(&truth));
    assert!(left.clusters.is_empty(), "{left:?}");
    assert_eq!(served(&state), served(&truth));
    assert!(!state.is_under_review());
}

/// The slots are served all the same, and these proxies are for an operator to decide about.
#[test]
fn nodes_without_slots_that_nobody_can_place_are_left_out() {
    let (mut state, truth) = lost_store_with_a_chunk_without_slots();
    let mut asked = answers(&truth);
    let held = truth.clusters.get(&cluster()).unwrap();
    let empty = held.chunks.iter().find(|chunk| chunk.is_without_slots()).unwrap();
    for proxy in &empty.proxies {
        asked.get_mut(proxy).unwrap().as_mut().unwrap().health.nodes.clear();
    }
    let left = settle(&mut state, &asked);
    let found = left.clusters.get(&cluster()).expect("an operator is asked");
    assert!(found.obstacles.iter().any(|word| word.contains("no slots")), "{found:?}");
    done(&mut state, left.adopt(&cluster(), NOW).unwrap());
    state.check().unwrap();
    let adopted = state.clusters.get(&cluster()).unwrap();
    let slots = adopted.chunks.iter().flat_map(|chunk| &chunk.shards).map(|shard| shard.slots.count());
    assert_eq!((adopted.chunks.len(), slots.sum::<usize>()), (1, SLOT_COUNT));
    let left = settle(&mut state, &asked);
    for proxy in &empty.proxies {
        assert!(left.proxies[proxy].obstacle.is_some(), "{left:?}");
        done(&mut state, left.settle(proxy).unwrap());
        assert!(state.proxies[proxy].dirty);
    }
}
