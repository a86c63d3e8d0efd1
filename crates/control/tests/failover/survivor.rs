//! One host of two is dead, and no other can take its place: the survivor refuses nothing. The long form is
//! `make survivors`.

use std::time::Duration;

use anyhow::ensure;
use testkit::proof::survivors::{SetUp, measure};
use testkit::stalls::unless_stalled;

/// How long the survivor is written to. Probing and reading keep their phase for longer than this once they are in step.
const SECONDS: u64 = 5;

fn check(set_up: SetUp) {
    unless_stalled(|stalls| {
        let survived = measure(set_up, SECONDS, Duration::ZERO, stalls)?;
        println!("{survived:?}");
        ensure!(survived.requests > 1_000 && survived.refused == 0, "{survived:?}");
        Ok(())
    })
    .unwrap();
}

#[test]
fn with_one_broker() {
    check(SetUp::ALL[0]);
}

#[test]
fn with_one_broker_and_two_coordinators() {
    check(SetUp::ALL[1]);
}

#[test]
fn with_etcd() {
    check(SetUp::ALL[2]);
}

#[test]
fn with_etcd_and_two_coordinators() {
    check(SetUp::ALL[3]);
}
