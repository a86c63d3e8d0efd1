//! The request parser: remembers how far it got, so that bytes that arrive in pieces are read once.
//!
//! It follows Redis 7 in what it overlooks as well: the byte after a header's CR and the two bytes after an
//! argument are skipped unread, and a NUL hides the rest of a header line or inline request (Redis looks for
//! line ends with `strchr`). A request must never be longer or shorter here than behind us.

use memchr::memchr2;

use super::bulk_length::bulk_length;
use super::error::ProtocolError;
use super::inline::InlineRequest;
use super::limits::RequestLimits;
use super::span::Span;
use crate::count::{count, plain_header, short_header};

/// Spans for which room is kept between requests; what a longer request took is given back after it.
const SPANS_KEPT_MAX: usize = 4096;
/// However low the limit on lines, a header may be this long: the quick ways to read one look at no limit.
const HEADER_BYTES_MAX_LEAST: u32 = 32;
/// Bytes after each argument, as after each header.
const LINE_END_BYTES: usize = 2;

/// What [`RequestParser::parse`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestStep {
    /// A whole RESP array request.
    Request {
        /// Its length in bytes.
        len: usize,
    },
    /// A whole inline request; see [`RequestParser::inline_frame`].
    Inline {
        /// Bytes to consume, the line's end included.
        len: usize,
    },
    /// An empty line, or an array of no or fewer arguments: nothing to do or to answer.
    Skip {
        /// Bytes to consume.
        len: usize,
    },
    /// More bytes are needed.
    Incomplete {
        /// The argument that the parser stands inside of, once its length is known.
        bulk: Option<PendingBulk>,
    },
}

/// An argument whose length is known and whose bytes are not all there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingBulk {
    /// Which argument, from 0.
    pub index: usize,
    /// Offset of its first byte from the request's first byte. The bytes need not be there yet.
    pub start: usize,
    /// Its length in bytes, without the line end after it.
    pub len: usize,
}

/// Where the parser stands in a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Before the first byte.
    #[default]
    Start,
    /// In the line that says how many arguments follow.
    ArrayHeader,
    /// In the line that says how long the next argument is; it begins at `position`.
    BulkHeader,
    /// In an argument of this many bytes that begins at `position`.
    Bulk(usize),
    /// In an inline request.
    Inline,
}

/// A resumable parser of one client's requests. Takes no memory until the first request, and none for
/// each request after the first few.
#[derive(Debug, Default)]
pub struct RequestParser {
    spans: Vec<Span>,
    inline: Option<Box<InlineRequest>>,
    stage: Stage,
    declared: usize,
    /// Where the line or argument begins in which the parser stands.
    position: usize,
    /// Up to where the end of the current line has been sought in vain.
    searched: usize,
}

impl RequestParser {
    /// A parser before its first request.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets a half-read request and what was found of it. Room for spans is kept, within a limit.
    pub fn reset(&mut self) {
        if self.spans.capacity() > SPANS_KEPT_MAX {
            self.spans = Vec::new();
        }
        self.spans.clear();
        self.stage = Stage::Start;
        self.declared = 0;
        self.position = 0;
        self.searched = 0;
    }

    /// Reads on. `buffer` begins at the request's first byte; a later call for the same request passes the
    /// same bytes and more of them, and what was understood already is not read again. After `Request`,
    /// `Inline` and `Skip` the next call begins a new request.
    ///
    /// # Errors
    /// The request breaks the protocol or a limit. The parser is of no use for this connection then, until
    /// [`RequestParser::reset`].
    #[inline]
    pub fn parse(&mut self, buffer: &[u8], limits: &RequestLimits) -> Result<RequestStep, ProtocolError> {
        // So every offset fits a span. Whatever does not fit is refused where it is missed.
        let buffer = &buffer[..buffer.len().min(u32::MAX as usize)];
        match self.stage {
            Stage::Start => {
                self.reset();
                match short_header(buffer, 0, b'*') {
                    Some((args, position)) if args > 0 => {
                        limits.check_args(args as i64)?;
                        self.declared = args;
                        self.arguments(buffer, position, limits)
                    }
                    _ => self.begin(buffer, limits),
                }
            }
            Stage::BulkHeader => self.arguments(buffer, self.position, limits),
            Stage::Bulk(len) => match self.bulk(buffer, self.position, len) {
                Some(position) => self.arguments(buffer, position, limits),
                None => self.incomplete(buffer),
            },
            Stage::ArrayHeader => self.array_header(buffer, limits),
            Stage::Inline => self.inline_request(buffer, limits),
        }
    }

