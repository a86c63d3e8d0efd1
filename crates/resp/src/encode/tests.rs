//! What each function writes, for both versions, and that trees come back as they were.

use crate::{Protocol, Value, encode, parse_value};

#[track_caller]
fn check(write: impl Fn(&mut Vec<u8>, Protocol), resp2: &str, resp3: &str) {
    for (protocol, expected) in [(Protocol::Resp2, resp2), (Protocol::Resp3, resp3)] {
        let mut out = b"before".to_vec();
        write(&mut out, protocol);
        assert_eq!(String::from_utf8_lossy(&out), format!("before{expected}"), "{protocol:?}");
    }
}

#[track_caller]
fn check_same(write: impl Fn(&mut Vec<u8>), expected: &str) {
    check(|out, _| write(out), expected, expected);
}

#[test]
fn elements() {
    check_same(|out| encode::simple(out, "OK"), "+OK\r\n");
    check_same(|out| encode::simple(out, "a\r\nb"), "+a  b\r\n");
    check_same(|out| encode::error(out, "ERR a\nb"), "-ERR a b\r\n");
    check_same(|out| encode::integer(out, i64::MIN), ":-9223372036854775808\r\n");
    check_same(|out| encode::bulk(out, b"a\r\n"), "$3\r\na\r\n\r\n");
    check_same(|out| encode::bulk(out, b""), "$0\r\n\r\n");
    check_same(|out| encode::array(out, 1000), "*1000\r\n");
    check_same(|out| encode::request(out, &[b"GET", b"k"]), "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    check(encode::null, "$-1\r\n", "_\r\n");
    check(encode::null_array, "*-1\r\n", "_\r\n");
    check(|out, protocol| encode::map(out, protocol, 3), "*6\r\n", "%3\r\n");
    check(|out, protocol| encode::set(out, protocol, 3), "*3\r\n", "~3\r\n");
    check(|out, protocol| encode::push(out, protocol, 3), "*3\r\n", ">3\r\n");
    check(|out, protocol| encode::boolean(out, protocol, true), ":1\r\n", "#t\r\n");
    check(|out, protocol| encode::boolean(out, protocol, false), ":0\r\n", "#f\r\n");
    check(
        |out, protocol| encode::verbatim(out, protocol, "txt", b"abc"),
        "$3\r\nabc\r\n",
        "=7\r\ntxt:abc\r\n",
    );
}

#[test]
fn doubles() {
    for (value, text) in [
        (0.0, "0"),
        (-0.0, "-0"),
        (0.1, "0.1"),
        (1.0, "1"),
        (-3.25, "-3.25"),
        (1_234_567.0, "1234567"),
        (1e16, "10000000000000000"),
        (1e300, "1e+300"),
        (-2.5e-7, "-2.5e-7"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
        (f64::NAN, "nan"),
    ] {
        let resp2 = format!("${}\r\n{text}\r\n", text.len());
        check(|out, protocol| encode::double(out, protocol, value), &resp2, &format!(",{text}\r\n"));
    }
}

const EVERY_TYPE: &str = "*14\r\n+a\r\n-ERR b\r\n:1\r\n$1\r\nc\r\n$-1\r\n*-1\r\n#t\r\n,1.5\r\n(12\r\n=5\r\ntxt:d\r\n\
                          !5\r\nERR e\r\n%1\r\n+k\r\n:2\r\n~1\r\n:3\r\n>1\r\n:4\r\n";
const EVERY_TYPE_RESP2: &str = "*14\r\n+a\r\n-ERR b\r\n:1\r\n$1\r\nc\r\n$-1\r\n*-1\r\n:1\r\n$3\r\n1.5\r\n$2\r\n12\r\n\
                                $1\r\nd\r\n-ERR e\r\n*2\r\n+k\r\n:2\r\n*1\r\n:3\r\n*1\r\n:4\r\n";

#[test]
fn trees() {
    let (tree, _) = parse_value(EVERY_TYPE.as_bytes()).unwrap().unwrap();
    check_same(|out| encode::value(out, &tree), EVERY_TYPE);
    let resp3 = EVERY_TYPE.replace("$-1\r\n*-1\r\n", "_\r\n_\r\n");
    check(|out, protocol| encode::value_as(out, protocol, &tree), EVERY_TYPE_RESP2, &resp3);
    check(
        |out, protocol| encode::value_as(out, protocol, &Value::Verbatim(b"x")),
        "$0\r\n\r\n",
        "=1\r\nx\r\n",
    );
}
