//! The judge against small rounds that are right, and against a fault of each kind.

use super::order::order;
use super::record::{Asked, Entry, Key, KeyId, Outcome, Record, Request, SessionId};
use crate::frame::Frame;
use crate::history::Moment;

/// Two lists on one node, and one on another.
fn keys() -> Vec<Key> {
    [("{a}1", 0), ("{a}2", 0), ("{b}1", 1)]
        .map(|(name, part)| Key { database: 0, name: name.to_owned(), part })
        .to_vec()
}

fn answered(reply: &str, end: u64) -> Outcome {
    Outcome::Answered(Frame::new(reply.as_bytes().to_vec()), Moment(end))
}

fn entry(session: usize, call: u64, asked: Asked, outcome: Outcome) -> Entry {
    Entry {
        session: SessionId(session),
        request: Request { args: Vec::new(), asked },
        call: Moment(call),
        outcome,
    }
}

/// A push that was answered with this length.
fn push(session: usize, (call, end): (u64, u64), (key, item): (usize, &str), length: usize) -> Entry {
    entry(session, call, Asked::Push(KeyId(key), item.to_owned()), answered(&format!(":{length}\r\n"), end))
}

fn length(session: usize, (call, end): (u64, u64), key: usize, length: usize) -> Entry {
    entry(session, call, Asked::Length(KeyId(key)), answered(&format!(":{length}\r\n"), end))
}

fn items(session: usize, (call, end): (u64, u64), key: usize, items: &[&str]) -> Entry {
    let mut reply = format!("*{}\r\n", items.len());
    items.iter().for_each(|item| reply += &format!("${}\r\n{item}\r\n", item.len()));
    entry(session, call, Asked::Items(KeyId(key)), answered(&reply, end))
}

fn without_answer(session: usize, call: u64, (key, item): (usize, &str), refused: bool) -> Entry {
    let outcome = if refused {
        Outcome::Refused("a reason".to_owned())
    } else {
        Outcome::Unknown("a reason".to_owned())
    };
    entry(session, call, Asked::Push(KeyId(key), item.to_owned()), outcome)
}

/// What is expected: how many requests the order has, or the beginning of what the violation says.
#[track_caller]
fn check(entries: Vec<Entry>, finals: [&[&str]; 3], expected: Result<usize, &str>) {
    let bytes = |items: &&[&str]| items.iter().map(|item| item.as_bytes().to_vec()).collect();
    let record = Record { keys: keys(), entries, finals: finals.iter().map(bytes).collect() };
    match (order(&record), expected) {
        (Ok(order), Ok(expected)) => assert_eq!(order.len(), expected, "{order:?}"),
        (Err(found), Err(expected)) => assert!(found.to_string().starts_with(expected), "{found}"),
        (found, expected) => panic!("expected {expected:?}, found {found:?}"),
    }
}

#[test]
fn what_one_redis_could_have_answered_has_an_order() {
    check(vec![], [&[], &[], &[]], Ok(0));
    // In one pipeline, and seen by another session in the middle of it.
    check(
        vec![
            push(0, (1, 9), (0, "x"), 1),
            push(0, (1, 10), (0, "y"), 3),
            push(1, (2, 8), (0, "z"), 2),
            items(2, (3, 7), 0, &["x"]),
            length(2, (3, 7), 0, 2),
        ],
        [&["x", "z", "y"], &[], &[]],
        Ok(5),
    );
    // Of unknown outcome: never executed, or late.
    check(vec![without_answer(0, 1, (0, "x"), false), length(0, (3, 4), 0, 0)], [&[], &[], &[]], Ok(1));
    check(
        vec![without_answer(0, 1, (0, "x"), false), push(0, (3, 4), (0, "y"), 1)],
        [&["y", "x"], &[], &[]],
        Ok(2),
    );
    // A pipeline to two nodes may be executed in any order.
    check(
        vec![
            push(0, (1, 9), (0, "x"), 1),
            push(0, (1, 9), (2, "y"), 1),
            length(1, (2, 3), 2, 1),
            length(1, (4, 5), 0, 0),
        ],
        [&["x"], &[], &["y"]],
        Ok(4),
    );
    check(vec![without_answer(0, 1, (0, "x"), true)], [&[], &[], &[]], Ok(0));
}

#[test]
fn a_fault_of_each_kind_is_found() {
    // An acknowledged push is not there; it is elsewhere in the list.
    check(vec![push(0, (1, 2), (0, "x"), 1)], [&[], &[], &[]], Err("acknowledged and not where"));
    check(
        vec![push(0, (1, 2), (0, "x"), 1), push(1, (3, 4), (0, "y"), 2)],
        [&["y", "x"], &[], &[]],
        Err("acknowledged and not where"),
    );
    // Executed twice; by nobody; by who was told that it was not.
    check(vec![push(0, (1, 2), (0, "x"), 1)], [&["x", "x"], &[], &[]], Err("executed twice"));
    check(vec![], [&[], &["x"], &[]], Err("the list {a}2 holds x, which nobody pushed"));
    check(vec![without_answer(0, 1, (0, "x"), true)], [&["x"], &[], &[]], Err("executed, although refused"));
    // Replies: to another request, of a list that never was, by a list that is too long.
    check(
        vec![entry(0, 1, Asked::Aside(Some(b"$1\r\nx\r\n".to_vec())), answered("$1\r\ny\r\n", 2))],
        [&[], &[], &[]],
        Err("a wrong reply"),
    );
    check(
        vec![push(0, (1, 9), (0, "x"), 1), items(1, (2, 3), 0, &["y"])],
        [&["x"], &[], &[]],
        Err("a wrong reply"),
    );
    check(vec![length(0, (1, 2), 0, 1)], [&[], &[], &[]], Err("a wrong reply"));
    // The session's own order is lost, in one list and between two on one node.
    check(
        vec![push(0, (1, 9), (0, "x"), 2), push(0, (1, 9), (0, "y"), 1)],
        [&["y", "x"], &[], &[]],
        Err("no order"),
    );
    check(
        vec![
            push(0, (1, 9), (0, "x"), 1),
            push(0, (1, 9), (1, "y"), 1),
            length(1, (1, 9), 1, 1),
            length(1, (1, 9), 0, 0),
        ],
        [&["x"], &["y"], &[]],
        Err("no order"),
    );
    // Stale: what was acknowledged before is not seen, by another session and with another node's request between.
    check(vec![push(0, (1, 2), (0, "x"), 1), length(1, (3, 4), 0, 0)], [&["x"], &[], &[]], Err("no order"));
    check(
        vec![
            push(0, (1, 20), (0, "x"), 1),
            length(1, (2, 3), 0, 1),
            push(1, (4, 5), (2, "y"), 1),
            length(2, (6, 7), 2, 1),
            length(2, (8, 9), 0, 0),
        ],
        [&["x"], &[], &["y"]],
        Err("no order"),
    );
}
