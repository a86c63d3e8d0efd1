//! A huge request on its way to a backend of its own, piece by piece.
//!
//! Once the command and its key are known, what follows is only counted, never kept: bulk after bulk until the
//! request's last byte. So a value of any size passes through within the bound of one connection's output.

use model::Slot;
use resp::{ProtocolError, RequestLimits, bulk_length};

use super::ids::BackendId;
use super::misplaced::Misplaced;
use crate::command::CommandId;

/// A request whose next bulk is at least this long is streamed instead of being gathered first.
pub const STREAM_BYTES_MIN: usize = 256 * 1024;
/// A streaming session is not read from while its backend has this much still to be written.
pub const STREAM_WINDOW_BYTES: usize = 1024 * 1024;
/// The longest line that tells a bulk's length.
const HEADER_BYTES_MAX: usize = 32;

/// What is left of the request, and where it goes.
#[derive(Debug)]
pub(crate) struct Stream {
    /// The backend that takes it; `None` once there is nobody to take it, and the rest is thrown away.
    pub(crate) backend: Option<BackendId>,
    /// Why nobody here takes the request, where that is told when all of it was sent: Redis answers no half of a request.
    pub(in crate::engine) refusal: Option<(Slot, Misplaced)>,
    pub(crate) command: CommandId,
    /// All of the request has come, and its last byte is kept back: a pause holds the command.
    pub(crate) is_kept_back: bool,
    /// Bytes of the current bulk still to come, with its line end.
    bulk: usize,
    /// Bulks that have not begun.
    bulks: usize,
    header: Vec<u8>,
}

impl Stream {
    /// A request of which a bulk of `bulk` bytes (line end not counted) has begun and `bulks` more follow.
    pub(crate) fn new(command: CommandId, backend: Option<BackendId>, bulk: usize, bulks: usize) -> Self {
        Stream {
            backend,
            refusal: None,
            command,
            is_kept_back: false,
            bulk: bulk + 2,
            bulks,
            header: Vec::new(),
        }
    }

    /// Whether the request's last byte has been seen.
    pub(crate) fn is_finished(&self) -> bool {
        self.bulk == 0 && self.bulks == 0
    }

    /// At least so many bytes of the request are still to come.
    pub(crate) fn bytes_left_min(&self) -> usize {
        const BULK_BYTES_MIN: usize = b"$0\r\n\r\n".len();
        self.bulk + (self.bulks * BULK_BYTES_MIN).saturating_sub(self.header.len())
    }

    /// How many of `data`'s first bytes belong to the request; the rest begins the next one.
    ///
    /// # Errors
    /// What Redis answers to a malformed bulk length.
    pub(crate) fn consume(&mut self, data: &[u8], limits: &RequestLimits) -> Result<usize, ProtocolError> {
        let mut used = 0;
        while used < data.len() && !self.is_finished() {
            if self.bulk > 0 {
                let taken = self.bulk.min(data.len() - used);
                self.bulk -= taken;
                used += taken;
                continue;
            }
            self.header.push(data[used]);
            used += 1;
            // The byte after CR is not looked at, as in Redis.
            let line = self.header.split_last().and_then(|(_, before)| before.strip_suffix(b"\r"));
            if let Some(line) = line {
                self.bulk = bulk_length(line, limits)? + 2;
                self.bulks -= 1;
                self.header.clear();
            } else if self.header.len() > HEADER_BYTES_MAX {
                return Err(ProtocolError::BulkLength);
            }
        }
        Ok(used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rest: &[u8], bulk: usize, bulks: usize, expected: Result<usize, ProtocolError>) {
        for step in 1..=rest.len() {
            let mut stream = Stream::new(CommandId(0), None, bulk, bulks);
            let mut used = 0;
            let mut outcome = Ok(());
            for piece in rest.chunks(step) {
                match stream.consume(piece, &RequestLimits::default()) {
                    Ok(taken) => used += taken,
                    Err(error) => {
                        outcome = Err(error);
                        break;
                    }
                }
                if stream.is_finished() {
                    break;
                }
            }
            assert_eq!(outcome.map(|()| used), expected, "in steps of {step}");
        }
    }

    #[test]
    fn counts_the_request_and_leaves_what_follows() {
        check(b"abcde\r\nPING\r\n", 5, 0, Ok(7));
        check(b"abcde\r\n$2\r\nxy\r\n$0\r\n\r\n*1\r\n$4\r\nPING\r\n", 5, 2, Ok(21));
        check(b"abcde\r\n$2\r?xy\r\n", 5, 1, Ok(15));
        check(b"abcde\r\n:2\r\nxy\r\n", 5, 1, Err(ProtocolError::ExpectedBulk(b':')));
        check(b"abcde\r\n\r\n2\r\nxy\r\n", 5, 1, Err(ProtocolError::ExpectedBulk(b'\r')));
        check(b"abcde\r\n$+2\r\nxy\r\n", 5, 1, Err(ProtocolError::BulkLength));
        check(b"abcde\r\n$02\r\nxy\r\n", 5, 1, Err(ProtocolError::BulkLength));
        check(b"abcde\r\n$-1\r\nxy\r\n", 5, 1, Err(ProtocolError::BulkLength));
        check(b"abcde\r\n$99999999999\r\nxy\r\n", 5, 1, Err(ProtocolError::BulkLength));
    }
}
