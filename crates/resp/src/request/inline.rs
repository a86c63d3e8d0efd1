//! Inline requests: a line of words, as a person types it into a raw connection. Splits it exactly as
//! Redis's `sdssplitargs` does and writes it again as an array, so that nothing behind us sees the inline
//! form.

use super::error::ProtocolError;
use super::span::Span;
use crate::encode;

/// Room kept for later requests; what a longer one took is given back.
const KEPT_BYTES_MAX: usize = 4096;

/// The last inline request of a connection, and the room to read the next.
#[derive(Debug, Default)]
pub(super) struct InlineRequest {
    /// The words, unquoted, one after the other.
    words: Vec<u8>,
    frame: Vec<u8>,
}

impl InlineRequest {
    /// The request as a RESP array.
    pub(super) fn frame(&self) -> &[u8] {
        &self.frame
    }

    /// Reads a whole line, without its end and without a NUL in it, and leaves in `spans` the places of the
    /// words in the frame.
    pub(super) fn read(&mut self, line: &[u8], spans: &mut Vec<Span>) -> Result<(), ProtocolError> {
        if self.frame.capacity() > KEPT_BYTES_MAX {
            *self = Self::default();
        }
        self.words.clear();
        self.frame.clear();
        spans.clear();
        let mut rest = line;
        loop {
            let blanks = rest.iter().take_while(|byte| is_space(**byte)).count();
            rest = &rest[blanks..];
            if rest.is_empty() {
                break;
            }
            let start = offset(self.words.len())?;
            rest = word(rest, &mut self.words)?;
            spans.push(Span { start, end: offset(self.words.len())? });
        }
        if spans.is_empty() { Ok(()) } else { self.write(spans) }
    }

    fn write(&mut self, spans: &mut [Span]) -> Result<(), ProtocolError> {
        encode::array(&mut self.frame, spans.len());
        for span in spans {
            let word = span.of(&self.words);
            encode::bulk(&mut self.frame, word);
            let end = self.frame.len() - b"\r\n".len();
            *span = Span { start: offset(end - word.len())?, end: offset(end)? };
        }
        Ok(())
    }
}

/// An offset as a span keeps it. Only an absurd `inline_bytes_max` lets one be too large for it.
fn offset(at: usize) -> Result<u32, ProtocolError> {
    u32::try_from(at).map_err(|_| ProtocolError::TooLong)
}

/// C's `isspace` in the C locale.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Appends the word at the start of `rest`, which is not empty, and gives what follows the word.
fn word<'a>(mut rest: &'a [u8], words: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        match rest {
            // Vertical tab and form feed are blanks between words, but do not end one.
            [] | [b' ' | b'\n' | b'\r' | b'\t', ..] => return Ok(rest),
            [b'"', after @ ..] => return closed(double_quoted(after, words)?),
            [b'\'', after @ ..] => return closed(single_quoted(after, words)?),
            [byte, after @ ..] => {
                words.push(*byte);
                rest = after;
            }
        }
    }
}

/// After a closing quote comes a blank or nothing.
fn closed(rest: &[u8]) -> Result<&[u8], ProtocolError> {
    match rest.first() {
        Some(&byte) if !is_space(byte) => Err(ProtocolError::UnbalancedQuotes),
        _ => Ok(rest),
    }
}

fn double_quoted<'a>(mut rest: &'a [u8], words: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        match rest {
            [] => return Err(ProtocolError::UnbalancedQuotes),
            [b'"', after @ ..] => return Ok(after),
            [b'\\', b'x', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                words.push(hex_digit(*high) << 4 | hex_digit(*low));
                rest = after;
            }
            [b'\\', escaped, after @ ..] => {
                words.push(unescaped(*escaped));
                rest = after;
            }
            [byte, after @ ..] => {
                words.push(*byte);
                rest = after;
            }
        }
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], words: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        match rest {
            [] => return Err(ProtocolError::UnbalancedQuotes),
            [b'\'', after @ ..] => return Ok(after),
            [b'\\', b'\'', after @ ..] => {
                words.push(b'\'');
                rest = after;
            }
            [byte, after @ ..] => {
                words.push(*byte);
                rest = after;
            }
        }
    }
}

fn unescaped(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn hex_digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        _ => (byte | 0x20) - b'a' + 10,
    }
}
