//! Properties that hold for all bytes: pieces give what the whole gives, what was written is read back, and
//! nothing behind a request or reply has a say in where it ends.

use proptest::collection::vec;
use proptest::prelude::*;
use resp::{
    Protocol, ProtocolError, ReplyError, ReplyScanner, ReplyStep, RequestLimits, RequestParser, RequestStep,
    encode, parse_value, reply_length,
};

/// Bytes that get far into a parser: pieces of protocol in any order.
fn protocol_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        "[*$%~>=!|]-?[0-9]{1,2}\r\n",
        "[*$%~>=!|:+_,#(-][0-9?]{0,3}",
        "[$][0-4]\r\n[a-d]{0,4}\r\n",
        "[:+_,#(-][a-z0-9]{0,3}\r\n",
        "[a-c \"'\\\\x0\r]{0,6}\n",
        Just("\r\n".to_owned()),
        Just("\0".to_owned()),
    ];
    prop_oneof![4 => vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes()), 1 => vec(any::<u8>(), 0..64)]
}

fn arguments() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(prop_oneof![vec(any::<u8>(), 0..20), vec(any::<u8>(), 90..120), vec(any::<u8>(), 990..1010)], 1..14)
}

/// One well-formed reply of any type.
fn reply() -> impl Strategy<Value = Vec<u8>> {
    let bulk = (prop_oneof!["[$!]", "[=]"], vec(any::<u8>(), 0..120)).prop_map(|(marker, bytes)| {
        [format!("{marker}{}\r\n", bytes.len()).as_bytes(), &bytes, b"\r\n"].concat()
    });
    let line =
        "([+-][ -~]{0,30}|:(0|-?[1-9][0-9]{0,17})|_|#[tf]|,-?[0-9]{1,5}\\.[0-9]|\\(-?[0-9]{1,30}|[$*]-1)\r\n";
    let leaf = prop_oneof![bulk, line.prop_map(String::into_bytes)];
    leaf.prop_recursive(5, 60, 8, |element| {
        let aggregate = ("[*~>]", vec(element.clone(), 0..8)).prop_map(|(marker, elements)| {
            [format!("{marker}{}\r\n", elements.len()).into_bytes(), elements.concat()]
        });
        let map = vec((element.clone(), element.clone()), 0..4).prop_map(|pairs| {
            let count = pairs.len();
            let pairs: Vec<u8> = pairs.into_iter().flat_map(|(key, value)| [key, value].concat()).collect();
            (count, pairs)
        });
        let attributed = (map.clone(), element).prop_map(|((count, pairs), element)| {
            [format!("|{count}\r\n").as_bytes(), &pairs, &element].concat()
        });
        let map = map.prop_map(|(count, pairs)| [format!("%{count}\r\n").into_bytes(), pairs].concat());
        prop_oneof![aggregate.prop_map(|parts| parts.concat()), map, attributed]
    })
}

/// Ascending lengths at which more of `len` bytes has arrived, the last of them `len`.
fn arrivals(cuts: &[prop::sample::Index], len: usize) -> Vec<usize> {
    let mut arrivals: Vec<usize> = cuts.iter().map(|cut| cut.index(len + 1)).collect();
    arrivals.push(len);
    arrivals.sort_unstable();
    arrivals
}

/// A parser's answer with all that can be asked about it.
type Parsed = (Result<RequestStep, ProtocolError>, Vec<Vec<u8>>, usize);

fn parse_at(input: &[u8], arrivals: &[usize]) -> Parsed {
    let limits = RequestLimits { inline_bytes_max: 8, ..RequestLimits::default() };
    let mut parser = RequestParser::new();
    let mut step = Ok(RequestStep::Incomplete { bulk: None });
    for &arrived in arrivals {
        step = parser.parse(&input[..arrived], &limits);
        if !matches!(step, Ok(RequestStep::Incomplete { .. })) {
            break;
        }
    }
    let frame = if matches!(step, Ok(RequestStep::Inline { .. })) { parser.inline_frame() } else { input };
    // After an error there are no arguments to ask for.
    let spans = if step.is_ok() { parser.spans() } else { &[] };
    (step, spans.iter().map(|span| span.of(frame).to_vec()).collect(), parser.declared())
}

fn scan_at(input: &[u8], arrivals: &[usize]) -> Result<Option<usize>, ReplyError> {
    let mut scanner = ReplyScanner::new();
    let mut start = 0;
    for &arrived in arrivals {
        if let ReplyStep::End(len) = scanner.scan(&input[start..arrived])? {
            return Ok(Some(start + len));
        }
        start = arrived;
    }
    Ok(None)
}

