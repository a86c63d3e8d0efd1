//! A resumable scan for the end of a reply that keeps none of its bytes, for a reply that is passed on
//! while it arrives. Finds exactly the end that [`reply_length`](crate::reply_length) finds.

use memchr::memchr;

use super::error::ReplyError;
use super::header::{COUNT_HEADER_BYTES_MAX, Header, header, is_line_marker};

/// CR LF after a bulk.
const LINE_END_BYTES: u64 = 2;

/// What [`ReplyScanner::scan`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyStep {
    /// The reply ends: that many bytes of the chunk belong to it. The scanner is fresh again.
    End(usize),
    /// The whole chunk belongs to the reply, and more of it is to come.
    More,
}

/// Where the scanner stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Before an element, or inside a header with a count, of which `carry` has the beginning.
    #[default]
    Header,
    /// In a line, before its CR.
    Line,
    /// After the CR of a line.
    LineFeed,
    /// In a bulk or its line end.
    Bulk,
}

/// Scans one reply after the other, chunk by chunk, in constant memory.
#[derive(Clone, Debug, Default)]
pub struct ReplyScanner {
    /// Elements that are still to come after the one it stands in; with `started` unset, none has begun.
    due: u64,
    /// Bytes of the bulk still to come, its line end included.
    bulk: u64,
    /// The beginning of a header that a chunk's end has cut.
    carry: [u8; COUNT_HEADER_BYTES_MAX],
    carried: u8,
    place: Place,
    started: bool,
}

impl ReplyScanner {
    /// A scanner before a reply's first byte.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes still to come of the bulk in which the scanner stands, its CR LF included; 0 outside of one.
    #[must_use]
    pub fn bulk_remaining(&self) -> usize {
        self.bulk as usize
    }

    /// Reads on in `chunk`, which follows the chunks before it.
    ///
    /// # Errors
    /// The bytes are no reply. The scanner is of no use then.
    pub fn scan(&mut self, chunk: &[u8]) -> Result<ReplyStep, ReplyError> {
        if !self.started && !chunk.is_empty() {
            self.started = true;
            self.due = 1;
        }
        let mut position = 0;
        while position < chunk.len() {
            let rest = &chunk[position..];
            position += match self.place {
                Place::Header => self.scan_header(rest)?,
                Place::Line => self.scan_line(rest),
                Place::LineFeed => self.scan_line_feed(rest)?,
                Place::Bulk => self.scan_bulk(rest)?,
            };
            if self.due == 0 && self.place == Place::Header {
                *self = Self::default();
                return Ok(ReplyStep::End(position));
            }
        }
        Ok(ReplyStep::More)
    }

    // Each of these reads some of `rest`, which is not empty, and gives how much.

    fn scan_header(&mut self, rest: &[u8]) -> Result<usize, ReplyError> {
        if self.carried == 0 && is_line_marker(rest[0]) {
            self.due -= 1;
            self.place = Place::Line;
            return Ok(1);
        }
        if self.carried == 0
            && let Some((header, len)) = header(rest)?
        {
            self.enter(header)?;
            return Ok(len);
        }
        // Byte by byte, so that none beyond the header is taken. At its limit `header` gives an answer.
        for (taken, &byte) in rest.iter().enumerate() {
            self.carry[usize::from(self.carried)] = byte;
            self.carried += 1;
            if let Some((header, _)) = header(&self.carry[..usize::from(self.carried)])? {
                self.carried = 0;
                self.enter(header)?;
                return Ok(taken + 1);
            }
        }
        Ok(rest.len())
    }

    /// An element's header is read; what follows it?
    fn enter(&mut self, header: Header) -> Result<(), ReplyError> {
        self.due -= 1;
        match header {
            Header::Line | Header::Null => {}
            Header::Bulk(len) => {
                self.bulk = len + LINE_END_BYTES;
                self.place = Place::Bulk;
            }
            Header::Elements(count) => self.expect(count)?,
            // The element itself is still to come.
            Header::Attribute(count) => self.expect(count + 1)?,
        }
        Ok(())
    }

    fn expect(&mut self, elements: u64) -> Result<(), ReplyError> {
        self.due = self.due.checked_add(elements).ok_or(ReplyError::Count)?;
        Ok(())
    }

    fn scan_line(&mut self, rest: &[u8]) -> usize {
        match memchr(b'\r', rest) {
            Some(at) => {
                self.place = Place::LineFeed;
                at + 1
            }
            None => rest.len(),
        }
    }

    fn scan_line_feed(&mut self, rest: &[u8]) -> Result<usize, ReplyError> {
        if rest[0] != b'\n' {
            return Err(ReplyError::LineEnd);
        }
        self.place = Place::Header;
        Ok(1)
    }

    fn scan_bulk(&mut self, rest: &[u8]) -> Result<usize, ReplyError> {
        if self.bulk > LINE_END_BYTES {
            let payload = self.bulk - LINE_END_BYTES;
            let taken = rest.len().min(usize::try_from(payload).unwrap_or(usize::MAX));
            self.bulk -= taken as u64;
            return Ok(taken);
        }
        let expected = if self.bulk == LINE_END_BYTES { b'\r' } else { b'\n' };
        if rest[0] != expected {
            return Err(ReplyError::LineEnd);
        }
        self.bulk -= 1;
        if self.bulk == 0 {
            self.place = Place::Header;
        }
        Ok(1)
    }
}

#[cfg(test)]
mod tests {
    use super::{ReplyError, ReplyScanner, ReplyStep};

    /// Headers may promise more elements than can be counted: their sum is refused, never wrapped around.
    #[test]
    fn elements_beyond_counting() {
        for (header, expected) in [
            (&b"*1\r\n"[..], Ok(ReplyStep::More)),
            (b"*2\r\n", Err(ReplyError::Count)),
            (b"|1\r\n", Err(ReplyError::Count)),
        ] {
            let mut scanner = ReplyScanner { due: u64::MAX, started: true, ..ReplyScanner::new() };
            assert_eq!(scanner.scan(header), expected);
        }
    }
}
