//! Until when a primary may be used: by a lease, or by a replica that is attached.

use std::time::Duration;

use keeper::{Action, Event, Readiness};
use model::Moment;

use crate::stage::{PRIMARY, REPLICA, Stage};

fn view(flags: &str) -> String {
    format!("v2 5 {flags} mydb {PRIMARY} 1 0-16383")
}

fn roles() -> String {
    format!("5 NOFLAGS master mydb {PRIMARY} 1 {REPLICA} 10.0.0.2:5299")
}

fn after(from: Moment, ms: u64) -> Option<Option<Moment>> {
    Some(Some(from.plus(Duration::from_millis(ms))))
}

#[test]
fn without_coordinators_there_is_no_limit() {
    let mut stage = Stage::new();
    stage.roles_in_force(&roles());
    stage.view_in_force(&view("NOFLAGS"));
    assert_eq!(stage.fenced_until(PRIMARY), Some(None));
    assert!(stage.asks().is_empty(), "nobody needs to know of replicas");
}

#[test]
fn a_view_with_leases_needs_one_before_it_is_in_force() {
    let mut stage = Stage::new();
    let begun = stage.now;
    stage.roles_in_force(&roles());
    stage.pass(50);
    stage.wanted();
    stage.view(&view("LEASED"));
    let wanted = stage.wanted();
    let fence = wanted.iter().position(|action| matches!(action, Action::Fence(_))).unwrap();
    let apply = wanted.iter().position(|action| *action == Action::Apply).unwrap();
    assert!(fence < apply, "{wanted:?}");
    assert!(matches!(&wanted[fence], Action::Fence(fences) if fences[0].1 == Some(begun)));
    stage.hear(Event::Applied);
    let probed = stage.now;
    let answer = stage.health();
    stage.pass(120);
    stage.grant(&answer, 400);
    assert_eq!(stage.fenced_until(PRIMARY), after(probed, 400), "a lease counts from its token");
}

/// How long after a lease of a millisecond the replica is asked for, and how long its answer counts.
#[test]
fn an_attached_replica_is_as_good_as_a_lease() {
    for (asked_after_ms, counts_ms) in [(300, 100), (990, 100), (1_010, 300), (9_000, 300)] {
        let mut stage = Stage::new();
        stage.roles_in_force(&roles());
        stage.view_in_force(&view("LEASED"));
        let answer = stage.health();
        assert_eq!(answer.health.attached_soon_for_ms, None, "nothing was granted");
        stage.grant(&answer, 1);
        assert_eq!(stage.health().health.attached_soon_for_ms, Some(1_001));
        stage.pass(asked_after_ms);
        let asked = stage.now;
        for ask in stage.asks() {
            stage.hear(Event::Asked { ask, has_acknowledged: false, replica_after: Duration::ZERO });
        }
        let [ask] = stage.asks()[..] else { panic!("one question at a time") };
        stage.pass(counts_ms / 2);
        stage.hear(Event::Asked { ask, has_acknowledged: true, replica_after: Duration::ZERO });
        assert_eq!(stage.fenced_until(PRIMARY), after(asked, counts_ms), "it counts from the question");
        stage.wanted();
        stage.hear(Event::Asked { ask, has_acknowledged: true, replica_after: Duration::ZERO });
        assert!(stage.wanted().is_empty(), "the same answer twice");
        stage.pass(counts_ms / 2 - 1);
        assert!(!is_fenced(&stage), "{asked_after_ms}");
        stage.pass(1);
        assert!(is_fenced(&stage), "an answer is outstanding, and the last is too old");
    }
}

/// Nodes that take 60 ms for three answers, of which the last is the replica's: while the short time counts, too.
#[test]
fn an_answer_counts_from_when_the_replica_was_asked() {
    let mut stage = Stage::new();
    stage.roles_in_force(&roles());
    stage.view_in_force(&view("LEASED"));
    let answer = stage.health();
    stage.grant(&answer, 1);
    let mut answered = 0;
    for _ in 0..15 {
        let (asked, asks) = (stage.now, stage.asks());
        stage.pass(60);
        assert!(answered == 0 || !is_fenced(&stage), "{answered} answers");
        for ask in asks {
            let replica_after = Duration::from_millis(40);
            stage.hear(Event::Asked { ask, has_acknowledged: true, replica_after });
            assert_eq!(stage.fenced_until(PRIMARY), after(asked, 140));
            answered += 1;
        }
    }
    assert!(answered > 10, "{answered}");
}

/// A planned failover: the primary's proxy has stopped it, and starts anew before the replica is promoted. A coordinator
/// that was stopped itself gives it the view from before, and the replica still follows.
#[test]
fn a_process_that_was_granted_nothing_does_not_serve_by_its_replica() {
    let mut stage = Stage::new();
    stage.roles_in_force(&roles());
    stage.view_in_force(&view("LEASED"));
    for _ in 0..10 {
        stage.pass(100);
        for ask in stage.asks() {
            stage.hear(Event::Asked { ask, has_acknowledged: true, replica_after: Duration::ZERO });
        }
        assert!(is_fenced(&stage));
    }
    let answer = stage.health();
    assert!(!answer.health.nodes[0].attached, "{answer:?}");
    stage.grant(&answer, 400);
    stage.pass(100);
    for ask in stage.asks() {
        stage.hear(Event::Asked { ask, has_acknowledged: true, replica_after: Duration::ZERO });
    }
    assert!(stage.health().health.nodes[0].attached && !is_fenced(&stage));
}

/// Whether the keeper says that the primary may not be used now.
fn is_fenced(stage: &Stage) -> bool {
    match stage.keeper().readiness(stage.now) {
        Readiness::Unserved { fenced, .. } => !fenced.is_empty(),
        Readiness::NoCluster | Readiness::Ready => false,
    }
}