    /// The memory that the places of arguments take, bytes.
    #[must_use]
    pub fn held(&self) -> usize {
        self.spans.capacity() * size_of::<Span>()
    }

    /// The arguments understood so far, whole ones only, as offsets from the request's first byte; after
    /// `Inline`, as offsets into [`RequestParser::inline_frame`].
    #[inline]
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The number of arguments that the request said it has; 0 until that is known.
    #[inline]
    #[must_use]
    pub fn declared(&self) -> usize {
        self.declared
    }

    /// After `Inline`: the request written again as a RESP array. Empty before the first such request.
    #[must_use]
    pub fn inline_frame(&self) -> &[u8] {
        self.inline.as_ref().map_or(&[], |inline| inline.frame())
    }

    /// The first bytes of a request whose header is not a short one.
    #[inline(never)]
    fn begin(&mut self, buffer: &[u8], limits: &RequestLimits) -> Result<RequestStep, ProtocolError> {
        match buffer.first() {
            None => Ok(RequestStep::Incomplete { bulk: None }),
            Some(b'*') => {
                self.stage = Stage::ArrayHeader;
                self.array_header(buffer, limits)
            }
            Some(_) => {
                self.stage = Stage::Inline;
                self.inline_request(buffer, limits)
            }
        }
    }

    fn array_header(&mut self, buffer: &[u8], limits: &RequestLimits) -> Result<RequestStep, ProtocolError> {
        let Some(line_end) =
            self.header_end(buffer, 0, limits).map_err(|LineTooLong| ProtocolError::ArrayHeaderTooLong)?
        else {
            return self.incomplete(buffer);
        };
        let args = count(&buffer[1..line_end]).ok_or(ProtocolError::ArrayLength)?;
        let position = line_end + LINE_END_BYTES;
        if args <= 0 {
            self.stage = Stage::Start;
            return Ok(RequestStep::Skip { len: position });
        }
        limits.check_args(args)?;
        // Within args_max, so it fits.
        self.declared = args as usize;
        self.arguments(buffer, position, limits)
    }

    /// Reads arguments from `position`, where an argument's header begins or the request ends.
    #[inline]
    fn arguments(
        &mut self,
        buffer: &[u8],
        mut position: usize,
        limits: &RequestLimits,
    ) -> Result<RequestStep, ProtocolError> {
        while self.spans.len() < self.declared {
            let header = match short_header(buffer, position, b'$') {
                Some((len, start)) => {
                    limits.check_bulk(len as i64)?;
                    Some((len, start))
                }
                None => self.bulk_header(buffer, position, limits)?,
            };
            let Some((len, start)) = header else {
                return self.incomplete(buffer);
            };
            let Some(end) = self.bulk(buffer, start, len) else {
                return self.incomplete(buffer);
            };
            position = end;
        }
        self.stage = Stage::Start;
        Ok(RequestStep::Request { len: position })
    }

