//! Unsigned decimal numbers as the wire writes them: digits only, no sign, no space.

/// The number, or `None` when `text` is not only digits or does not fit.
pub(crate) fn parse(text: &str) -> Option<u64> {
    // `str::parse` also takes a leading `+`, which Redis's own number parser refuses.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn digits_only() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(super::parse(text), expected, "{text:?}");
        check("0", Some(0));
        check("007", Some(7));
        check("18446744073709551615", Some(u64::MAX));
        check("18446744073709551616", None);
        check("", None);
        check("+1", None);
        check("-1", None);
        check(" 1", None);
        check("1_0", None);
    }
}
