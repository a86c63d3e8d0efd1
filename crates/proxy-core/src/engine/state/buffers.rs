//! Output queues and the pool that their buffers come from.
//!
//! Small output is copied into one growing buffer; a large run of bytes is kept as a reference into the chunk
//! that it was read into, so that it is never copied. Nothing here reads or writes a socket.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;

/// A run of at least this many bytes is moved by reference instead of being copied.
pub const LARGE_BYTES_MIN: usize = 16 * 1024;
/// A read buffer for ordinary traffic.
pub const READ_BYTES: usize = 64 * 1024;
/// A read buffer while a large value passes through.
pub const READ_BYTES_LARGE: usize = 256 * 1024;
/// Slices that one gathering write may take.
pub const SLICES_MAX: usize = 16;

const POOL_BUFFERS_MAX: usize = 1024;
const POOL_CHUNKS_MAX: usize = 64;
const POOLED_BYTES_MAX: usize = 64 * 1024;
const BUFFER_BYTES_FIRST: usize = 512;
/// A buffer of more than this has grown: it is for those that gather much.
const BUFFER_BYTES_SMALL_MAX: usize = 4096;

/// A block of memory that a socket is read into, shared by the pieces of output that refer to it.
#[derive(Debug, Clone)]
pub struct Chunk(Rc<Vec<u8>>);

impl Chunk {
    fn new(len: usize) -> Self {
        Chunk(Rc::new(vec![0; len]))
    }

    /// Takes over a buffer that was filled elsewhere.
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Chunk(Rc::new(bytes))
    }

    /// The memory to read into; only while nothing refers to the chunk.
    pub fn space(&mut self) -> &mut [u8] {
        Rc::get_mut(&mut self.0).expect("a chunk is read into only while nothing refers to it").as_mut_slice()
    }

    /// What the chunk holds.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The memory itself; a copy of it if something else still refers to the chunk.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        Rc::unwrap_or_clone(self.0)
    }

    /// The memory that it takes, bytes.
    #[inline]
    fn held(&self) -> usize {
        self.0.capacity()
    }

    /// Whether queued output refers to it.
    #[inline]
    #[must_use]
    pub fn is_shared(&self) -> bool {
        Rc::strong_count(&self.0) > 1
    }
}

/// Spare buffers of one worker: an idle connection holds none.
#[derive(Debug, Default)]
pub struct BufferPool {
    buffers: Vec<Vec<u8>>,
    /// Those that have grown. Kept apart, so that the few that gather the requests of a turn do not make every
    /// session's buffer grow, one after the other.
    grown: Vec<Vec<u8>>,
    chunks: Vec<Chunk>,
    chunks_large: Vec<Chunk>,
}

impl BufferPool {
    /// An empty buffer with some capacity.
    #[inline]
    pub fn buffer(&mut self) -> Vec<u8> {
        match self.buffers.pop() {
            Some(buffer) => buffer,
            None => self.grown.pop().unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES_FIRST)),
        }
    }

    /// An empty buffer for what will be much, of the largest there are.
    #[inline]
    pub fn grown_buffer(&mut self) -> Vec<u8> {
        match self.grown.pop() {
            Some(buffer) => buffer,
            None => self.buffer(),
        }
    }

    /// Takes back a buffer; one that grew large, or one too many, is freed.
    #[inline]
    pub fn recycle(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        let spare = if capacity > BUFFER_BYTES_SMALL_MAX { &mut self.grown } else { &mut self.buffers };
        if capacity > 0 && capacity <= POOLED_BYTES_MAX && spare.len() < POOL_BUFFERS_MAX {
            buffer.clear();
            spare.push(buffer);
        }
    }

    /// A chunk to read into: [`READ_BYTES`] or [`READ_BYTES_LARGE`] long.
    #[inline]
    pub fn chunk(&mut self, large: bool) -> Chunk {
        let (spare, len) =
            if large { (&mut self.chunks_large, READ_BYTES_LARGE) } else { (&mut self.chunks, READ_BYTES) };
        spare.pop().unwrap_or_else(|| Chunk::new(len))
    }

    /// Takes back a chunk unless something still refers to it.
    #[inline]
    pub fn recycle_chunk(&mut self, chunk: Chunk) {
        let spare = match chunk.0.len() {
            READ_BYTES => &mut self.chunks,
            READ_BYTES_LARGE => &mut self.chunks_large,
            _ => return self.recycle_filled(chunk),
        };
        if !chunk.is_shared() && spare.len() < POOL_CHUNKS_MAX {
            spare.push(chunk);
        }
    }

    /// A chunk that was not read into but was once a buffer.
    fn recycle_filled(&mut self, chunk: Chunk) {
        if let Ok(buffer) = Rc::try_unwrap(chunk.0) {
            self.recycle(buffer);
        }
    }
}