    /// Reads the header at `position`, of any form. Gives the argument's length and start, `None` if the
    /// line is not whole.
    #[inline(never)]
    fn bulk_header(
        &mut self,
        buffer: &[u8],
        position: usize,
        limits: &RequestLimits,
    ) -> Result<Option<(usize, usize)>, ProtocolError> {
        if buffer.get(position) == Some(&b'$')
            && let Some((len, start)) = plain_header(buffer, position)
        {
            limits.check_bulk(len as i64)?;
            return Ok(Some((len as usize, start)));
        }
        self.stage = Stage::BulkHeader;
        self.position = position;
        let line_end = self.header_end(buffer, position, limits);
        let Some(line_end) = line_end.map_err(|LineTooLong| ProtocolError::BulkHeaderTooLong)? else {
            return Ok(None);
        };
        let len = bulk_length(&buffer[position..line_end], limits)?;
        Ok(Some((len, line_end + LINE_END_BYTES)))
    }

    /// Takes the argument of `len` bytes at `start` if it is whole, and gives the position after it.
    #[inline]
    fn bulk(&mut self, buffer: &[u8], start: usize, len: usize) -> Option<usize> {
        let end = start + len;
        if buffer.len() < end + LINE_END_BYTES {
            self.stage = Stage::Bulk(len);
            self.position = start;
            return None;
        }
        // Exact: a buffer is never longer than u32::MAX here.
        self.spans.push(Span { start: start as u32, end: end as u32 });
        Some(end + LINE_END_BYTES)
    }

    /// The answer where `buffer` ends too early.
    #[cold]
    fn incomplete(&self, buffer: &[u8]) -> Result<RequestStep, ProtocolError> {
        let bulk = match self.stage {
            Stage::Bulk(len) => Some(PendingBulk { index: self.spans.len(), start: self.position, len }),
            _ => None,
        };
        let due = bulk.map_or(buffer.len() + 1, |bulk| bulk.start + bulk.len + LINE_END_BYTES);
        if due > u32::MAX as usize {
            return Err(ProtocolError::TooLong);
        }
        Ok(RequestStep::Incomplete { bulk })
    }

    /// The position of the CR that ends the header line at `start`, once it and the byte after it are there.
    fn header_end(
        &mut self,
        buffer: &[u8],
        start: usize,
        limits: &RequestLimits,
    ) -> Result<Option<usize>, LineTooLong> {
        let line_bytes_max = limits.inline_bytes_max.max(HEADER_BYTES_MAX_LEAST);
        let line_end = self.find(b'\r', buffer, start, line_bytes_max as usize)?;
        Ok(line_end.filter(|end| buffer.len() >= end + LINE_END_BYTES))
    }

    /// Where `wanted` is in the line at `start`, looking only at what was not looked at before.
    fn find(
        &mut self,
        wanted: u8,
        buffer: &[u8],
        start: usize,
        line_bytes_max: usize,
    ) -> Result<Option<usize>, LineTooLong> {
        let window_end = buffer.len().min(start + line_bytes_max + 1);
        let from = self.searched.clamp(start, window_end);
        let hit = memchr2(wanted, 0, &buffer[from..window_end]).map(|at| from + at);
        // A NUL stays the place where every later search begins, and ends.
        self.searched = hit.unwrap_or(window_end);
        match hit {
            Some(at) if buffer[at] == wanted => Ok(Some(at)),
            _ if buffer.len() - start > line_bytes_max => Err(LineTooLong),
            _ => Ok(None),
        }
    }

    fn inline_request(
        &mut self,
        buffer: &[u8],
        limits: &RequestLimits,
    ) -> Result<RequestStep, ProtocolError> {
        let newline = self.find(b'\n', buffer, 0, limits.inline_bytes_max as usize);
        let Some(newline) = newline.map_err(|LineTooLong| ProtocolError::InlineTooLong)? else {
            return self.incomplete(buffer);
        };
        let line = &buffer[..newline];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let len = newline + 1;
        self.inline.get_or_insert_default().read(line, &mut self.spans)?;
        self.declared = self.spans.len();
        self.stage = Stage::Start;
        Ok(if self.spans.is_empty() { RequestStep::Skip { len } } else { RequestStep::Inline { len } })
    }
}

/// A line that reached its limit without an end.
struct LineTooLong;

#[cfg(test)]
mod tests;
