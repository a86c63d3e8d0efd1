//! Documents: that a change writes what it touches, and that what is written gives the same back.

use std::collections::BTreeMap;

use control_core::{Command, NewProxy, TimeMs, apply};
use serde_json::{Value, json};

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
    check("other", b"{}", "no such document");
}

/// Puts a field that nobody knows into every object of a document but those that hold any number of records.
fn add_everywhere(value: &mut Value, is_table: bool) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| add_everywhere(item, false)),
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                add_everywhere(field, ["proxies", "clusters", "failures", "writers"].contains(&&**name));
            }
            if !is_table {
                fields.insert("added_later".to_owned(), json!({"with": ["more"]}));
            }
        }
        _ => {}
    }
}

fn added(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(added).sum(),
        Value::Object(fields) => {
            usize::from(fields.contains_key("added_later")) + fields.values().map(added).sum::<usize>()
        }
        _ => 0,
    }
}

#[test]
fn fields_of_a_newer_version_are_kept_where_they_are() {
    let mut document = Document::default();
    for command in (1..=4).map(register).chain([create("a", 4), report(2)]) {
        apply(&mut document.state, command).unwrap();
    }
    document.sign(WriterId(7), 1);
    let mut newer = Document::default().differences(&document);
    for bytes in newer.values_mut() {
        let mut value: Value = serde_json::from_slice(bytes).unwrap();
        // A report is a name and a time, with no room for more.
        add_everywhere(&mut value, false);
        if let Some(failures) = value.get_mut("failures").and_then(Value::as_object_mut) {
            failures.values_mut().filter_map(Value::as_object_mut).for_each(|reports| {
                reports.remove("added_later");
            });
        }
        *bytes = value.to_string().into_bytes();
    }
    let mut older = Document::default();
    older.absorb(&newer).unwrap();
    assert_eq!(older.state, document.state);

    // What it writes has the fields still; those of what it removes go with it.
    let mut next = older.clone();
    let fields = BTreeMap::from([("migration_max_migration_time".to_owned(), "7".to_owned())]);
    apply(&mut next.state, Command::SetConfig { cluster: "a".parse().unwrap(), fields }).unwrap();
    apply(&mut next.state, report(3)).unwrap();
    let remove = Command::RemoveProxy { proxy: "10.0.0.4:5299".parse().unwrap() };
    apply(&mut next.state, remove).unwrap();
    next.sign(WriterId(8), 1);
    next.forget_removed(&older);
    let written = older.differences(&next);
    for (key, bytes) in &written {
        let (before, after): (Value, Value) =
            (serde_json::from_slice(&newer[key]).unwrap(), serde_json::from_slice(bytes).unwrap());
        let removed = before.pointer("/proxies/10.0.0.4:5299").map_or(0, added);
        assert_eq!(added(&after), added(&before) - removed, "{key:?}: {after}");
    }
    let mut again = Document::default();
    newer.extend(written);
    again.absorb(&newer).unwrap();
    assert_eq!(again.state, next.state);
    // The record that comes back under a name is another.
    let mut back = again.clone();
    apply(&mut back.state, register(4)).unwrap();
    back.sign(WriterId(9), 1);
    let parts = again.differences(&back);
    let texts = parts.values().map(|bytes| serde_json::from_slice::<Value>(bytes).unwrap());
    let record = texts.filter_map(|value| value.pointer("/proxies/10.0.0.4:5299").cloned()).next().unwrap();
    assert_eq!(added(&record), 0, "{record}");
}

/// What a broker of 22 November 2026 (94b53d2) had in etcd, and the dump that it gave then. It reads no record with a field that
/// it does not know.
const EARLIER: &str = include_str!("earlier.json");

/// So what it stored is read, and written as it was, with no field more: both versions work on one etcd, until something
/// happens for which the earlier has no words.
#[test]
fn what_an_earlier_version_stored_is_written_as_it_was() {
    let recorded: Value = serde_json::from_str(EARLIER).unwrap();
    let stored: Parts = recorded["parts"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, part)| (PartKey(key.clone()), part.to_string().into_bytes()))
        .collect();
    let mut document = Document::default();
    document.absorb(&stored).unwrap();
    assert_eq!((document.state.clusters.len(), document.state.proxies.len()), (2, 6));
    let written = Document::default().differences(&document);
    for (key, bytes) in &written {
        let written: Value = serde_json::from_slice(bytes).unwrap();
        assert_eq!(written, recorded["parts"][&key.0], "{key:?}");
    }
    // The dump is the same metadata, and is taken as strictly as one that a person gives.
    let dump = recorded["dump"].to_string();
    let state: control_core::State = crate::strict_json::from_slice(dump.as_bytes()).unwrap();
    assert_eq!(state, document.state);
    state.check().unwrap();
    assert_eq!(serde_json::to_value(&state).unwrap(), recorded["dump"]);
}
