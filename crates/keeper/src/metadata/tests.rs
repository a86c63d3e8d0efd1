//! What is accepted, what is refused, and what holds when.

use super::*;

/// A step of a story: a command, or the workers' acknowledgement.
enum Step {
    Cluster(&'static str),
    Repl(&'static str),
    Applied,
}
use Step::{Applied, Cluster, Repl};

fn proxy() -> Metadata {
    Metadata::new("10.0.0.1:5299".parse().unwrap())
}

fn take(state: &mut Metadata, step: &Step) -> Result<(), Refusal> {
    let words = |text: &'static str| text.split(' ').map(str::as_bytes).collect::<Vec<_>>();
    match step {
        Cluster(text) => state.set_cluster(SetCluster::parse(&words(text)).unwrap()),
        Repl(text) => state.set_repl(SetRepl::parse(&words(text)).unwrap()),
        Applied => {
            state.applied();
            Ok(())
        }
    }
}

/// Plays a story. All steps but the last are accepted; then: the last step's outcome, and what is in force.
fn check(story: &[Step], outcome: Result<(), Refusal>, epoch: u64, roles_epoch: u64, ready: bool) {
    let mut state = proxy();
    let (last, before) = story.split_last().unwrap();
    for step in before {
        take(&mut state, step).unwrap();
    }
    assert_eq!(take(&mut state, last), outcome);
    let found = (state.epoch().0, state.roles_epoch().0, state.is_ready());
    assert_eq!(found, (epoch, roles_epoch, ready));
}

const ONE: &str = "v2 1 NOFLAGS mydb 10.0.0.1:6379 1 0-16383";
const TWO: &str = "v2 2 NOFLAGS mydb 10.0.0.1:6379 1 0-16383";

#[test]
fn epochs() {
    check(&[Applied], Ok(()), 0, 0, false);
    check(&[Cluster(ONE)], Ok(()), 0, 0, false);
    check(&[Cluster(ONE), Applied], Ok(()), 1, 0, true);
    check(&[Cluster(ONE), Applied, Cluster(ONE)], Err(Refusal::OldEpoch), 1, 0, true);
    check(&[Cluster(TWO), Applied, Cluster(ONE)], Err(Refusal::OldEpoch), 2, 0, true);
    check(&[Cluster(ONE), Applied, Cluster(TWO)], Ok(()), 1, 0, true);
    check(&[Cluster(ONE), Applied, Cluster(TWO), Applied], Ok(()), 2, 0, true);
    check(&[Cluster("v2 0 NOFLAGS mydb 10.0.0.1:6379 1 0-16383")], Err(Refusal::OldEpoch), 0, 0, false);
    let forced = "v2 1 FORCE mydb 10.0.0.1:6379 1 0-16383";
    check(&[Cluster(TWO), Applied, Cluster(forced), Applied], Ok(()), 1, 0, true);
}

#[test]
fn an_epoch_that_leaves_no_room_is_taken_by_force_alone() {
    let last = "v2 4611686022722355200 NOFLAGS mydb 10.0.0.1:6379 1 0-16383";
    check(&[Cluster(last), Applied], Ok(()), 4_611_686_022_722_355_200, 0, true);
    let over = "v2 4611686022722355201 NOFLAGS mydb 10.0.0.1:6379 1 0-16383";
    check(&[Cluster(over)], Err(Refusal::EpochTooHigh), 0, 0, false);
    let highest = "v2 18446744073709551615 NOFLAGS mydb 10.0.0.1:6379 1 0-16383";
    check(&[Cluster(highest)], Err(Refusal::EpochTooHigh), 0, 0, false);
    let forced = "v2 18446744073709551615 FORCE mydb 10.0.0.1:6379 1 0-16383";
    check(&[Cluster(forced), Applied], Ok(()), u64::MAX, 0, true);
    let roles = "18446744073709551615 NOFLAGS replica mydb 10.0.0.1:6379 1 10.0.0.2:6379 10.0.0.2:5299";
    check(&[Repl(roles)], Err(Refusal::EpochTooHigh), 0, 0, false);
}

#[test]
fn one_at_a_time() {
    check(&[Cluster(ONE), Cluster(TWO)], Err(Refusal::TryAgain), 0, 0, false);
    check(&[Cluster(ONE), Cluster(ONE)], Err(Refusal::TryAgain), 0, 0, false);
    check(
        &[Cluster(ONE), Repl("1 NOFLAGS master mydb 10.0.0.1:6379 0")],
        Err(Refusal::TryAgain),
        0,
        0,
        false,
    );
    let forced = "v2 1 FORCE mydb 10.0.0.1:6379 1 0-16383";
    check(&[Cluster(ONE), Cluster(forced)], Err(Refusal::TryAgain), 0, 0, false);
}

#[test]
fn local_nodes_are_on_the_announced_host() {
    let foreign = "v2 9 FORCE mydb 10.0.0.2:6379 1 0-16383";
    check(&[Cluster(foreign)], Err(Refusal::NotMyMeta), 0, 0, false);
    check(&[Cluster(ONE), Applied, Cluster(foreign)], Err(Refusal::NotMyMeta), 1, 0, true);
    let foreign = "9 FORCE master mydb 10.0.0.2:6379 0";
    check(&[Repl(foreign)], Err(Refusal::NotMyMeta), 0, 0, false);
}

#[test]
fn roles_have_an_epoch_of_their_own() {
    let roles = "5 NOFLAGS master mydb 10.0.0.1:6379 0";
    check(&[Repl(roles), Applied], Ok(()), 0, 5, false);
    check(&[Repl(roles), Applied, Cluster(ONE), Applied], Ok(()), 1, 5, true);
    check(&[Repl(roles), Applied, Repl(roles)], Err(Refusal::OldEpoch), 0, 5, false);
    check(&[Repl(roles), Applied, Repl("5 FORCE master mydb 10.0.0.1:6379 0"), Applied], Ok(()), 0, 5, false);
}

#[test]
fn what_a_coordinator_forces_never_passes_over_a_failover() {
    let before = "replica mydb 10.0.0.1:6379 1 10.0.0.2:6379 10.0.0.2:5299";
    let after = Repl("6 NOFLAGS master mydb 10.0.0.1:6379 0");
    let forced = Repl("5 FORCE,LEASED replica mydb 10.0.0.1:6379 1 10.0.0.2:6379 10.0.0.2:5299");
    check(&[after, Applied, forced], Err(Refusal::OldEpoch), 0, 6, false);
    let [after, forced] = ["6 NOFLAGS", "6 FORCE,LEASED"].map(|flags| format!("{flags} {before}"));
    let mut state = proxy();
    for text in [&after, &forced] {
        let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
        state.set_repl(SetRepl::parse(&words).unwrap()).unwrap();
        state.applied();
    }
    // An operator's does.
    check(
        &[
            Repl("6 NOFLAGS master mydb 10.0.0.1:6379 0"),
            Applied,
            Repl("5 FORCE master mydb 10.0.0.1:6379 0"),
            Applied,
        ],
        Ok(()),
        0,
        5,
        false,
    );
}

#[test]
fn an_empty_view_leaves_the_cluster() {
    check(&[Cluster(ONE), Applied, Cluster("v2 2 NOFLAGS mydb"), Applied], Ok(()), 2, 0, false);
    let mut state = proxy();
    take(&mut state, &Cluster(ONE)).unwrap();
    assert!(state.view().is_some());
    take(&mut state, &Applied).unwrap();
    take(&mut state, &Cluster("v2 2 NOFLAGS mydb")).unwrap();
    assert!(state.view().is_none());
    assert!(state.nodes().is_empty());
}

#[test]
fn nodes_and_their_roles() {
    let mut state = proxy();
    take(&mut state, &Cluster("v2 1 NOFLAGS mydb 10.0.0.1:6379 1 0-99 10.0.0.1:6380 REPLICA 1 100-200"))
        .unwrap();
    take(&mut state, &Applied).unwrap();
    let roles =
        "1 NOFLAGS replica mydb 10.0.0.1:6380 1 10.0.0.2:6379 10.0.0.2:5299 master mydb 10.0.0.1:6381 0";
    take(&mut state, &Repl(roles)).unwrap();
    let nodes: Vec<String> = state.nodes().iter().map(ToString::to_string).collect();
    assert_eq!(nodes, ["10.0.0.1:6379", "10.0.0.1:6380", "10.0.0.1:6381"]);
    let desired = |node: &str| state.desired_role(&node.parse().unwrap());
    assert_eq!(desired("10.0.0.1:6379"), None);
    assert_eq!(desired("10.0.0.1:6380"), Some(DesiredRole::ReplicaOf("10.0.0.2:6379".parse().unwrap())));
    assert_eq!(desired("10.0.0.1:6381"), Some(DesiredRole::Primary));
    assert_eq!(state.primaries(), ["10.0.0.1:6379".parse().unwrap()]);
}

#[test]
fn migrations_are_kept() {
    let meta = "3 10.0.0.1:5299 10.0.0.1:6379 10.0.0.2:5299 10.0.0.2:6379";
    let mut state = proxy();
    let text = format!("v2 4 NOFLAGS mydb 10.0.0.1:6379 MIGRATING 2 0-99 200-300 {meta}");
    let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
    state.set_cluster(SetCluster::parse(&words).unwrap()).unwrap();
    assert_eq!(state.migrations(), [format!("migrating 0-99,200-300 {meta}")]);
}
