//! The `%XX` with which the snapshot writes what would end a column or a list.

use std::borrow::Cow;

/// Undoes the `%XX` of the snapshot.
pub(in crate::command) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        let code = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let Some(code) = code else {
            plain.push('%');
            rest = after;
            continue;
        };
        plain.push(char::from(code));
        rest = &after[2..];
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}
