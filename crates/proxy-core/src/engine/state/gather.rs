//! A reply that is put together from the replies of several backends.

use crate::command::{Merge, reply_of_replica};
use crate::errors;
use crate::merge::{ScanProcess, ScanStep, merge, scan_reply};
use resp::Protocol;

/// How the parts become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// By the command's rule.
    Merged(Merge),
    /// One step of a SCAN, and the process that answers it where nothing better is known.
    Scan(ScanStep, ScanProcess),
    /// A script at a replica: its reply, and what the client gets if the script declares that it writes.
    Script { said_reads: bool },
}

/// One such reply in the making.
#[derive(Debug)]
pub(crate) struct Gather {
    kind: Kind,
    protocol: Protocol,
    parts: Vec<Vec<u8>>,
    missing: usize,
    held: usize,
    /// There was no memory for it: nothing is kept any more, and the client gets an error.
    is_refused: bool,
}

impl Gather {
    /// A reply made of `parts` replies.
    pub(crate) fn new(kind: Kind, protocol: Protocol, parts: usize) -> Self {
        Gather { kind, protocol, parts: vec![Vec::new(); parts], missing: parts, held: 0, is_refused: false }
    }

    /// Notes the reply of one backend; true when it was the last one missing.
    pub(crate) fn put(&mut self, part: usize, reply: &[u8]) -> bool {
        if self.is_refused {
            self.missing -= 1;
            return self.missing == 0;
        }
        assert!(self.parts[part].is_empty(), "a backend answered its part of a gathered reply twice");
        self.parts[part].extend_from_slice(reply);
        self.held += self.parts[part].capacity();
        self.missing -= 1;
        self.missing == 0
    }

    /// Gives up what is here and what is still to come.
    pub(crate) fn refuse(&mut self) {
        self.is_refused = true;
        self.parts = Vec::new();
        self.held = 0;
    }

    /// Whether nothing of it is kept any more.
    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// Notes which process answers a step of a SCAN.
    pub(crate) fn answered_by(&mut self, known: ScanProcess) {
        if let Kind::Scan(_, process) = &mut self.kind {
            *process = known;
        }
    }

    /// How many parts have not come.
    pub(crate) fn missing(&self) -> usize {
        self.missing
    }

    /// The memory that the parts take, bytes.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Writes the merged reply.
    pub(crate) fn finish(&self, out: &mut Vec<u8>) {
        assert_eq!(self.missing, 0, "a gathered reply is finished only when every part is here");
        if self.is_refused {
            return errors::write(out, errors::GATHERED_TOO_LARGE);
        }
        match self.kind {
            Kind::Merged(rule) => merge(rule, &self.parts, self.protocol, out),
            Kind::Scan(step, process) => scan_reply(&self.parts[0], &step, process, out),
            Kind::Script { said_reads } => {
                reply_of_replica(&self.parts[0], &self.parts[1], said_reads, out);
            }
        }
    }
}
