//! What was decided about a proxy before it came back is not done to it afterwards.
#![allow(clippy::unwrap_used, reason = "a test stops where its own preparation fails")]

use std::collections::BTreeMap;

use control_core::{
    ApplyError, Command, NewProxy, Observed, ReporterId, State, TimeMs, Timing, apply, reconcile,
};
use model::Address;

const NOW: TimeMs = TimeMs(1_000_000);

fn address(host: usize, port: u16) -> Address {
    Address::new(&format!("10.0.0.{host}"), port).unwrap()
}

fn registration(host: usize) -> Command {
    let nodes = vec![address(host, 6379), address(host, 6380)];
    Command::RegisterProxy(NewProxy { address: address(host, 5299), nodes, host: None, index: None })
}

fn reporter() -> ReporterId {
    ReporterId("first".to_owned())
}

/// Two proxies of a cluster and one of the pool, where this one is reported.
fn reported(host: usize) -> State {
    let mut state = State::default();
    let create = Command::CreateCluster {
        cluster: "db".parse().unwrap(),
        node_number: 4,
        config: BTreeMap::new(),
        now: TimeMs(1),
    };
    let report = Command::ReportFailure { proxy: address(host, 5299), reporter: reporter(), now: NOW };
    for command in [registration(1), registration(2), registration(3), create, report] {
        apply(&mut state, command).unwrap();
    }
    state
}

/// What a coordinator decides that has seen nothing of the proxy itself, or nothing for long.
fn decided(state: &State, proxy: &Address) -> Command {
    let mut observed = Observed::new(ReporterId("second".to_owned()), Timing::default(), TimeMs(1));
    observed.note_state(state, TimeMs(1), TimeMs(1));
    for (other, seen) in &mut observed.proxies {
        if other != proxy {
            (seen.answered, seen.health) = (Some(NOW), Some(model::ProxyHealth::default()));
        }
    }
    // It has looked all the while, and sees the report now.
    observed.last_turn = NOW;
    observed.reports.clear();
    observed.note_state(state, NOW, NOW);
    let fail_over = |action: control_core::Action| match action {
        control_core::Action::Apply(command @ Command::FailOverProxy { .. }) => Some(command),
        _ => None,
    };
    reconcile(state, &observed, NOW).into_iter().find_map(fail_over).unwrap()
}

#[test]
fn a_decision_is_about_the_proxy_as_it_was() {
    let pool = 3;
    let returned = |host: usize, who: &str| Command::ProxyReturned {
        proxy: address(host, 5299),
        reporter: ReporterId(who.to_owned()),
        now: NOW,
    };
    let reported_again =
        Command::ReportFailure { proxy: address(pool, 5299), reporter: reporter(), now: NOW };
    for (case, between, is_done) in [
        ("nothing happens", vec![], true),
        ("another proxy comes back", vec![returned(1, "first")], true),
        ("one that had not reported it finds it well", vec![returned(pool, "third")], false),
        ("it is reported once more", vec![reported_again.clone()], true),
        ("it comes back", vec![returned(pool, "first")], false),
        ("it is registered again", vec![registration(pool)], false),
        ("it comes back and is reported again", vec![returned(pool, "first"), reported_again], false),
    ] {
        let (mut state, proxy) = (reported(pool), address(pool, 5299));
        let late = decided(&state, &proxy);
        for command in between {
            apply(&mut state, command).unwrap();
        }
        let (before, outcome) = (state.clone(), apply(&mut state, late));
        assert_eq!(state.is_failed(&proxy), is_done, "{case}: {outcome:?}");
        match outcome {
            Ok(_) => assert!(is_done, "{case}"),
            Err(error) => {
                assert!(!is_done && matches!(error, ApplyError::Retry(_)), "{case}: {error}");
                assert_eq!(state, before, "{case}");
            }
        }
    }
}

#[test]
fn an_operator_need_not_know_of_comebacks() {
    let (mut state, proxy) = (reported(1), address(1, 5299));
    apply(&mut state, Command::ProxyReturned { proxy: proxy.clone(), reporter: reporter(), now: NOW })
        .unwrap();
    let now = NOW;
    let fail = Command::FailOverProxy { proxy: proxy.clone(), force: false, decided_after: None, now };
    apply(&mut state, fail).unwrap();
    assert!(state.is_failed(&proxy));
}
