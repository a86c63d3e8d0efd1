//! Nodes are kept in their roles, and what is told of that is what was seen.

use keeper::{Action, DesiredRole, NodeLink, NodeRole};
use model::{Epoch, LinkState, NodeState};

use crate::stage::{PRIMARY, REPLICA, Stage, address, primary, replica};

fn role_epoch(stage: &mut Stage) -> Option<Epoch> {
    stage.health().health.nodes[0].role_epoch
}

#[test]
fn that_a_node_let_go_is_told_when_it_has_said_so() {
    let mut stage = Stage::new();
    stage.roles_in_force(&format!("4 NOFLAGS replica mydb {PRIMARY} 1 {REPLICA} 10.0.0.2:5299"));
    stage.answers(PRIMARY, &replica("a", REPLICA));
    assert_eq!(role_epoch(&mut stage), Some(Epoch(4)));
    // A visit is under way when the order to let go comes: its answer is no proof.
    stage.pass(100);
    let (early, _) = stage.visits(PRIMARY).pop().unwrap();
    stage.roles_in_force(&format!("5 NOFLAGS master mydb {PRIMARY} 1 {REPLICA} 10.0.0.2:5299"));
    assert!(stage.visits(PRIMARY).is_empty(), "one at a time");
    stage.visited(PRIMARY, early, Ok(&primary("a")));
    assert_eq!(role_epoch(&mut stage), Some(Epoch(4)));
    // Then it hangs, and says nothing.
    let (late, set) = stage.visits(PRIMARY).pop().unwrap();
    assert_eq!(set, None);
    stage.visited(PRIMARY, late, Err("no answer"));
    assert_eq!(role_epoch(&mut stage), Some(Epoch(4)));
    stage.pass(100);
    stage.answers(PRIMARY, &replica("a", REPLICA));
    let [(set, Some(DesiredRole::Primary))] = stage.visits(PRIMARY)[..] else { panic!("it is told") };
    assert_eq!(role_epoch(&mut stage), Some(Epoch(4)), "told is not done");
    stage.visited(PRIMARY, late, Ok(&primary("a")));
    assert_eq!(role_epoch(&mut stage), Some(Epoch(4)), "an answer to an earlier visit");
    stage.visited(PRIMARY, set, Ok(&primary("a")));
    assert_eq!(role_epoch(&mut stage), Some(Epoch(5)));
}

#[test]
fn a_primary_that_started_anew_is_left_as_it_is() {
    let mut stage = Stage::new();
    stage.roles_in_force(&format!("4 NOFLAGS master mydb {PRIMARY} 1 {REPLICA} 10.0.0.2:5299"));
    stage.answers(PRIMARY, &primary("a"));
    stage.pass(100);
    stage.answers(PRIMARY, &replica("b", "127.0.0.1:1"));
    assert!(stage.visits(PRIMARY).is_empty(), "it is not told anything");
    assert!(stage.health().health.nodes[0].restarted);
    stage.roles_in_force(&format!("4 FORCE master mydb {PRIMARY} 1 {REPLICA} 10.0.0.2:5299"));
    stage.answers(PRIMARY, &replica("b", "127.0.0.1:1"));
    assert_eq!(stage.visits(PRIMARY)[0].1, Some(DesiredRole::Primary), "it makes do with what it has");
}

/// A replica that came to its primary in the moment in which that became one follows it by the old protocol, and hears nothing.
#[test]
fn a_link_over_which_nothing_comes_is_made_anew() {
    let mut stage = Stage::new();
    stage.roles_in_force(&format!("4 NOFLAGS replica mydb {PRIMARY} 1 {REPLICA} 10.0.0.2:5299"));
    let mut mute = replica("a", REPLICA);
    let NodeRole::Replica { link, .. } = &mut mute.role else { panic!("it is a replica") };
    *link = NodeLink::Mute;
    for (status, is_told_again) in [(&mute, true), (&replica("a", REPLICA), false)] {
        stage.answers(PRIMARY, status);
        let told = stage.wanted().into_iter().find_map(|action| match action {
            Action::SetRole { visit, anew, .. } => Some((visit, anew)),
            _ => None,
        });
        assert_eq!(told.map(|(_, anew)| anew), is_told_again.then_some(true));
        let expected = if is_told_again { LinkState::Syncing } else { LinkState::Up };
        assert_eq!(stage.health().health.nodes[0].link, Some(expected), "it is not in sync");
        assert_eq!(role_epoch(&mut stage), Some(Epoch(4)), "it has its role");
        if let Some((visit, _)) = told {
            stage.visited(PRIMARY, visit, Ok(&replica("a", REPLICA)));
        }
        stage.pass(100);
    }
}

#[test]
fn a_role_that_does_not_hold_is_set_again_soon() {
    let mut stage = Stage::new();
    stage.roles_in_force(&format!("4 NOFLAGS replica mydb {PRIMARY} 1 {REPLICA} 10.0.0.2:5299"));
    stage.answers(PRIMARY, &primary("a"));
    for _ in 0..3 {
        let [(set, Some(DesiredRole::ReplicaOf(of)))] = &stage.visits(PRIMARY)[..] else {
            panic!("it is told")
        };
        assert_eq!(*of, address(REPLICA));
        stage.visited(PRIMARY, *set, Ok(&primary("a")));
        stage.pass(19);
        assert!(stage.visits(PRIMARY).is_empty());
        stage.pass(1);
        stage.answers(PRIMARY, &primary("a"));
    }
}

#[test]
fn who_has_never_answered_is_silent_since_the_watch_began() {
    let mut stage = Stage::new();
    stage.roles_in_force(&format!("4 NOFLAGS master mydb {PRIMARY} 0"));
    stage.pass(70);
    assert_eq!(stage.health().health.nodes[0].state, NodeState::Unseen { for_ms: 70 });
}
