//! Replies of imagined backends, and what the table makes of them.

use super::super::{Class, Command, CommandTable, KeyPlan, Reason};
use resp::{Protocol, parse_value};

/// Name, arity, flags, first, last and step, key specification.
type Entry<'a> = (&'a str, i64, &'a [&'a str], [i64; 3], &'a str);
/// Flags, first, last and step, key specification; the class and plan that they lead to.
type Case<'a> = (&'a [&'a str], [i64; 3], &'a str, Class, KeyPlan);

/// A COMMAND reply of entries of ten fields; `spec` is given as FLAGS, begin and keys, or empty.
fn reply(entries: &[Entry<'_>]) -> Vec<u8> {
    use resp::encode;
    let mut out = Vec::new();
    encode::array(&mut out, entries.len());
    for (name, arity, flags, legacy, spec) in entries {
        encode::array(&mut out, 10);
        encode::bulk(&mut out, name.as_bytes());
        encode::integer(&mut out, *arity);
        encode::array(&mut out, flags.len());
        flags.iter().for_each(|flag| encode::simple(&mut out, flag));
        legacy.iter().for_each(|number| encode::integer(&mut out, *number));
        encode::array(&mut out, 1);
        encode::simple(&mut out, "@write");
        encode::array(&mut out, 0);
        encode::array(&mut out, usize::from(!spec.is_empty()));
        if !spec.is_empty() {
            write_spec(spec, &mut out);
        }
        encode::array(&mut out, 0);
    }
    out
}

/// `unknown`, `index 1`, `incomplete 1` or `count 1`.
fn write_spec(spec: &str, out: &mut Vec<u8>) {
    use resp::encode;
    let (kind, at) = spec.split_once(' ').unwrap_or((spec, "0"));
    let known = kind != "unknown";
    encode::map(out, Protocol::Resp2, 3);
    encode::bulk(out, b"flags");
    encode::array(out, 1);
    encode::simple(out, if kind == "incomplete" { "incomplete" } else { "RW" });
    encode::bulk(out, b"begin_search");
    encode::map(out, Protocol::Resp2, 2);
    encode::bulk(out, b"type");
    encode::bulk(out, if known { b"index" } else { b"unknown" });
    encode::bulk(out, b"spec");
    encode::map(out, Protocol::Resp2, 1);
    encode::bulk(out, b"index");
    encode::integer(out, at.parse().expect("a number"));
    encode::bulk(out, b"find_keys");
    encode::map(out, Protocol::Resp2, 2);
    encode::bulk(out, b"type");
    let fields: &[(&str, i64)] = match kind {
        "count" => &[("keynumidx", 0), ("firstkey", 1), ("keystep", 1)],
        _ => &[("lastkey", 0), ("keystep", 1), ("limit", 0)],
    };
    encode::bulk(out, if kind == "count" { b"keynum" } else { b"range" });
    encode::bulk(out, b"spec");
    encode::map(out, Protocol::Resp2, fields.len());
    for (name, number) in fields {
        encode::bulk(out, name.as_bytes());
        encode::integer(out, *number);
    }
}

fn learned(bytes: &[u8]) -> CommandTable {
    let (value, _) = parse_value(bytes).expect("well formed").expect("complete");
    CommandTable::builtin().learn(&value)
}

fn command<'t>(table: &'t CommandTable, name: &str) -> &'t Command {
    table.lookup(name.as_bytes()).unwrap_or_else(|| panic!("{name} is unknown"))
}

#[test]
fn unknown_commands_are_forwarded_only_where_that_is_safe() {
    let unproven = Class::Refuse(Reason::Unproven);
    let cases: &[Case<'_>] = &[
        (&["write"], [1, 1, 1], "index 1", Class::Forward, KeyPlan::First),
        (&["write"], [1, 1, 1], "", Class::Forward, KeyPlan::First),
        (&["readonly", "movablekeys"], [0, 0, 0], "count 2", Class::Forward, KeyPlan::Specs),
        (&["readonly"], [0, 0, 0], "", unproven, KeyPlan::None),
        (&["write", "movablekeys"], [1, 1, 1], "index 1", unproven, KeyPlan::Specs),
        (&["write", "movablekeys"], [1, 1, 1], "unknown", unproven, KeyPlan::Specs),
        (&["write", "movablekeys"], [1, 1, 1], "incomplete 1", unproven, KeyPlan::Specs),
        (&["write", "blocking"], [1, 1, 1], "index 1", unproven, KeyPlan::First),
        (&["admin"], [1, 1, 1], "index 1", unproven, KeyPlan::First),
        (&["pubsub"], [1, 1, 1], "index 1", unproven, KeyPlan::First),
        (&["write", "noscript"], [1, 1, 1], "index 1", unproven, KeyPlan::First),
        (&["no_auth"], [1, 1, 1], "index 1", unproven, KeyPlan::First),
        (&["write"], [-1, 1, 1], "", unproven, KeyPlan::None),
    ];
    for (flags, legacy, spec, class, keys) in cases {
        let table = learned(&reply(&[("Mod.Do", -2, flags, *legacy, spec)]));
        let found = command(&table, "MOD.DO");
        assert_eq!((found.class, found.keys), (*class, *keys), "{flags:?} {legacy:?} {spec}");
        assert_eq!(found.id.index(), table.len() - 1);
        assert!(found.listed);
    }
}

#[test]
fn known_commands_keep_their_class_and_number() {
    let before = CommandTable::builtin();
    let bytes = reply(&[
        ("subscribe", -2, &["write"], [1, 1, 1], "index 1"),
        ("get", -2, &["admin"], [1, 1, 1], "index 1"),
        ("lpush", -3, &["write"], [2, 2, 1], "index 2"),
        ("json.get", -2, &["readonly"], [1, 1, 1], "index 1"),
        ("sort", -2, &["write"], [1, 1, 1], "unknown"),
        ("bad name", 1, &[], [0, 0, 0], ""),
    ]);
    let after = learned(&bytes);
    assert_eq!(after.len(), before.len());
    for (old, new) in before.iter().zip(after.iter()) {
        assert_eq!((old.id, &old.name, old.class), (new.id, &new.name, new.class));
    }
    assert_eq!(command(&after, "get").arity, -2, "widened");
    assert_eq!(command(&after, "get").keys, KeyPlan::First);
    assert_eq!(command(&after, "lpush").keys, KeyPlan::Range { first: 2, last: 2, step: 1 });
    assert_eq!(command(&after, "sort").keys, command(&before, "sort").keys);
    assert!(command(&after, "json.get").listed && !command(&before, "json.get").listed);
}

#[test]
fn nonsense_teaches_nothing() {
    for bytes in ["*1\r\n*1\r\n$3\r\nfoo\r\n", "+OK\r\n", "*2\r\n$1\r\na\r\n*0\r\n", "-ERR no\r\n"] {
        assert_eq!(learned(bytes.as_bytes()).len(), CommandTable::builtin().len());
    }
}
