//! The command table's cost on the hot path and at start-up.
//!
//! `cargo bench -p proxy-core --bench command`
#![allow(missing_docs, reason = "criterion's macros make public items")]

use criterion::{Criterion, criterion_group, criterion_main};
use proxy_core::command::{Args, CommandTable, key_positions};
use resp::{RequestLimits, RequestParser, encode};
use std::hint::black_box;

fn lookup(criterion: &mut Criterion) {
    let table = CommandTable::builtin();
    for name in ["GET", "set", "ZADD", "HGETALL", "EXPIREAT", "ZRANGEBYSCORE", "NOSUCH"] {
        criterion.bench_function(&format!("lookup {name}"), |bencher| {
            bencher.iter(|| table.lookup(black_box(name.as_bytes())).map(|command| command.id));
        });
    }
}

fn resolve(criterion: &mut Criterion) {
    let table = CommandTable::builtin();
    let many: Vec<String> =
        std::iter::once("MGET".into()).chain((0..100).map(|n| format!("key:{n}"))).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let requests: [(&str, &[&str]); 5] = [
        ("GET", &["GET", "key:1"]),
        ("SET", &["SET", "key:1", "value"]),
        ("CLIENT SETINFO", &["CLIENT", "SETINFO", "LIB-NAME", "x"]),
        ("EVAL", &["EVAL", "return 1", "2", "a", "b", "c"]),
        ("MGET 100", &many),
    ];
    for (label, words) in requests {
        let mut frame = Vec::new();
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        encode::request(&mut frame, &words);
        let mut parser = RequestParser::new();
        parser.parse(&frame, &RequestLimits::default()).expect("a request");
        let args = Args::new(&frame, parser.spans());
        let mut positions = Vec::with_capacity(words.len());
        criterion.bench_function(&format!("resolve and keys of {label}"), |bencher| {
            bencher.iter(|| {
                positions.clear();
                let command = table.resolve(black_box(args)).expect("a command");
                key_positions(command, args, &mut positions).expect("keys");
                command.id
            });
        });
    }
}

fn builtin(criterion: &mut Criterion) {
    criterion.bench_function("builtin table", |bencher| bencher.iter(CommandTable::builtin));
}

criterion_group!(benches, lookup, resolve, builtin);
criterion_main!(benches);
