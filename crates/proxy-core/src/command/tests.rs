//! Checks of the table as a whole.

use super::catalog::class_table::TABLE;
use super::catalog::snapshot;
use super::{Args, Class, CommandId, CommandTable, KeyPlan, Reason, key_positions};
use proptest::prelude::*;
use std::collections::HashMap;

#[test]
fn every_command_has_exactly_one_class() {
    let mut rows: HashMap<&str, usize> = HashMap::new();
    for name in TABLE.iter().flat_map(|(_, names)| names.split_whitespace()) {
        *rows.entry(name).or_default() += 1;
    }
    let repeated: Vec<_> = rows.iter().filter(|(_, count)| **count > 1).collect();
    assert!(repeated.is_empty(), "in several rows: {repeated:?}");
    let names: Vec<&str> = snapshot::TEXT.lines().filter_map(|line| line.split('\t').next()).collect();
    let missing: Vec<_> = names.iter().filter(|name| !rows.contains_key(*name)).collect();
    assert!(missing.is_empty(), "without a class: {missing:?}");
    let strange: Vec<_> = rows.keys().filter(|name| !names.contains(*name)).collect();
    assert!(strange.is_empty(), "with a class but not in the snapshot: {strange:?}");
}

#[test]
fn containers_are_what_has_subcommands() {
    let table = CommandTable::builtin();
    for command in table.iter() {
        let container = !command.subcommands.is_empty() && &*command.name != "command";
        assert_eq!(command.class == Class::Container, container, "{}", command.name);
    }
}

#[test]
fn every_name_is_found_in_every_case() {
    let table = CommandTable::builtin();
    for command in table.iter().filter(|command| !command.name.contains('|')) {
        let name = command.name.as_bytes();
        let title: Vec<u8> = name
            .iter()
            .enumerate()
            .map(|(at, byte)| if at % 2 == 0 { byte.to_ascii_uppercase() } else { *byte })
            .collect();
        for spelled in [name.to_vec(), name.to_ascii_uppercase(), title] {
            assert_eq!(table.lookup(&spelled).map(|found| found.id), Some(command.id), "{}", command.name);
        }
        for wrong in [[name, b"\0"].concat(), [name, b"x"].concat(), name[1..].to_vec()] {
            let found = table.lookup(&wrong).map(|found| found.name.as_bytes().to_vec());
            assert!(found.is_none() || found == Some(wrong.clone()), "{wrong:?} found {found:?}");
        }
    }
    assert!(table.lookup(b"").is_none());
}

#[test]
fn forwarded_commands_have_keys_and_no_unsafe_flag() {
    let table = CommandTable::builtin();
    for command in table.iter() {
        match command.class {
            Class::Forward => {
                assert_ne!(command.keys, KeyPlan::None, "{}", command.name);
                let unsafe_flags = super::Flags::ADMIN.union(super::Flags::PUBSUB);
                assert!(!command.flags.intersects(unsafe_flags), "{}", command.name);
            }
            Class::ForwardAny | Class::FanOut(_) | Class::Local(_) => {
                assert_eq!(command.keys, KeyPlan::None, "{}", command.name);
            }
            Class::Refuse(reason) => assert_ne!(reason, Reason::Unproven, "{}", command.name),
            Class::Container => {}
        }
    }
}

#[test]
fn common_commands_take_the_fast_path() {
    let table = CommandTable::builtin();
    for name in
        ["get", "set", "incr", "expire", "hset", "lpush", "zadd", "sadd", "ttl", "type", "xadd", "spublish"]
    {
        assert_eq!(table.lookup(name.as_bytes()).map(|command| command.keys), Some(KeyPlan::First), "{name}");
    }
}

proptest! {
    /// Any arguments for any command: every position is that of an argument, and nothing panics.
    #[test]
    fn key_positions_are_positions_of_arguments(
        pick in any::<proptest::sample::Index>(),
        arguments in proptest::collection::vec(argument(), 0..12),
    ) {
        let table = table();
        let command = table.by_id(CommandId(pick.index(table.len()) as u16));
        let words: Vec<&[u8]> =
            command.name.split('|').map(str::as_bytes).chain(arguments.iter().map(Vec::as_slice)).collect();
        let mut frame = Vec::new();
        resp::encode::request(&mut frame, &words);
        let mut parser = resp::RequestParser::new();
        parser.parse(&frame, &resp::RequestLimits::default()).expect("a request");
        let args = Args::new(&frame, parser.spans());
        let mut positions = Vec::new();
        match table.resolve(args) {
            Ok(found) if key_positions(found, args, &mut positions).is_ok() => {
                prop_assert!(positions.iter().all(|position| (1..args.len()).contains(&(*position as usize))));
                prop_assert!(positions.is_empty() || found.keys != KeyPlan::None);
            }
            Ok(_) => {}
            Err(error) => {
                let mut out = Vec::new();
                error.write(table, args, &mut out);
                prop_assert_eq!(resp::reply_length(&out), Ok(Some(out.len())));
            }
        }
    }
}

/// Made once: a table takes longer to make than a case to check.
fn table() -> &'static CommandTable {
    static TABLE: std::sync::OnceLock<CommandTable> = std::sync::OnceLock::new();
    TABLE.get_or_init(CommandTable::builtin)
}

/// Options, numbers and anything else.
fn argument() -> impl Strategy<Value = Vec<u8>> {
    let words =
        ["streams", "STORE", "storedist", "keys", "by", "get", "limit", "block", "group", "#", "{a}*", ""];
    prop_oneof![
        proptest::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
        (-2i64..6).prop_map(|number| number.to_string().into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..6),
    ]
}
