//! What framing costs: requests and replies of the sizes that a proxy sees most. Run with
//! `cargo bench -p resp`.
#![allow(missing_docs, reason = "the macros of the benchmark library write public items")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use resp::{ReplyScanner, RequestLimits, RequestParser, RequestStep, encode, reply_length};

fn request(arguments: &[&[u8]]) -> Vec<u8> {
    let mut frame = Vec::new();
    encode::request(&mut frame, arguments);
    frame
}

fn requests(criterion: &mut Criterion) {
    let limits = RequestLimits::default();
    let value = vec![b'v'; 1024];
    let many: Vec<&[u8]> =
        std::iter::once(&b"MGET"[..]).chain(std::iter::repeat_n(&b"key:000000012"[..], 100)).collect();
    let mut group = criterion.benchmark_group("request");
    for (name, frame) in [
        ("GET", request(&[b"GET", b"key:000000012"])),
        ("SET 3 B", request(&[b"SET", b"key:000000012", b"xxx"])),
        ("SET 1 KiB", request(&[b"SET", b"key:000000012", &value])),
        ("MGET 100", request(&many)),
        ("inline GET", b"get key:000000012\r\n".to_vec()),
    ] {
        let mut parser = RequestParser::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let step = parser.parse(black_box(&frame), &limits);
                (step.is_ok(), parser.spans().len())
            });
        });
    }
    group.finish();
}

/// A large request in pieces: the cost of each byte must not depend on their number.
fn pieces(criterion: &mut Criterion) {
    const PIECE_BYTES: usize = 64 * 1024;
    let limits = RequestLimits::default();
    let mut group = criterion.benchmark_group("MSET in 64 KiB pieces");
    for keys in [10_000, 100_000] {
        let arguments: Vec<&[u8]> = std::iter::repeat_n(&b"key:000000012"[..], keys).collect();
        let frame = request(&arguments);
        group.throughput(Throughput::Elements(keys as u64));
        group.bench_function(format!("{keys} arguments"), |bencher| {
            let mut parser = RequestParser::new();
            bencher.iter(|| {
                let mut arrived = 0;
                loop {
                    arrived = frame.len().min(arrived + PIECE_BYTES);
                    match parser.parse(black_box(&frame[..arrived]), &limits) {
                        Ok(RequestStep::Incomplete { .. }) => {}
                        step => break step.is_ok(),
                    }
                }
            });
        });
    }
    group.finish();
}

fn replies(criterion: &mut Criterion) {
    let mut bulk = Vec::new();
    encode::bulk(&mut bulk, &[b'v'; 1024]);
    let mut array = Vec::new();
    encode::array(&mut array, 100);
    (0..100).for_each(|_| encode::bulk(&mut array, b"xxx"));
    let mut group = criterion.benchmark_group("reply");
    for (name, frame) in [
        ("OK", b"+OK\r\n".to_vec()),
        ("bulk 3 B", b"$3\r\nxxx\r\n".to_vec()),
        ("null", b"$-1\r\n".to_vec()),
        ("integer", b":1234\r\n".to_vec()),
        ("bulk 1 KiB", bulk),
        ("array of 100", array),
    ] {
        group.bench_function(format!("length, {name}"), |bencher| {
            bencher.iter(|| reply_length(black_box(&frame)));
        });
        let mut scanner = ReplyScanner::new();
        group.bench_function(format!("scan, {name}"), |bencher| {
            bencher.iter(|| scanner.scan(black_box(&frame)).is_ok());
        });
    }
    group.finish();
}

criterion_group!(benches, requests, pieces, replies);
criterion_main!(benches);
