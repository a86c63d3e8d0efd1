//! Each checker finds the rule that does not hold: the same story, in which all holds else.

use sim::{Invariant, Planted, Setup, World};

use crate::blind::{a_blind_coordinator_knows_an_old_pool, blind_setup};
use crate::silence::{a_proxy_is_cut_off, one_broker, one_is_deaf_and_the_other_is_cut_off};
use crate::stories::{
    a_foreign_replica_and_a_partition, a_handover_to_a_replica_that_hangs, a_host_dies, a_machine_is_paused,
    a_primary_forgets, one_coordinator_is_deaf_to_one_proxy, proxies_start_anew,
};

/// How many seeds may be needed until it shows.
const SEEDS: u64 = 40;

fn check(planted: Planted, expected: Invariant, setup: &Setup, story: impl Fn(&mut World)) {
    for seed in 0..SEEDS {
        let mut world = World::new(Setup { planted: Some(planted), ..setup.clone() }, seed);
        story(&mut world);
        world.take_stock();
        if let Some(found) = world.checks.found() {
            assert_eq!(found.invariant, expected, "{planted:?}, seed {seed}: {}", world.picture());
            return;
        }
    }
    panic!("{planted:?} is not found in {SEEDS} worlds");
}

#[test]
fn any_replica_for_the_named_one() {
    let setup = Setup::default();
    check(Planted::AnyReplicaCounts, Invariant::OneWriter, &setup, a_foreign_replica_and_a_partition);
    check(Planted::AnyReplicaCounts, Invariant::NoLoss, &setup, a_handover_to_a_replica_that_hangs);
}

#[test]
fn a_handover_without_asking() {
    let story = a_handover_to_a_replica_that_hangs;
    check(Planted::HandoverUnasked, Invariant::NoLoss, &Setup::default(), story);
}

#[test]
fn clocks_that_stand_still() {
    check(Planted::ClocksStandStill, Invariant::OneWriter, &Setup::default(), a_machine_is_paused);
}

#[test]
fn fences_that_nobody_looks_at() {
    check(Planted::FencesIgnored, Invariant::OneWriter, &Setup::default(), a_machine_is_paused);
}

#[test]
fn a_restart_that_nobody_sees() {
    check(Planted::RestartUnseen, Invariant::NoLoss, &Setup::default(), a_primary_forgets);
}

#[test]
fn leases_that_end() {
    let setup = Setup { hosts: 2, chunks: 1, coordinators: 1, brokers: 1, ..Setup::default() };
    check(Planted::TermsNotRenewed, Invariant::LeaseKept, &setup, a_host_dies);
}

#[test]
fn reports_that_are_forgotten() {
    let story = one_coordinator_is_deaf_to_one_proxy;
    check(Planted::ReportsForgotten, Invariant::NoFlapping, &Setup::default(), story);
}

#[test]
fn proxies_that_are_told_what_is_old() {
    let story = a_blind_coordinator_knows_an_old_pool;
    check(Planted::AnyProcessTold, Invariant::NoLoss, &blind_setup(), story);
}

#[test]
fn silence_that_is_none() {
    for planted in [Planted::SilenceInvented, Planted::ReadersForgotten] {
        check(planted, Invariant::OneWriter, &one_broker(), one_is_deaf_and_the_other_is_cut_off);
    }
}

#[test]
fn fences_that_are_looked_at_late() {
    check(Planted::FencesLate, Invariant::OneWriter, &one_broker(), a_proxy_is_cut_off);
}

#[test]
fn pushes_that_are_not_tried_again() {
    check(Planted::PushedOnce, Invariant::Heals, &Setup::default(), proxies_start_anew);
}
