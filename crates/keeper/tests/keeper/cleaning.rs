//! UMCTL CLEAN: a cluster's data are never emptied by an order that was meant for what was there before.

use keeper::{Action, Answer, Event, Refusal};

use crate::stage::{PRIMARY, REPLICA, Stage, address};

fn emptied(stage: &mut Stage) -> usize {
    stage.wanted().iter().filter(|action| matches!(action, Action::Clean { .. })).count()
}

fn in_the_pool() -> Stage {
    let mut stage = Stage::new();
    stage.roles_in_force(&format!("2 NOFLAGS master @pool {PRIMARY} 0"));
    stage.view_in_force("v2 2 NOFLAGS @pool");
    stage
}

#[test]
fn nodes_that_are_being_emptied_get_no_slots() {
    let mut stage = in_the_pool();
    let cleaner = stage.clean(2);
    let view = format!("v2 3 NOFLAGS mydb {PRIMARY} 1 0-16383");
    let refused = stage.view(&view);
    assert_eq!(stage.answer(refused), Some(Answer::Refused(Refusal::TryAgain)));
    let refused = stage.roles(&format!("3 NOFLAGS master mydb {PRIMARY} 0"));
    assert_eq!(stage.answer(refused), Some(Answer::Refused(Refusal::TryAgain)));
    assert_eq!(stage.answer(cleaner), None);
    stage.hear(Event::Cleaned(Ok(())));
    assert_eq!(stage.answer(cleaner), Some(Answer::Done));
    stage.view(&view);
    assert!(stage.wanted().contains(&Action::Apply));
}

#[test]
fn two_coordinators_have_it_emptied_once() {
    let mut stage = in_the_pool();
    let cleaners = [stage.clean(2), stage.clean(2)];
    assert_eq!(emptied(&mut stage), 1, "an order more would be carried out late");
    let failed = (address(PRIMARY), "it hung".to_owned());
    stage.hear(Event::Cleaned(Err(failed)));
    for cleaner in cleaners {
        let (node, reason) = (address(PRIMARY), "it hung".to_owned());
        assert_eq!(stage.answer(cleaner), Some(Answer::NotCleaned { node, reason }));
    }
    stage.clean(2);
    assert_eq!(emptied(&mut stage), 1, "it is tried again");
}

#[test]
fn only_a_proxy_without_a_cluster_is_emptied() {
    let mut stage = in_the_pool();
    let cleaner = stage.clean(1);
    assert_eq!(stage.answer(cleaner), Some(Answer::NotEmptyView), "another epoch");
    stage.view(&format!("v2 3 NOFLAGS mydb {PRIMARY} 1 0-16383"));
    let cleaner = stage.clean(2);
    assert_eq!(stage.answer(cleaner), Some(Answer::NotEmptyView), "a view is on its way");
    assert_eq!(emptied(&mut stage), 0);
}

#[test]
fn a_proxy_that_has_the_roles_of_a_cluster_is_not_emptied() {
    let mut stage = in_the_pool();
    stage.roles_in_force(&format!("3 NOFLAGS master mydb {PRIMARY} 1 {REPLICA} 10.0.0.2:5299"));
    let cleaner = stage.clean(2);
    assert_eq!(stage.answer(cleaner), Some(Answer::NotEmptyView), "the view of that epoch is on its way");
    assert_eq!(emptied(&mut stage), 0);
}
