//! Primaries that lose their slots: coordinators hear of it when nothing is due to clients any more.

use std::time::Duration;

use keeper::{Action, Answer, Event, Ticket};
use model::Epoch;

use crate::stage::{PRIMARY, REPLICA, Stage, primary};

fn owed(stage: &mut Stage) -> Option<Ticket> {
    let wanted = stage.wanted();
    wanted.iter().rev().find_map(|action| match action {
        Action::AskOwed { ask, .. } | Action::CutOff { order: ask, .. } => Some(*ask),
        _ => None,
    })
}

/// A primary that has served, and whose view without slots is in force now; with who sent that.
fn stopped() -> (Stage, keeper::Caller) {
    let mut stage = Stage::new();
    stage.roles_in_force(&format!("5 NOFLAGS master mydb {PRIMARY} 1 {REPLICA} 10.0.0.2:5299"));
    stage.answers(PRIMARY, &primary("a"));
    stage.view_in_force(&format!("v2 5 LEASED mydb {PRIMARY} 1 0-16383"));
    stage.answers(PRIMARY, &primary("a"));
    assert_eq!(stage.health().health.view_epoch, Epoch(5));
    stage.wanted();
    let caller = stage.view(&format!("v2 6 LEASED mydb {PRIMARY} 0"));
    assert!(stage.wanted().contains(&Action::Fence(Vec::new())));
    stage.hear(Event::Applied);
    (stage, caller)
}

#[test]
fn the_epoch_is_told_when_it_has_stopped_and_was_looked_at() {
    for is_replicated in [true, false] {
        let (mut stage, caller) = stopped();
        let ask = owed(&mut stage).unwrap();
        stage.hear(Event::Owed { ask, replies: 3 });
        stage.pass(1);
        let ask = owed(&mut stage).expect("asked again");
        stage.hear(Event::Owed { ask, replies: 0 });
        let [asked] = stage.asks()[..] else { panic!("the replica is asked for") };
        assert_eq!(stage.health().health.view_epoch, Epoch(5));
        stage.hear(Event::Asked {
            ask: asked,
            has_acknowledged: is_replicated,
            replica_after: Duration::ZERO,
        });
        assert_eq!(stage.health().health.view_epoch, Epoch(5), "not looked at since");
        assert_eq!(stage.answer(caller), None);
        stage.answers(PRIMARY, &primary("a"));
        let health = stage.health().health;
        assert_eq!((health.view_epoch, health.nodes[0].replicated), (Epoch(6), is_replicated));
        assert_eq!(stage.answer(caller), Some(Answer::Done));
    }
}

#[test]
fn what_is_due_for_too_long_is_given_up() {
    let (mut stage, caller) = stopped();
    let mut waited = 0;
    let order = loop {
        let wanted = stage.wanted();
        let cut_off = wanted.iter().find_map(|action| match action {
            Action::CutOff { order, .. } => Some(*order),
            _ => None,
        });
        if let Some(order) = cut_off {
            break order;
        }
        let ask = wanted.iter().find_map(|action| match action {
            Action::AskOwed { ask, .. } => Some(*ask),
            _ => None,
        });
        stage.hear(Event::Owed { ask: ask.expect("asked again"), replies: 1 });
        stage.pass(1);
        waited += 1;
        assert!(waited < 60, "it waits for ever");
    };
    assert!(waited > 50, "{waited} ms");
    assert!(stage.asks().is_empty());
    stage.hear(Event::CutOff { order });
    let [asked] = stage.asks()[..] else { panic!("the replica is asked for") };
    // Whoever sent the view is answered in time, whatever comes of it.
    stage.pass(300);
    assert_eq!(stage.answer(caller), Some(Answer::Done));
    assert_eq!(stage.health().health.view_epoch, Epoch(5));
    stage.hear(Event::Asked { ask: asked, has_acknowledged: true, replica_after: Duration::ZERO });
    stage.answers(PRIMARY, &primary("a"));
    assert_eq!(stage.health().health.view_epoch, Epoch(6));
}

#[test]
fn slots_that_come_back_are_not_stopped() {
    let (mut stage, _) = stopped();
    let ask = owed(&mut stage).unwrap();
    stage.view_in_force(&format!("v2 7 LEASED mydb {PRIMARY} 1 0-16383"));
    stage.hear(Event::Owed { ask, replies: 0 });
    let asked = stage.asks();
    for ask in asked {
        stage.hear(Event::Asked { ask, has_acknowledged: true, replica_after: Duration::ZERO });
    }
    stage.answers(PRIMARY, &primary("a"));
    assert!(!stage.health().health.nodes[0].replicated, "what was true then says nothing now");
}
