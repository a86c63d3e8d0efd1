//! Key extraction: whatever the arguments, every position is one of an argument, and what COMMAND GETKEYS
//! says of the same request is one whole reply. The first two bytes choose a command, or none; the rest are
//! its arguments, separated by zero bytes. The same bytes are also taken for a backend's COMMAND reply.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use proxy_core::command::{
    Args, CommandCommand, CommandId, CommandTable, KeyPlan, command_reply, is_blocking_form, key_positions,
};
use resp::{Protocol, RequestLimits, RequestParser, encode, parse_value, reply_length};

static TABLE: LazyLock<CommandTable> = LazyLock::new(CommandTable::builtin);

fn with_args(words: &[&[u8]], look: impl FnOnce(Args<'_>)) {
    let mut frame = Vec::new();
    encode::request(&mut frame, words);
    let mut parser = RequestParser::new();
    parser.parse(&frame, &RequestLimits::default()).expect("a well-formed request");
    look(Args::new(&frame, parser.spans()));
}

fn check_request(table: &CommandTable, args: Args<'_>) {
    let command = match table.resolve(args) {
        Ok(command) => command,
        Err(error) => {
            let mut out = Vec::new();
            error.write(table, args, &mut out);
            assert_eq!(reply_length(&out).expect("a reply"), Some(out.len()));
            return;
        }
    };
    let mut positions = vec![u32::MAX];
    let found = key_positions(command, args, &mut positions);
    assert_eq!(positions[0], u32::MAX, "what was there stays");
    let within = |position: &u32| (1..args.len()).contains(&(*position as usize));
    match found {
        Ok(()) => assert!(positions[1..].iter().all(within)),
        Err(error) => assert!(!error.text(command).is_empty()),
    }
    if command.keys == KeyPlan::First {
        assert_eq!(positions[1..], [1]);
    }
    let _ = is_blocking_form(command, args);
}

fn check_reply(which: CommandCommand, words: &[&[u8]]) {
    let asked: Vec<&[u8]> = [&b"COMMAND"[..], b"GETKEYS"].into_iter().chain(words.iter().copied()).collect();
    with_args(&asked, |args| {
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            let mut out = Vec::new();
            command_reply(which, &TABLE, args, protocol, &mut out);
            let (_, len) = parse_value(&out).expect("well formed").expect("complete");
            assert_eq!(len, out.len());
        }
    });
}

fuzz_target!(|data: &[u8]| {
    let Some(([high, low], rest)) = data.split_first_chunk::<2>().map(|(head, rest)| (*head, rest)) else {
        return;
    };
    let id = usize::from(u16::from_be_bytes([high, low])) % (TABLE.len() + 1);
    let name = match u16::try_from(id) {
        Ok(id) if usize::from(id) < TABLE.len() => TABLE.by_id(CommandId(id)).name.replace('|', "\0"),
        _ => String::new(),
    };
    let arguments = rest.split(|byte| *byte == 0);
    let words: Vec<&[u8]> =
        name.as_bytes().split(|byte| *byte == 0).filter(|word| !word.is_empty()).chain(arguments).collect();
    with_args(&words, |args| check_request(&TABLE, args));
    check_reply(CommandCommand::Getkeys, &words);
    check_reply(CommandCommand::Getkeysandflags, &words);
    check_reply(CommandCommand::Info, &words);
    if let Ok(Some((value, _))) = parse_value(rest) {
        let learned = TABLE.learn(&value);
        assert!(learned.len() >= TABLE.len());
        with_args(&words, |args| check_request(&learned, args));
    }
});
