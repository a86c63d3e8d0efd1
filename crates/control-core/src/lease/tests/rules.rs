//! Single rules: who may have a lease, by which token, and when that is urgent.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::*;
use crate::{Command, FenceReason, Half, NewProxy, State, TimeMs, apply};
use model::{Address, Epoch, Moment};

fn state() -> State {
    let mut state = State::default();
    for host in 1..=5 {
        let address = |port: u16| Address::new(&format!("10.0.0.{host}"), port).unwrap();
        let nodes = vec![address(6379), address(6380)];
        let new = NewProxy { address: address(5299), nodes, host: None, index: None };
        apply(&mut state, Command::RegisterProxy(new)).unwrap();
    }
    let create = Command::CreateCluster {
        cluster: "c".parse().unwrap(),
        node_number: 8,
        config: BTreeMap::new(),
        now: TimeMs(1),
    };
    apply(&mut state, create).unwrap();
    state
}

fn first_proxy(state: &State) -> (Address, Epoch) {
    let cluster = state.clusters.values().next().unwrap();
    (cluster.chunks[0].proxies[0].clone(), cluster.epoch)
}

fn ms(ms: u64) -> Moment {
    Moment(Duration::from_millis(ms))
}

/// An answer that came a millisecond after its probe was sent.
fn answer(came: u64, view_epoch: Epoch) -> ProbeAnswer {
    ProbeAnswer { token: came.to_string().into_bytes(), asked: ms(came - 1), came: ms(came), view_epoch }
}

#[test]
fn the_walk_says_what_the_rule_says() {
    let mut state = state();
    let primary = state.clusters.values().next().unwrap().chunks[0].primary(Half::First).clone();
    let fence = Command::FenceShard {
        cluster: "c".parse().unwrap(),
        primary,
        reason: FenceReason::Dead,
        now: TimeMs(2),
    };
    for fenced in [false, true] {
        if fenced {
            apply(&mut state, fence.clone()).unwrap();
        }
        let terms = LeaseTerms::of(&state, 400, ms(1));
        for proxy in state.proxies.keys() {
            assert_eq!(terms.epoch_for(proxy), lease_epoch(&state, proxy), "{proxy}");
        }
        assert_eq!(terms.proxy_count(), 4 - usize::from(fenced));
    }
}

/// A coordinator that is to grant longer leases than the metadata says waits until it says so.
#[test]
fn no_lease_is_longer_than_the_metadata_lets_it() {
    let mut state = state();
    let (proxy, view_epoch) = first_proxy(&state);
    let granted = |terms: LeaseTerms| {
        let mut tokens = Tokens::new(proxy.clone());
        tokens.answered(answer(10, view_epoch));
        tokens.grant(&terms, ms(30)).unwrap().for_ms
    };
    assert_eq!(granted(LeaseTerms::of(&state, 5_000, ms(20))), 400);
    assert_eq!(granted(LeaseTerms::of(&state, 300, ms(20))), 300);
    assert_eq!(granted(LeaseTerms::of(&state, 300, ms(20)).again(5_000, ms(21))), 400);
    let (from, to) = (state.lease_limit, state.lease_limit.raised(5_000));
    apply(&mut state, Command::LimitLeases { from, to }).unwrap();
    assert_eq!(granted(LeaseTerms::of(&state, 5_000, ms(20))), 5_000);
    assert_eq!(granted(LeaseTerms::of(&state, 400, ms(20))), 400);
    assert!(apply(&mut state, Command::LimitLeases { from, to }).is_err(), "it is decided on what was read");
}

#[test]
fn the_newest_token_from_before_the_reading() {
    let state = state();
    let (proxy, epoch) = first_proxy(&state);
    let older = Epoch(epoch.0 - 1);
    // When tokens came, with which view; when the reading began; by which token it grants.
    for (came, read_at, granted) in [
        (vec![], 10, None),
        (vec![(10, epoch)], 9, None),
        (vec![(10, epoch)], 10, Some(10)),
        (vec![(10, epoch), (60, epoch)], 59, Some(10)),
        (vec![(10, epoch), (60, epoch)], 60, Some(60)),
        (vec![(10, epoch), (60, epoch), (110, epoch)], 100, Some(60)),
        // One that still has an older view might serve what is another's by now.
        (vec![(10, older)], 20, None),
        (vec![(10, older), (60, epoch)], 59, None),
        // One that has a newer view than this metadata has given out: the next reading has it, or the store was put back.
        (vec![(10, Epoch(epoch.0 + 1))], 20, None),
        (vec![(10, epoch), (60, Epoch(epoch.0 + 1))], 100, Some(10)),
    ] {
        let mut tokens = Tokens::new(proxy.clone());
        came.iter().for_each(|(at, epoch)| tokens.answered(answer(*at, *epoch)));
        let terms = LeaseTerms::of(&state, 400, ms(read_at));
        let grant = tokens.grant(&terms, ms(150));
        let expected = granted.map(|at: u64| Grant { token: at.to_string().into_bytes(), for_ms: 400 });
        assert_eq!(grant, expected, "{came:?} read at {read_at}");
        let (stranger, nobody) = ("10.9.9.9:5299".parse().unwrap(), LeaseTerms::none());
        assert_eq!(tokens.grant(&nobody, ms(150)), None, "nothing was read");
        let mut others = Tokens::new(stranger);
        came.iter().for_each(|(at, epoch)| others.answered(answer(*at, *epoch)));
        assert_eq!(others.grant(&terms, ms(150)), None, "not a proxy of the metadata");
    }
}

