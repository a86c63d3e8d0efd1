//! Scripts that may use no keys but those that they declare (`script_keys = "strict"`).
//!
//! Redis checks in every call that a script makes whether the script's user may use the call's keys (ACL, since 6.2); it has
//! no other such check outside of its own cluster mode. So each script runs as a user of its own, who may use the declared
//! keys only:
//!
//! ```text
//!  proxy ── ACL SETUSER u on … ~key1 ~key2, AUTH u ──▶ node      a connection of the session's own
//!        ◀── OK, OK ──────────────────────────────────
//!        ── EVAL …, ACL DELUSER u ─────────────────────▶
//!        ◀── the reply, then the node ends the connection
//! ```
//!
//! The script is sent only after the node has confirmed the user: where it cannot make one, nothing runs.

use crate::command::{Args, Command, CommandId, key_positions, read_only_form};
use crate::engine::Engine;
use crate::engine::contexts::Connections;
use crate::engine::request::dispatch::{Request, Taken};
use crate::engine::state::backend::{Owed, ScriptUser};
use crate::engine::state::ids::{BackendId, SessionId};
use crate::engine::state::session::{Phase, WaitFor};
use crate::errors;
use crate::route::TargetIndex;

/// How the names of these users begin.
const USER_PREFIX: &str = "undermoon:script:";
/// Matches white space and NUL, which an ACL's pattern cannot hold, and nothing else.
const WHITE_SPACE: &[u8] = b"[^\x01-\x08\x0e-\x1f!-\x7f\x80-\xff]";

impl Engine {
    /// Whether this command runs a script whose keys are checked.
    pub(in crate::engine) fn checks_keys_of(&self, command: CommandId) -> bool {
        self.shared.settings.strict_scripts && read_only_form(self.shared.table.by_id(command)).is_some()
    }

    /// Sends a script to the node of `target` as a user who may use its declared keys only.
    pub(in crate::engine) fn run_checked(
        &mut self,
        id: SessionId,
        target: TargetIndex,
        command: CommandId,
        request: Request<'_>,
    ) -> Taken {
        let backend = match self.script_backend(id, target, command, request.args) {
            Ok(backend) => backend,
            Err(taken) => return taken,
        };
        let owed = self.sending().owe(backend, id, command, None);
        assert!(owed, "a connection that nobody else uses has room");
        self.sending().send(backend, request.args.frame, request.origin);
        self.dismiss_script_user(id, backend);
        Taken::Yes
    }

    /// A connection on which the script of this request may use its declared keys only; else what became of the request.
    pub(in crate::engine) fn script_backend(
        &mut self,
        id: SessionId,
        target: TargetIndex,
        command: CommandId,
        args: Args<'_>,
    ) -> Result<BackendId, Taken> {
        let session = &mut self.sessions[id];
        if session.outstanding() > 0 {
            session.phase = Phase::Waiting(WaitFor::Replies);
            return Err(Taken::Later);
        }
        let mut scripts = self.backends.iter().filter(|(_, backend)| backend.script.is_some());
        let running = scripts.next().map(|(oldest, _)| (oldest, 1 + scripts.count()));
        if let Some((some, count)) = running
            && count >= self.policy.uploads_max as usize
        {
            self.sending().wait_for_room(id, some);
            return Err(Taken::Later);
        }
        let node = self.nodes.of_target(target).expect("a target that is forwarded to is a local node");
        let shared = self.shared.clone();
        let keys = declared_keys(shared.table.by_id(command), args);
        let name = format!("{USER_PREFIX}{:016x}{:016x}", self.random.next(), self.random.next());
        let password = shared.backend_password.as_ref().map(crate::settings::Password::reveal);
        let user = ScriptUser { greeting: greeting(&name, password, &keys).into(), name: name.into() };
        self.connections().script_connection(id, node, user).ok_or(Taken::Yes)
    }

    /// Has the node forget the user once it has executed what was sent so far.
    pub(in crate::engine) fn dismiss_script_user(&mut self, id: SessionId, on: BackendId) {
        let Some(user) = &self.backends[on].script else { return };
        let mut farewell = Vec::new();
        resp::encode::request(&mut farewell, &[b"ACL", b"DELUSER", user.name.as_bytes()]);
        self.sending().send(on, &farewell, None);
        let backend = &mut self.backends[on];
        backend.owed.push_back(Owed::to_nobody(self.now.us as u32));
        backend.unsent += 1;
        self.clients().take_barrier(id); // what follows goes another way
    }
}

impl Connections<'_> {
    /// The node does not let this proxy make the user.
    pub(in crate::engine) fn script_user_refused(&mut self, on: BackendId, reply: &[u8]) {
        let mut refusal = Vec::new();
        errors::script_user_refused(&mut refusal, &String::from_utf8_lossy(&reply[1..]));
        self.backends[on].refusal = Some(refusal.into());
        self.fail_backend(on, "it refused the user of a script");
    }
}

/// The keys that a script declares; empty where the node will say that the declaration is wrong.
fn declared_keys<'a>(command: &Command, args: Args<'a>) -> Vec<&'a [u8]> {
    let mut positions = Vec::new();
    match key_positions(command, args, &mut positions) {
        Ok(()) => positions.iter().map(|&position| args.get(position as usize)).collect(),
        Err(_) => Vec::new(),
    }
}

/// Makes the user and becomes it: two requests.
fn greeting(name: &str, password: Option<&[u8]>, keys: &[&[u8]]) -> Vec<u8> {
    let entry = password.map_or_else(|| b"nopass".to_vec(), |password| [b">", password].concat());
    let patterns: Vec<Vec<u8>> = keys.iter().map(|key| pattern_of(key)).collect();
    let mut words: Vec<&[u8]> = vec![b"ACL", b"SETUSER", name.as_bytes(), b"reset", b"on", &entry];
    words.extend([b"+@all".as_slice(), b"allchannels", b"resetkeys"]);
    words.extend(patterns.iter().map(Vec::as_slice));
    let mut out = Vec::new();
    resp::encode::request(&mut out, &words);
    resp::encode::request(&mut out, &[b"AUTH", name.as_bytes(), password.unwrap_or(b"none")]);
    out
}

/// An ACL's pattern that matches this key. Where the key has white space, any white space matches.
fn pattern_of(key: &[u8]) -> Vec<u8> {
    let mut pattern = b"~".to_vec();
    for &byte in key {
        match byte {
            0 | b'\t'..=b'\r' | b' ' => pattern.extend_from_slice(WHITE_SPACE),
            b'*' | b'?' | b'[' | b']' | b'^' | b'-' | b'\\' => pattern.extend_from_slice(&[b'\\', byte]),
            _ => pattern.push(byte),
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glob::{Case, Pattern};

    #[test]
    fn a_pattern_matches_its_key_alone() {
        let keys: [&[u8]; 9] = [b"a", b"", b"a*", b"a?b", b"[ab]", b"\\*", b"a^-b", b"\xff\x80\x1f", b"ab"];
        for key in keys {
            let pattern = pattern_of(key);
            for other in keys {
                let matches = Pattern::new(&pattern[1..], Case::Exact).matches(other);
                assert_eq!(matches, key == other, "{key:?} {other:?}");
            }
        }
        assert_eq!(pattern_of(b"a b"), [b"~a".as_slice(), WHITE_SPACE, b"b"].concat());
    }
}
