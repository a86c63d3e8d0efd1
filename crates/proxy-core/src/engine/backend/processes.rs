//! Which process is at the other end of a connection: asked of the connection itself, so that a node which was started
//! again is never taken for the one before, however soon that was.

use crate::engine::Engine;
use crate::engine::state::backend::{Owed, Own, ProcessSeen};
use crate::engine::state::ids::{BackendId, SessionId};
use crate::engine::state::order::ReplySlot;
use crate::merge::ScanProcess;

impl Engine {
    /// Asks before the next request, where it is not known.
    pub(in crate::engine) fn ask_process(&mut self, on: BackendId) {
        let backend = &mut self.backends[on];
        if backend.process != ProcessSeen::Unknown {
            return;
        }
        backend.process = ProcessSeen::Asked;
        backend.owe_own(Own::Process, self.now.us as u32);
        let mut question = self.pool.buffer();
        resp::encode::request(&mut question, &[b"INFO", b"server"]);
        self.sending().send(on, &question, None);
        self.pool.recycle(question);
    }

    /// The answer. A node that refuses it, because it is busy or always, is asked again at the next SCAN.
    pub(in crate::engine) fn process_told(&mut self, from: BackendId, reply: &[u8]) {
        let backend = &mut self.backends[from];
        let address = &self.nodes.nodes[backend.purpose.node].address;
        let run_id = run_id_of(reply).and_then(|run_id| str::from_utf8(run_id).ok());
        backend.process = match run_id {
            Some(run_id) => ProcessSeen::Known(ScanProcess::new(&address.to_string(), run_id)),
            None => ProcessSeen::Unknown,
        };
    }

    /// Part of a gathered reply has come: a step of a SCAN has to know from whom.
    pub(in crate::engine) fn note_process(&mut self, from: BackendId, session: SessionId, owed: &Owed) {
        let ProcessSeen::Known(process) = self.backends[from].process else { return };
        let Some(session) = self.sessions.get_mut(session) else { return };
        let ahead = owed.sequence.wrapping_sub(session.head) as usize;
        if let Some(parked) = session.parked.as_mut()
            && let ReplySlot::Gather(gather) = parked.slot(ahead)
        {
            gather.answered_by(process);
        }
    }
}

/// The run id in a reply to INFO.
fn run_id_of(reply: &[u8]) -> Option<&[u8]> {
    const FIELD: &[u8] = b"\nrun_id:";
    let at = reply.windows(FIELD.len()).position(|bytes| bytes == FIELD)? + FIELD.len();
    let rest = &reply[at..];
    let end = rest.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(rest.len());
    (end > 0).then(|| &rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_id_is_found() {
        let cases: [(&[u8], Option<&[u8]>); 5] = [
            (b"$40\r\n# Server\r\nos:Linux\r\nrun_id:0a1b\r\ntcp_port:1\r\n\r\n", Some(b"0a1b")),
            (b"=40\r\ntxt:# Server\r\nrun_id:0a1b\r\n", Some(b"0a1b")),
            (b"$9\r\n# Server\r\n", None),
            (b"$20\r\nrun_id:\r\nnot_run_id:1\r\n\r\n", None),
            (b"-NOPERM no\r\n", None),
        ];
        for (reply, expected) in cases {
            assert_eq!(run_id_of(reply), expected, "{}", reply.escape_ascii());
        }
    }
}
