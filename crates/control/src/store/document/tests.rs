//! Documents: that a change writes what it touches, and that what is written gives the same back.

use std::collections::BTreeMap;

use control_core::{Command, NewProxy, TimeMs, apply};

use super::{Document, DocumentError, WriterId};
use crate::store::{PartKey, Parts};

fn register(index: u16) -> Command {
    let address = |port: u16| format!("10.0.{}.{}:{port}", index / 200, index % 200).parse().unwrap();
    Command::RegisterProxy(NewProxy {
        address: address(5299),
        nodes: vec![address(6379), address(6380)],
        host: None,
        index: None,
    })
}

fn create(name: &str, node_number: usize) -> Command {
    let (config, now) = (BTreeMap::new(), TimeMs(1));
    Command::CreateCluster { cluster: name.parse().unwrap(), node_number, config, now }
}

fn report(index: u16) -> Command {
    let proxy = format!("10.0.0.{index}:5299").parse().unwrap();
    Command::ReportFailure { proxy, reporter: control_core::ReporterId("r".to_owned()), now: TimeMs(5) }
}

/// Applies the commands one change after the other, following along with the documents that each writes.
#[test]
fn what_is_written_gives_the_same_back() {
    fn check(commands: Vec<Command>) {
        let mut document = Document::default();
        let mut stored = Parts::new();
        let mut follower = Document::default();
        for command in commands {
            let mut next = document.clone();
            apply(&mut next.state, command.clone()).unwrap_or_else(|error| panic!("{command:?}: {error}"));
            next.sign(WriterId(7), next.change + 1);
            let parts = document.differences(&next);
            assert!(parts.len() <= 1 + 64 + 32, "{} documents for {command:?}", parts.len());
            follower.absorb(&parts).unwrap();
            stored.extend(parts);
            assert_eq!(follower, next, "after {command:?}");
            document = next;
        }
        let mut fresh = Document::default();
        fresh.absorb(&stored).unwrap();
        assert_eq!(fresh, document);
    }
    check(vec![register(1)]);
    check((1..=400).map(register).chain([create("a", 400), create("b", 4)]).collect());
    let delete = |name: &str| Command::DeleteCluster { cluster: name.parse().unwrap() };
    check((1..=4).map(register).chain([create("a", 4), create("b", 4), delete("a"), report(2)]).collect());
    let remove = Command::RemoveProxy { proxy: "10.0.0.1:5299".parse().unwrap() };
    check(vec![register(1), register(2), report(1), remove]);
}

#[test]
fn a_change_writes_only_what_it_touches() {
    let mut document = Document::default();
    for index in 1..=100 {
        apply(&mut document.state, register(index)).unwrap();
    }
    let mut next = document.clone();
    apply(&mut next.state, report(3)).unwrap();
    let parts = document.differences(&next);
    assert_eq!(parts.len(), 2, "the head and one document of proxies: {:?}", parts.keys());
}

#[test]
fn writers() {
    let mut document = Document::default();
    assert_eq!(document.holds(WriterId(1), 1), Some(false));
    document.sign(WriterId(1), 1);
    assert_eq!(document.holds(WriterId(1), 1), Some(true));
    assert_eq!(document.holds(WriterId(1), 2), Some(false));
    for other in 2..=33 {
        document.sign(WriterId(other), 1);
    }
    assert_eq!(document.holds(WriterId(1), 1), None, "forgotten among too many");
    assert_eq!(document.holds(WriterId(33), 1), Some(true));
    assert_eq!(document.change, 33);
}

#[test]
fn what_cannot_be_read() {
    fn check(key: &str, bytes: &[u8], expected: &str) {
        let parts = Parts::from([(PartKey(key.to_owned()), bytes.to_vec())]);
        let error = Document::default().absorb(&parts).expect_err(key);
        assert!(error.to_string().contains(expected), "{key}: {error}");
        assert!(matches!(error, DocumentError::Unreadable { .. }), "{error:?}");
    }
    check("head", b"{}", "missing field");
    check("head", b"\x1f\x8bnot gzip", "'head'");
    check("proxies/00", b"[1]", "'proxies/00'");
    check("clusters/00", b"{\"clusters\":{},\"more\":1}", "more");
    check("other", b"{}", "no such document");
}
