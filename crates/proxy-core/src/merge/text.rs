//! Texts follow each other, one paragraph a primary.

use super::parts::Mismatch;
use resp::{Protocol, Value, encode};

/// Paragraphs one after the other; one that several primaries share is said once.
pub(super) fn text(parts: &[Value<'_>], protocol: Protocol, out: &mut Vec<u8>) -> Result<(), Mismatch> {
    const KIND: &str = "txt";
    let mut paragraphs: Vec<&[u8]> = Vec::with_capacity(parts.len());
    let mut verbatim = false;
    for part in parts {
        let paragraph = match part {
            Value::Bulk(text) | Value::Simple(text) => *text,
            Value::Verbatim(text) => {
                verbatim = true;
                text.get(KIND.len() + 1..).ok_or(Mismatch)?
            }
            _ => return Err(Mismatch),
        };
        if !paragraphs.contains(&paragraph) {
            paragraphs.push(paragraph);
        }
    }
    let joined = paragraphs.join(&b"\n\n"[..]);
    if verbatim {
        encode::verbatim(out, protocol, KIND, &joined);
    } else {
        encode::bulk(out, &joined);
    }
    Ok(())
}
