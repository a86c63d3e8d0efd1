//! A node that answers nobody is busy, dead, or nobody can tell: by what it says, and by what its process does.

use keeper::{Action, Event, NodeProcess, NodeStatus, ProcessSeen, VisitFault};
use model::NodeState;

use crate::stage::{PRIMARY, Stage, address, primary};

/// How long the node has been silent when it is judged, in milliseconds.
const FOR_MS: u64 = 1_100;

/// A primary that has answered once; its process is known where it is near.
fn stage(is_near: bool) -> Stage {
    let mut stage = Stage::new();
    stage.roles_in_force(&format!("4 NOFLAGS master mydb {PRIMARY} 0"));
    let process = NodeProcess { pid: 7, executable: "redis-server".to_owned() };
    stage.answers(PRIMARY, &NodeStatus { process: Some(process).filter(|_| is_near), ..primary("a") });
    stage
}

/// Lets time pass; each look at the process shows this.
fn pass(stage: &mut Stage, ms: u64, seen: Option<ProcessSeen>) {
    for _ in 0..ms / 10 {
        stage.pass(10);
        if stage.wanted_looks() > 0 {
            stage.hear(Event::Process { node: address(PRIMARY), seen });
        }
    }
}

fn state(stage: &mut Stage) -> NodeState {
    stage.health().health.nodes[0].state
}

#[test]
fn what_a_silent_node_is() {
    let seen = |state| Some(ProcessSeen { state, ticks: 9, ran_ns: 9 });
    let (silent, busy, failed) = (VisitFault::Silent, VisitFault::Busy, VisitFault::Failed);
    let for_ms = FOR_MS;
    for (is_near, process, fault, expected) in [
        (true, seen('R'), silent as fn(String) -> VisitFault, NodeState::Busy { for_ms }),
        (true, seen('T'), silent, NodeState::Down { for_ms }),
        (true, seen('S'), silent, NodeState::Down { for_ms }),
        (true, None, silent, NodeState::Unseen { for_ms }),
        (false, None, silent, NodeState::Unseen { for_ms }),
        (false, None, busy, NodeState::Busy { for_ms }),
        (true, seen('T'), busy, NodeState::Busy { for_ms }),
        // It may still end, and write what it has to the disk; but nobody listens any more.
        (true, seen('R'), failed, NodeState::Down { for_ms }),
        (false, None, failed, NodeState::Down { for_ms }),
    ] {
        let mut stage = stage(is_near);
        stage.pass(100);
        let (visit, _) = stage.visits(PRIMARY).pop().unwrap();
        pass(&mut stage, FOR_MS - 100, process);
        assert_eq!(state(&mut stage), NodeState::Up, "nothing is known before the visit has ended");
        stage.fails(PRIMARY, visit, fault("no answer".to_owned()));
        assert_eq!(state(&mut stage), expected, "{is_near} {process:?}");
    }
}

#[test]
fn a_busy_node_that_is_stopped_is_down_at_once() {
    let mut stage = stage(true);
    let seen = |state| Some(ProcessSeen { state, ticks: 9, ran_ns: 9 });
    stage.pass(100);
    let (visit, _) = stage.visits(PRIMARY).pop().unwrap();
    pass(&mut stage, 1_000, seen('R'));
    assert!(stage.keeper().readiness(stage.now).unserved().is_empty());
    stage.fails(PRIMARY, visit, VisitFault::Silent("no answer".to_owned()));
    pass(&mut stage, 900, seen('R'));
    assert_eq!(state(&mut stage), NodeState::Busy { for_ms: 2_000 });
    pass(&mut stage, 100, seen('T'));
    assert_eq!(state(&mut stage), NodeState::Down { for_ms: 2_100 });
    pass(&mut stage, 100, seen('R'));
    assert_eq!(state(&mut stage), NodeState::Busy { for_ms: 2_200 }, "it goes on");
    // It rests, neither stopped nor at work: it may wait for a page of memory, and not for long.
    pass(&mut stage, 400, seen('S'));
    assert_eq!(state(&mut stage), NodeState::Busy { for_ms: 2_600 });
    pass(&mut stage, 100, seen('S'));
    assert_eq!(state(&mut stage), NodeState::Down { for_ms: 2_700 });
}

#[test]
fn a_busy_node_asks_for_looks_and_tells_the_workers() {
    let mut stage = stage(true);
    stage.pass(100);
    pass(&mut stage, 1_000, Some(ProcessSeen { state: 'R', ticks: 9, ran_ns: 9 }));
    let lives = stage.wanted().into_iter().filter(|action| matches!(action, Action::Lives { .. })).count();
    assert!(lives >= 7, "{lives}");
}