#[test]
fn a_lease_that_would_be_over_is_not_granted() {
    let state = state();
    let (proxy, epoch) = first_proxy(&state);
    let mut tokens = Tokens::new(proxy);
    tokens.answered(answer(101, epoch));
    let terms = LeaseTerms::of(&state, 400, ms(150));
    assert!(tokens.grant(&terms, ms(499)).is_some());
    assert_eq!(tokens.grant(&terms, ms(500)), None);
}

#[test]
fn a_lease_is_urgent_when_the_next_probe_would_be_late() {
    let state = state();
    let (proxy, epoch) = first_proxy(&state);
    let mut tokens = Tokens::new(proxy);
    let read = |at| LeaseTerms::of(&state, 400, ms(at));
    assert!(!tokens.hurries(&read(200), ms(250)), "there is no token");
    tokens.answered(answer(201, epoch));
    assert!(!tokens.hurries(&read(200), ms(250)), "it was read before the token");
    assert!(tokens.hurries(&read(210), ms(250)), "the proxy has no lease");
    let mut older = state.clone();
    let primary = state.clusters.values().next().unwrap().chunks[0].primary(Half::Second).clone();
    let fence = Command::FenceShard {
        cluster: "c".parse().unwrap(),
        primary,
        reason: FenceReason::Dead,
        now: TimeMs(2),
    };
    apply(&mut older, fence).unwrap();
    assert!(!tokens.hurries(&LeaseTerms::of(&older, 400, ms(210)), ms(250)), "its view is too old");
    assert!(tokens.grant(&read(210), ms(210)).is_some());
    tokens.answered(answer(212, epoch));
    assert!(!tokens.hurries(&read(220), ms(262)), "it lasts until 600");
    assert!(tokens.hurries(&read(220), ms(560)), "it ends too soon after the next probe");
    tokens.reconnected();
    assert!(tokens.hurries(&read(220), ms(262)), "it may be another process");
}

#[test]
fn tokens_are_thinned_out_evenly() {
    let mut state = state();
    state.lease_limit = state.lease_limit.raised(1_000);
    let (proxy, epoch) = first_proxy(&state);
    let mut tokens = Tokens::new(proxy);
    let all: Vec<u64> = (1..=400).collect();
    all.iter().for_each(|at| tokens.answered(answer(*at, epoch)));
    // Whenever the reading began, it grants by a token that is hardly older than it could be.
    let worst = (1..=400).map(|read_at| {
        let terms = LeaseTerms::of(&state, 1_000, ms(read_at));
        let mut copy = Tokens::new(first_proxy(&state).0);
        tokens
            .held_moments()
            .for_each(|came| copy.answered(answer(u64::try_from(came.0.as_millis()).unwrap(), epoch)));
        let token = copy.grant(&terms, ms(400)).unwrap().token;
        read_at - String::from_utf8(token).unwrap().parse::<u64>().unwrap()
    });
    assert!(tokens.held_moments().count() <= TOKENS_HELD_MAX);
    let even = 400 / u64::try_from(TOKENS_HELD_MAX).unwrap();
    assert!(worst.max().unwrap() <= even * 4);
}

#[test]
fn old_metadata_grant_nothing_to_a_proxy_that_knows_more() {
    let mut state = state();
    let (proxy, epoch) = first_proxy(&state);
    let newer = Epoch(state.global_epoch.0 + 1);
    let mut tokens = Tokens::new(proxy);
    tokens.answered(answer(10, newer));
    let granted = |tokens: &mut Tokens, state: &State| {
        tokens.grant(&LeaseTerms::of(state, 400, ms(20)), ms(21)).map(|grant| grant.token)
    };
    assert_eq!(granted(&mut tokens, &state), None, "the store was put back to epoch {epoch}");
    // A reading that is only some milliseconds old is followed by one that has it.
    state.global_epoch = newer;
    assert_eq!(granted(&mut tokens, &state), Some(b"10".to_vec()));
}

/// A token that comes while a reading is under way with which the proxy was called silent is of use to the next reading only.
#[test]
fn what_was_called_silent_is_granted_nothing_newer() {
    let state = state();
    let (proxy, epoch) = first_proxy(&state);
    for (is_called, granted) in [(true, 100), (false, 205)] {
        let mut tokens = Tokens::new(proxy.clone());
        [100, 205].into_iter().for_each(|at| tokens.answered(answer(at, epoch)));
        let silent = is_called.then(|| (proxy.clone(), 1)).into_iter().collect();
        // The reading was begun at 200, and asked for again at 210, of another broker.
        let terms = LeaseTerms::of(&state, 400, ms(210)).noted(silent, ms(200));
        let expected = answer(granted, epoch).token;
        assert_eq!(tokens.grant(&terms, ms(220)).map(|grant| grant.token), Some(expected.clone()));
        let again = terms.again(400, ms(230));
        assert_eq!(tokens.grant(&again, ms(240)).map(|grant| grant.token), Some(answer(205, epoch).token));
    }
}
