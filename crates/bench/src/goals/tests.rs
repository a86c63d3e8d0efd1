//! How goals are judged.

use std::collections::BTreeSet;

use super::Judgement::{Met, Missed, Unclear};
use super::*;
use crate::plan;
use crate::report::{Idle, TargetResult};

fn sample(process_us: f64, backend_us: f64, per_second: f64, p99_ms: f64) -> Traffic {
    let (p50_ms, backend_us) = (p99_ms / 2.0, Some(backend_us));
    Traffic { requests: 1, process_us, backend_us, per_second, p50_ms, p99_ms, resident_kib: 1, other: 0.0 }
}

fn case(name: &str, targets: &[(&str, &[Traffic])]) -> CaseResult {
    let target = |(name, traffic): &(&str, &[Traffic])| TargetResult {
        name: (*name).to_owned(),
        traffic: traffic.to_vec(),
        idle: Vec::new(),
    };
    let targets = targets.iter().map(target).collect();
    CaseResult { name: name.to_owned(), title: name.to_owned(), targets }
}

fn check(cases: &[CaseResult], expected: &[(&str, &str, bool)]) {
    let verdicts = judge(cases);
    let found: Vec<(&str, &str, bool)> =
        verdicts.iter().map(|one| (one.what.as_str(), one.measured.as_str(), one.result == Met)).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_row_pools_its_cases() {
    let slow = sample(10.0, 10.0, 100.0, 1.0);
    let fast = sample(7.24, 8.9, 100.0, 1.0);
    let targets: [(&str, &[Traffic]); 2] = [("nutcracker", &[slow]), ("undermoon", &[fast])];
    check(
        &[case("get-3B-c50-P1", &targets), case("set-3B-c50-P1", &targets)],
        &[
            ("50 connections, no pipeline, 3 B: proxy CPU", "0.72", true),
            ("50 connections, no pipeline, 3 B: proxy and Redis CPU", "0.81", false),
            ("50 connections, no pipeline, 3 B: throughput", "1.00", true),
            ("get-3B-c50-P1: p99", "1.00", true),
        ],
    );
}

#[test]
fn what_the_proxy_costs_beside_redis_alone() {
    let (ours, plain) =
        (sample(4.0, 2.5, 1.0, 1.0), Traffic { backend_us: None, ..sample(5.0, 0.0, 1.0, 1.0) });
    let targets: [(&str, &[Traffic]); 2] = [("undermoon", &[ours]), ("redis", &[plain])];
    check(
        &[case("get-3B-c50-P1", &targets), case("set-3B-c50-P1", &targets)],
        &[("50 connections, no pipeline, 3 B: CPU of proxy and Redis, beside Redis alone", "1.30", false)],
    );
}

#[test]
fn forwarding_and_clients_that_read_nothing() {
    let (one, both) = (sample(4.0, 2.5, 1.0, 1.0), sample(7.9, 2.5, 1.0, 1.04));
    check(
        &[case("hop", &[("undermoon", &[one]), ("undermoon-forwarding", &[both])])],
        &[("hop: CPU of both proxies, beside the local path", "1.98", true)],
    );
    check(
        &[case("five", &[("undermoon", &[one]), ("undermoon-unread", &[both])])],
        &[
            ("five: proxy CPU, beside clients that all read", "1.98", false),
            ("five: p99, beside clients that all read", "1.04", true),
        ],
    );
}

#[test]
fn half_a_row_is_not_judged() {
    let one = sample(1.0, 1.0, 1.0, 1.0);
    check(&[case("get-3B-c50-P1", &[("nutcracker", &[one]), ("redis", &[one])])], &[]);
    check(
        &[case("get-3B-c50-P1", &[("nutcracker", &[one]), ("undermoon", &[one])])],
        &[("get-3B-c50-P1: p99", "1.00", true)],
    );
}

#[test]
fn latency_within_noise() {
    let at = |p99_ms| sample(1.0, 1.0, 1.0, p99_ms);
    let cases: [(&[Traffic], &[Traffic], Judgement); 5] = [
        (&[at(1.04)], &[at(1.0)], Met),
        (&[at(1.06)], &[at(1.0)], Missed),
        (&[at(0.5)], &[at(1.0)], Met),
        (&[at(1.15), at(1.15), at(1.15)], &[at(0.8), at(1.0), at(1.2)], Met),
        (&[at(1.3), at(1.3), at(1.3)], &[at(0.6), at(1.0), at(1.4)], Unclear),
    ];
    for (on, off, result) in cases {
        let verdicts = judge(&[case("low", &[("undermoon", on), ("undermoon-unbatched", off)])]);
        assert_eq!(verdicts.len(), 2);
        assert!(verdicts.iter().all(|verdict| verdict.result == result), "{verdicts:?}");
    }
}

#[test]
fn memory_and_workers() {
    let mut idle = case("idle", &[("undermoon", &[])]);
    idle.targets[0].idle = vec![Idle { few: 1000, many: 10_000, few_kib: 1000, many_kib: 3250 }];
    let one = sample(1.0, 1.0, 100.0, 1.0);
    let two = sample(1.0, 1.0, 160.0, 1.0);
    check(
        &[idle, case("workers", &[("undermoon", &[one]), ("undermoon-2-workers", &[two])])],
        &[("idle: memory of each", "256 B", true), ("two workers against one: throughput", "1.60", true)],
    );
}

#[test]
fn every_row_names_cases_of_the_plan() {
    let planned: BTreeSet<String> = plan::cases(false).iter().map(plan::Case::name).collect();
    for name in ROWS.iter().flat_map(|row| row.cases) {
        assert!(planned.contains(*name), "{name}");
    }
}
