//! Requests of this test: encoded once, parsed as the proxy parses them.

use proxy_core::command::Args;
use resp::{RequestLimits, RequestParser, RequestStep, Span, encode};

/// A request in wire form with the places of its arguments.
pub(crate) struct Request {
    frame: Vec<u8>,
    spans: Vec<Span>,
}

impl Request {
    /// The request of these arguments.
    pub(crate) fn new(words: &[&[u8]]) -> Request {
        let mut frame = Vec::new();
        encode::request(&mut frame, words);
        let mut parser = RequestParser::new();
        let step = parser.parse(&frame, &RequestLimits::default()).expect("a well-formed request");
        assert!(matches!(step, RequestStep::Request { len } if len == frame.len()));
        let spans = parser.spans().to_vec();
        Request { frame, spans }
    }

    /// The request of the words of a line; `""` is the empty word.
    pub(crate) fn line(line: &str) -> Request {
        let words: Vec<&[u8]> =
            line.split(' ').map(|word| if word == "\"\"" { &[][..] } else { word.as_bytes() }).collect();
        Request::new(&words)
    }

    /// Its arguments.
    pub(crate) fn args(&self) -> Args<'_> {
        Args::new(&self.frame, &self.spans)
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.frame
    }
}
