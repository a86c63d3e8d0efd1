//! A request as its arguments: places inside bytes that someone else holds.

use resp::Span;

/// The arguments of one request; argument 0 is the command's name.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    /// The bytes of the request.
    pub frame: &'a [u8],
    /// Where each argument is in `frame`.
    pub spans: &'a [Span],
}

impl<'a> Args<'a> {
    /// The arguments at `spans` of `frame`.
    #[inline]
    pub const fn new(frame: &'a [u8], spans: &'a [Span]) -> Args<'a> {
        Args { frame, spans }
    }

    /// How many arguments there are, the name among them.
    #[inline]
    pub const fn len(self) -> usize {
        self.spans.len()
    }

    /// Whether there is not even a name.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.spans.is_empty()
    }

    /// The bytes of one argument.
    ///
    /// # Panics
    /// When there are not that many.
    #[inline]
    pub fn get(self, index: usize) -> &'a [u8] {
        self.spans[index].of(self.frame)
    }

    /// All arguments in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone {
        self.spans.iter().map(move |span| span.of(self.frame))
    }

    /// The arguments from `index` on: the command that COMMAND GETKEYS or UMFORWARD carries.
    #[must_use]
    pub fn skip(self, index: usize) -> Args<'a> {
        Args { frame: self.frame, spans: self.spans.get(index..).unwrap_or_default() }
    }

    /// Whether argument `index` is this word, in any case.
    #[inline]
    pub fn is(self, index: usize, word: &str) -> bool {
        self.get(index).eq_ignore_ascii_case(word.as_bytes())
    }
}
