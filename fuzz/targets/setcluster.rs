//! UMCTL SETCLUSTER and SETREPL: whatever the arguments, what is accepted is well formed and is read again as
//! itself from either of its forms. The first byte chooses the command and how the rest is taken: as arguments
//! separated by spaces, or as the JSON of a payload, so that mutations reach what lies behind base64 and gzip.
#![no_main]

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;
use model::{MetaError, MetaPlace, SetCluster, SetRepl};

/// The longest error text: an error repeats only the beginning of what was wrong.
const ERROR_BYTES_MAX: usize = 1024;

fn as_args(words: &[String]) -> Vec<&[u8]> {
    words.iter().map(String::as_bytes).collect()
}

fn check_cluster(args: &[&[u8]]) {
    let accepted = match SetCluster::parse(args) {
        Ok(accepted) => accepted,
        Err(error) => return check_error(&error, args.len()),
    };
    assert_eq!(accepted.view.check(), Ok(()), "an accepted view contradicts itself");
    for compress in [false, true] {
        let words = accepted.to_args(compress);
        let mut expected = accepted.clone();
        expected.flags.compress = compress;
        // They are reported once, to whoever sent them.
        expected.ignored_config.clear();
        assert_eq!(SetCluster::parse(&as_args(&words)), Ok(expected), "{words:?}");
    }
}

fn check_repl(args: &[&[u8]]) {
    let accepted = match SetRepl::parse(args) {
        Ok(accepted) => accepted,
        Err(error) => return check_error(&error, args.len()),
    };
    for compress in [false, true] {
        let words = accepted.to_args(compress);
        let mut expected = accepted.clone();
        expected.flags.compress = compress;
        assert_eq!(SetRepl::parse(&as_args(&words)), Ok(expected), "{words:?}");
    }
}

/// An error names an argument that is there, or the first that is missing, and fits on a line.
fn check_error(error: &MetaError, args: usize) {
    if let MetaPlace::Argument(number) = error.place {
        assert!((1..=args + 1).contains(&number), "{error} of {args} arguments");
    }
    let text = error.to_string();
    assert!(!text.contains(['\r', '\n']), "{text:?} is no line");
    assert!(text.len() <= ERROR_BYTES_MAX, "{text:?} is too long");
}

fn packed(json: &[u8]) -> String {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(json).expect("writing to memory does not fail");
    STANDARD.encode(gzip.finish().expect("writing to memory does not fail"))
}

fuzz_target!(|input: &[u8]| {
    let Some((&choice, text)) = input.split_first() else { return };
    match choice & 3 {
        0 => check_cluster(&text.split(|byte| *byte == b' ').collect::<Vec<_>>()),
        1 => check_repl(&text.split(|byte| *byte == b' ').collect::<Vec<_>>()),
        2 => check_cluster(&[b"v2", b"7", b"COMPRESS", packed(text).as_bytes()]),
        _ => check_repl(&[b"7", b"FORCE,COMPRESS", packed(text).as_bytes()]),
    }
});