fn each_byte(len: usize) -> Vec<usize> {
    (0..=len).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_request_is_the_same_in_pieces(input in protocol_like(), cuts in vec(any::<prop::sample::Index>(), 0..6)) {
        let whole = parse_at(&input, &[input.len()]);
        prop_assert_eq!(&parse_at(&input, &arrivals(&cuts, input.len())), &whole);
        prop_assert_eq!(&parse_at(&input, &each_byte(input.len())), &whole);
    }

    #[test]
    fn a_request_ends_where_it_says(input in protocol_like(), behind in protocol_like()) {
        let whole = parse_at(&input, &[input.len()]);
        if let Ok(RequestStep::Request { len } | RequestStep::Inline { len } | RequestStep::Skip { len }) = whole.0 {
            prop_assert!(len >= 1 && len <= input.len());
            let followed = [&input[..len], &behind].concat();
            prop_assert_eq!(parse_at(&followed, &[followed.len()]), whole);
        }
    }

    #[test]
    fn a_request_is_read_back(arguments in arguments(), cuts in vec(any::<prop::sample::Index>(), 0..6)) {
        let mut input = Vec::new();
        encode::request(&mut input, &arguments.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let len = input.len();
        input.extend(b"*1\r\n$4\r\nPI");
        let (step, read, declared) = parse_at(&input, &arrivals(&cuts, input.len()));
        prop_assert_eq!((step, declared), (Ok(RequestStep::Request { len }), arguments.len()));
        prop_assert_eq!(read, arguments);
    }

    #[test]
    fn words_are_read_back_however_quoted(words in vec((vec(any::<u8>(), 0..12), any::<bool>()), 1..6)) {
        let quoted = |(word, single): &(Vec<u8>, bool)| {
            // Single quotes cannot hold a NUL, a line's end, or a backslash at their end.
            if *single && !word.iter().any(|byte| matches!(byte, 0 | b'\n' | b'\\' | b'\'')) {
                [b"'", word.as_slice(), b"'"].concat()
            } else {
                let escaped: String = word.iter().map(|byte| format!("\\x{byte:02x}")).collect();
                format!("\"{escaped}\"").into_bytes()
            }
        };
        let line = words.iter().map(quoted).collect::<Vec<_>>().join(&b' ');
        let input = [line.as_slice(), b"\r\n"].concat();
        let mut parser = RequestParser::new();
        let step = parser.parse(&input, &RequestLimits::default());
        prop_assert_eq!(step, Ok(RequestStep::Inline { len: input.len() }));
        let frame = parser.inline_frame();
        let read: Vec<_> = parser.spans().iter().map(|span| span.of(frame).to_vec()).collect();
        prop_assert_eq!(&read, &words.into_iter().map(|(word, _)| word).collect::<Vec<_>>());
        // What was written again is the same request.
        let (step, again, _) = parse_at(frame, &[frame.len()]);
        prop_assert_eq!((step, again), (Ok(RequestStep::Request { len: frame.len() }), read));
    }

    #[test]
    fn a_reply_is_the_same_in_pieces(
        input in prop_oneof![protocol_like(), reply()],
        cuts in vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let whole = reply_length(&input);
        prop_assert_eq!(scan_at(&input, &arrivals(&cuts, input.len())), whole);
        prop_assert_eq!(scan_at(&input, &each_byte(input.len())), whole);
    }

    #[test]
    fn a_tree_is_as_long_as_its_frame(input in prop_oneof![protocol_like(), reply()]) {
        let tree = parse_value(&input);
        match reply_length(&input) {
            Ok(Some(len)) => prop_assert!(matches!(tree, Ok(Some((_, same))) if same == len)
                || matches!(tree, Err(ReplyError::Scalar)), "{tree:?}"),
            Ok(None) => prop_assert!(matches!(tree, Ok(None) | Err(ReplyError::Scalar)), "{tree:?}"),
            Err(error) => prop_assert!(tree == Err(error) || tree == Err(ReplyError::Scalar), "{tree:?}"),
        }
    }

    #[test]
    fn a_reply_ends_where_it_says(input in reply(), behind in protocol_like()) {
        let followed = [input.as_slice(), &behind].concat();
        prop_assert_eq!(reply_length(&followed), Ok(Some(input.len())));
        for len in 0..input.len() {
            prop_assert_eq!(reply_length(&input[..len]), Ok(None));
        }
    }

    #[test]
    fn a_tree_is_read_back(input in reply()) {
        let (tree, _) = parse_value(&input).unwrap().unwrap();
        let mut written = Vec::new();
        encode::value(&mut written, &tree);
        prop_assert_eq!(parse_value(&written), Ok(Some((tree.clone(), written.len()))));
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            written.clear();
            encode::value_as(&mut written, protocol, &tree);
            prop_assert_eq!(reply_length(&written), Ok(Some(written.len())));
            prop_assert!(protocol == Protocol::Resp3 || !has_resp3_markers(&written));
        }
    }

    #[test]
    fn a_double_is_read_back(value in any::<f64>()) {
        let mut written = Vec::new();
        encode::double(&mut written, Protocol::Resp3, value);
        let text = str::from_utf8(&written[1..written.len() - 2]).unwrap();
        prop_assert!(text.parse::<f64>().unwrap().total_cmp(&value).is_eq() || value.is_nan());
    }
}

/// Whether any element of a reply, at any depth, has a type of RESP3 alone.
fn has_resp3_markers(mut reply: &[u8]) -> bool {
    while let Some(&marker) = reply.first() {
        if !b"+-:$*".contains(&marker) {
            return true;
        }
        // An array's elements come one by one behind its header.
        let len = if marker == b'*' {
            reply.iter().position(|&byte| byte == b'\n').map_or(0, |at| at + 1)
        } else {
            reply_length(reply).ok().flatten().unwrap_or(0)
        };
        assert!(len > 0, "{} is no reply", reply.escape_ascii());
        reply = &reply[len..];
    }
    false
}
