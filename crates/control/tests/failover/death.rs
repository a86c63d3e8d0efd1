//! After each fault the shard takes writes again, and the cluster becomes whole. The long form is `make targets`, which
//! asks for bounds of time.

use testkit::proof::death::{Fault, measure};

fn check(fault: Fault) {
    measure(fault, 1, &|line| println!("{line}")).unwrap();
}

#[test]
fn a_killed_node() {
    check(Fault::NodeKilled);
}

#[test]
fn a_frozen_node() {
    check(Fault::NodeFrozen);
}

#[test]
fn a_killed_proxy() {
    check(Fault::ProxyKilled);
}

#[test]
fn a_frozen_proxy() {
    check(Fault::ProxyFrozen);
}

#[test]
fn a_killed_host() {
    check(Fault::HostKilled);
}
