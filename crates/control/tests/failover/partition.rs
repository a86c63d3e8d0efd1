//! An old primary that comes back from a partition takes no write after its replacement took one. The long form is
//! `make partitions`.

use testkit::chaos::network::Direction;
use testkit::proof::partitions::{Beside, Cut, Kind, PartitionsPlan, PartitionsReport, WritesTo, run};

/// What is left open by the kinds: with it none ends before anybody is replaced.
const SEED: u64 = 1;

/// As many partitions as there are kinds.
fn partitions(kinds: &[(Cut, Beside)], writes_to: WritesTo) -> PartitionsReport {
    let kinds: Vec<Kind> = kinds.iter().map(|&(cut, beside)| Kind { cut, beside }).collect();
    let plan = PartitionsPlan { runs: kinds.len(), lanes: 1, seed: SEED, kinds, writes_to };
    let report = run(&plan, &|line| println!("{line}")).unwrap();
    println!("{report}");
    report
}

/// All of them, in each of which somebody is replaced.
fn check(kinds: &[(Cut, Beside)]) {
    let report = partitions(kinds, WritesTo::Proxy);
    assert!(report.is_good(), "{report}");
    assert_eq!(report.replaced, kinds.len(), "{report}");
}

#[test]
fn a_primary_that_was_stopped_comes_back() {
    check(&[
        (Cut::ProxyFrozen, Beside::Nothing),
        (Cut::HostFrozen, Beside::Nothing),
        (Cut::NodeFrozen, Beside::ExtraReplica),
        (Cut::HostPaused, Beside::HangingReplica),
    ]);
}

#[test]
fn a_proxy_that_only_its_clients_reach() {
    check(&[
        (Cut::Coordinators(Direction::Both), Beside::Nothing),
        (Cut::Coordinators(Direction::Both), Beside::ExtraReplica),
        (Cut::Coordinators(Direction::Both), Beside::Impostor),
        (Cut::Coordinators(Direction::Outgoing), Beside::HangingNode),
        (Cut::Both(Direction::Both), Beside::HangingReplica),
        (Cut::Both(Direction::Incoming), Beside::ExtraReplica),
    ]);
}

#[test]
fn a_primary_that_nothing_holds_back_is_found() {
    let report = partitions(&[(Cut::Coordinators(Direction::Both), Beside::Nothing)], WritesTo::Node);
    assert_eq!(report.replaced, 1, "{report}");
    assert!(report.late > 0 && !report.is_good(), "late acknowledgements were planted, none was found");
}
