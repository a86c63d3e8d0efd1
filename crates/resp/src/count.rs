//! The decimal numbers in headers (`*3`, `$10`), read as strictly as Redis reads them: no sign but `-`, no
//! leading zero, no space. Must accept exactly what Redis accepts, or a request could be framed here in
//! another way than behind us.

/// Reads a whole count. `None` for anything that Redis's `string2ll` refuses, overflow included.
pub(crate) fn count(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits == b"0" {
        return (!negative).then_some(0);
    }
    if !matches!(digits.first(), Some(b'1'..=b'9')) {
        return None;
    }
    digits.iter().try_fold(0i64, |value, &byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // Built up on the side of its sign, so that the smallest number needs no special case.
        let signed = if negative { -i64::from(digit) } else { i64::from(digit) };
        value.checked_mul(10)?.checked_add(signed)
    })
}

/// Reads a header of one or two digits with a single load: `marker`, the digits, CR and one byte more.
/// Gives the count and the position after the header; `None` sends the caller to the general way, also
/// where fewer than five bytes are left.
///
/// The byte after CR is not looked at, as Redis does not look at it in a request.
#[inline(always)]
pub(crate) fn short_header(buffer: &[u8], at: usize, marker: u8) -> Option<(usize, usize)> {
    let head = buffer.get(at..)?.first_chunk::<5>()?;
    let first = head[1].wrapping_sub(b'0');
    if head[0] != marker || first > 9 {
        return None;
    }
    if head[2] == b'\r' {
        return Some((usize::from(first), at + 4));
    }
    let second = head[2].wrapping_sub(b'0');
    if head[3] == b'\r' && second <= 9 && first != 0 {
        return Some((usize::from(first) * 10 + usize::from(second), at + 5));
    }
    None
}

/// Digits that `plain_header` reads: they cannot overflow, and lengths of more are rare.
const PLAIN_DIGITS_MAX: usize = 10;

/// Reads a header whose count is plain digits and whose line end is whole: the marker, which the caller
/// knows, digits, CR and LF. Gives the count and the position after the header; `None` sends the caller to
/// the general way.
#[inline]
pub(crate) fn plain_header(buffer: &[u8], at: usize) -> Option<(u64, usize)> {
    let text = buffer.get(at + 1..)?;
    let mut value = 0;
    for (len, &byte) in text.iter().take(PLAIN_DIGITS_MAX + 1).enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            value = value * 10 + u64::from(digit);
            continue;
        }
        let canonical = len == 1 || (len > 1 && text[0] != b'0');
        let ended = byte == b'\r' && text.get(len + 1) == Some(&b'\n');
        return (canonical && ended).then_some((value, at + 1 + len + 2));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{count, plain_header, short_header};

    #[track_caller]
    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(count(text.as_bytes()), expected, "{text:?}");
    }

    #[test]
    fn counts() {
        check("0", Some(0));
        check("7", Some(7));
        check("-1", Some(-1));
        check("1048577", Some(1_048_577));
        check("9223372036854775807", Some(i64::MAX));
        check("9223372036854775808", None);
        check("-9223372036854775808", Some(i64::MIN));
        check("-9223372036854775809", None);
        for bad in ["", "-", "-0", "00", "01", "-01", "+1", " 1", "1 ", "1x", "x", "--1", "?", "1\n", "0x1"] {
            check(bad, None);
        }
    }

    #[test]
    fn short_headers() {
        assert_eq!(short_header(b"$3\r\nGET", 0, b'$'), Some((3, 4)));
        assert_eq!(short_header(b"ab$12\r\n", 2, b'$'), Some((12, 7)));
        assert_eq!(short_header(b"$3\rXG", 0, b'$'), Some((3, 4)));
        for other in [&b"$3\r\n"[..], b"$03\r\n", b"$x\r\n+", b"*3\r\n$", b"$123\r\n", b"$-1\r\n", b"$3", b""]
        {
            assert_eq!(short_header(other, 0, b'$'), None, "{other:?}");
        }
        assert_eq!(short_header(b"$3\r\nGET", 100, b'$'), None);
    }

    #[test]
    fn plain_headers() {
        assert_eq!(plain_header(b"$0\r\n", 0), Some((0, 4)));
        assert_eq!(plain_header(b"ab$1024\r\nx", 2), Some((1024, 9)));
        assert_eq!(plain_header(b"$9999999999\r\n", 0), Some((9_999_999_999, 13)));
        for other in [
            "$10000000000\r\n",
            "$01\r\n",
            "$00\r\n",
            "$\r\n",
            "$1\r",
            "$1\rx",
            "$1",
            "$",
            "",
            "$-1\r\n",
            "$1x\r\n",
        ] {
            assert_eq!(plain_header(other.as_bytes(), 0), None, "{other:?}");
        }
    }
}