#[derive(Debug)]
struct Piece {
    chunk: Chunk,
    start: usize,
    end: usize,
}

/// Bytes waiting to be written to one connection, in order.
#[derive(Debug, Default)]
pub struct OutQueue {
    /// Pieces that come before `tail`; the first may be sent in part already (its `start` moves).
    #[expect(clippy::box_collection, reason = "every session has a queue and hardly any has pieces")]
    pieces: Option<Box<VecDeque<Piece>>>,
    tail: Vec<u8>,
    tail_sent: usize,
    piece_bytes: usize,
    /// Memory that the pieces keep from being used again, bytes.
    piece_held: usize,
}

impl OutQueue {
    /// Bytes not yet written.
    #[inline]
    pub fn len(&self) -> usize {
        self.piece_bytes + self.tail.len() - self.tail_sent
    }

    /// The memory that what is not written takes, bytes. A piece keeps the whole chunk that it lies in.
    #[inline]
    pub fn held(&self) -> usize {
        self.piece_held + self.tail.capacity()
    }

    /// Whether everything is written.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.piece_bytes == 0 && self.tail.len() == self.tail_sent
    }

    /// The buffer to append small output to. One that is full is put aside first: growing it would copy all of it.
    #[inline]
    pub fn tail(&mut self, pool: &mut BufferPool) -> &mut Vec<u8> {
        if self.tail.len() >= POOLED_BYTES_MAX {
            self.close_tail();
        }
        if self.tail.capacity() == 0 {
            self.tail = pool.buffer();
        }
        &mut self.tail
    }

    /// Prepares for small output of many sessions together.
    #[inline]
    pub fn gather(&mut self, pool: &mut BufferPool) {
        if self.tail.capacity() == 0 {
            self.tail = pool.grown_buffer();
        }
    }

    /// Appends a copy of `bytes`. Returns whether a full buffer was put aside for it: what comes before `bytes` is
    /// then no longer part of what [`OutQueue::sent_keeping`] will return.
    #[inline]
    pub fn copy(&mut self, bytes: &[u8], pool: &mut BufferPool) -> bool {
        let full = self.tail.len() + bytes.len() > POOLED_BYTES_MAX && !self.tail.is_empty();
        if full {
            self.close_tail();
        }
        self.tail(pool).extend_from_slice(bytes);
        full
    }

    /// Appends `chunk[start..end]`: by reference where that is worth it, else as a copy. A piece keeps its whole chunk
    /// from being used again, so less than half of one is copied.
    pub fn refer(&mut self, chunk: &Chunk, start: usize, end: usize, pool: &mut BufferPool) {
        if end - start < LARGE_BYTES_MIN || end - start < chunk.held() / 2 {
            self.copy(&chunk.bytes()[start..end], pool);
            return;
        }
        self.close_tail();
        self.push_piece(Piece { chunk: chunk.clone(), start, end });
    }

    /// Appends everything that `other` still holds.
    pub fn append(&mut self, mut other: OutQueue, pool: &mut BufferPool) {
        if let Some(pieces) = other.pieces.take() {
            self.close_tail();
            for piece in *pieces {
                self.push_piece(piece);
            }
        }
        self.copy(&other.tail[other.tail_sent..], pool);
        pool.recycle(other.tail);
    }

    fn push_piece(&mut self, piece: Piece) {
        self.piece_bytes += piece.end - piece.start;
        self.piece_held += piece.chunk.held();
        self.pieces.get_or_insert_default().push_back(piece);
    }

    fn close_tail(&mut self) {
        if self.tail.len() > self.tail_sent {
            let tail = std::mem::take(&mut self.tail);
            let (start, end) = (std::mem::take(&mut self.tail_sent), tail.len());
            self.push_piece(Piece { chunk: Chunk::from_vec(tail), start, end });
        }
    }

    /// Everything as one slice, in the usual case that nothing large waits.
    #[inline]
    pub fn as_single(&self) -> Option<&[u8]> {
        match self.pieces {
            None => Some(&self.tail[self.tail_sent..]),
            Some(_) => None,
        }
    }

    /// Fills `slices` with what is to be written next and returns how many it used.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES_MAX]) -> usize {
        let mut used = 0;
        for piece in self.pieces.iter().flat_map(|pieces| pieces.iter()).take(SLICES_MAX) {
            slices[used] = IoSlice::new(&piece.chunk.bytes()[piece.start..piece.end]);
            used += 1;
        }
        if used < SLICES_MAX && self.tail.len() > self.tail_sent {
            slices[used] = IoSlice::new(&self.tail[self.tail_sent..]);
            used += 1;
        }
        used
    }

    /// Notes that `sent` bytes went out, and gives spent buffers back.
    #[inline]
    pub fn sent(&mut self, sent: usize, pool: &mut BufferPool) {
        if let Some(spent) = self.sent_keeping(sent, pool) {
            pool.recycle(spent);
        }
    }

    /// As [`OutQueue::sent`]; the buffer of small output, once all of it is written, is for the caller.
    #[inline]
    pub fn sent_keeping(&mut self, mut sent: usize, pool: &mut BufferPool) -> Option<Vec<u8>> {
        if self.pieces.is_some() {
            sent = self.sent_pieces(sent, pool);
        }
        self.tail_sent += sent;
        assert!(self.tail_sent <= self.tail.len(), "more bytes were sent than were queued");
        if self.tail_sent < self.tail.len() || self.pieces.is_some() {
            return None;
        }
        self.tail_sent = 0;
        Some(std::mem::take(&mut self.tail))
    }

    fn sent_pieces(&mut self, mut sent: usize, pool: &mut BufferPool) -> usize {
        let Some(pieces) = self.pieces.as_mut() else { return sent };
        while let Some(front) = pieces.front_mut() {
            let len = front.end - front.start;
            let taken = len.min(sent);
            front.start += taken;
            sent -= taken;
            self.piece_bytes -= taken;
            if taken < len {
                return 0;
            }
            let piece = pieces.pop_front().expect("the front was just seen");
            self.piece_held -= piece.chunk.held();
            pool.recycle_chunk(piece.chunk);
        }
        self.pieces = None;
        sent
    }

    /// Drops everything that waits.
    pub fn clear(&mut self, pool: &mut BufferPool) {
        for piece in self.pieces.take().into_iter().flat_map(|pieces| *pieces) {
            pool.recycle_chunk(piece.chunk);
        }
        self.piece_bytes = 0;
        self.piece_held = 0;
        self.tail_sent = 0;
        pool.recycle(std::mem::take(&mut self.tail));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(queue: &mut OutQueue, step: usize, pool: &mut BufferPool) -> Vec<u8> {
        let mut all = Vec::new();
        while !queue.is_empty() {
            let taken = {
                let mut slices: [IoSlice<'_>; SLICES_MAX] = std::array::from_fn(|_| IoSlice::new(&[]));
                let used = queue.slices(&mut slices);
                let mut left = step;
                for slice in &slices[..used] {
                    let part = slice.len().min(left);
                    all.extend_from_slice(&slice[..part]);
                    left -= part;
                }
                step - left
            };
            queue.sent(taken, pool);
        }
        all
    }

    #[test]
    fn keeps_the_order_of_copies_and_references_at_any_write_size() {
        let big = Chunk::from_vec((0..READ_BYTES).map(|i| (i % 251) as u8).collect());
        for step in [7usize, 4096, 16_384, 1 << 20] {
            let mut pool = BufferPool::default();
            let mut queue = OutQueue::default();
            let mut expected = b"head".to_vec();
            queue.copy(b"head", &mut pool);
            for (start, end) in [(0, READ_BYTES), (5, 100), (100, 20_000)] {
                queue.refer(&big, start, end, &mut pool);
                expected.extend_from_slice(&big.bytes()[start..end]);
            }
            queue.copy(b"tail", &mut pool);
            expected.extend_from_slice(b"tail");
            assert_eq!(queue.len(), expected.len());
            assert!(drain(&mut queue, step, &mut pool) == expected, "step {step}");
            assert!(queue.as_single().is_some_and(<[u8]>::is_empty));
        }
    }

    #[test]
    fn much_small_output_takes_hardly_more_than_its_bytes() {
        let mut pool = BufferPool::default();
        let mut queue = OutQueue::default();
        for _ in 0..10_000 {
            queue.tail(&mut pool).extend_from_slice(&[b'x'; 1000]);
        }
        assert!(queue.held() < 2 * queue.len(), "{} bytes for {}", queue.held(), queue.len());
    }

    #[test]
    fn a_chunk_returns_to_the_pool_once_nothing_refers_to_it() {
        let mut pool = BufferPool::default();
        let chunk = pool.chunk(false);
        let mut queue = OutQueue::default();
        queue.refer(&chunk, 0, READ_BYTES, &mut pool);
        pool.recycle_chunk(chunk);
        assert!(pool.chunks.is_empty(), "it is still referred to");
        queue.sent(READ_BYTES, &mut pool);
        assert_eq!(pool.chunks.len(), 1);
    }
}
