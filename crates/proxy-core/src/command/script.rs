//! Scripts and functions at a replica: which commands run there, and what is made of what the node says.
//!
//! The rules are those of Redis 7.0. A session in READONLY mode may send a replica what only reads, and what is not
//! flagged as a write. EVAL, EVALSHA and FCALL are not: whether they write shows while they run, and a write then fails. Scripts
//! that declare flags are a write unless they declare `no-writes`; as such they are answered MOVED.
//!
//! A node behind a proxy may be a replica no more and its proxy not have heard of it. So a script is sent as its
//! read-only form (EVAL_RO …), which no node lets write, and the node's errors are put into the words that a replica
//! of Redis Cluster has for the form that the client used.

use super::args::Args;
use super::catalog::{Command, Flags};

/// How a script that declares its flags begins.
const SHEBANG: &[u8] = b"#!";
/// How it begins when it names the only engine that there is.
const ENGINE: &[u8] = b"#!lua";
/// The flag of a script that only reads.
const NO_WRITES: &[u8] = b"no-writes";
/// The flags that a script can declare.
const FLAGS: [&[u8]; 5] = [NO_WRITES, b"allow-oom", b"allow-stale", b"no-cluster", b"allow-cross-slot-keys"];
/// What a node says to a write of a script that was sent in its read-only form.
const WRITE_IN_READ_ONLY: &[u8] = b"-ERR Write commands are not allowed from read-only scripts.";
/// What a replica says to it in the form that may write.
const WRITE_ON_REPLICA: &[u8] = b"-READONLY You can't write against a read only replica.";
/// What a node says to a script or function that declares that it writes, or does not declare that it does not: as a
/// replica, and when it is none.
const DECLARED_WRITE: [&[u8]; 2] = [
    b"-READONLY You can't write against a read only replica.\r\n",
    b"-ERR Can not execute a script with write flag using *_ro command.\r\n",
];

/// The commands that run scripts, each with its read-only form.
const SCRIPTS: [(&str, &str); 6] = [
    ("eval", "EVAL_RO"),
    ("evalsha", "EVALSHA_RO"),
    ("fcall", "FCALL_RO"),
    ("eval_ro", "EVAL_RO"),
    ("evalsha_ro", "EVALSHA_RO"),
    ("fcall_ro", "FCALL_RO"),
];

/// Whether a replica may be asked to execute this, for a session in READONLY mode.
#[must_use]
pub fn runs_on_replica(command: &Command, args: Args<'_>) -> bool {
    if read_only_form(command).is_none() {
        return command.flags.contains(Flags::READONLY);
    }
    let has_source = matches!(&*command.name, "eval" | "eval_ro");
    let writes = command.flags.contains(Flags::WRITE) || (has_source && declares_writes(args.get(1)));
    !writes
}

/// Whether the client has said that this only reads: by the command's form, or by the flags in its source.
#[must_use]
pub fn says_that_it_reads(command: &Command, args: Args<'_>) -> bool {
    let has_source = &*command.name == "eval";
    command.flags.contains(Flags::READONLY) || (has_source && args.get(1).starts_with(SHEBANG))
}

/// The read-only form of a command that runs a script; `None` for other commands.
#[must_use]
pub fn read_only_form(command: &Command) -> Option<&'static str> {
    SCRIPTS.iter().find(|(name, _)| *name == &*command.name).map(|(_, form)| *form)
}

/// Whether the script declares flags, and `no-writes` is not among them. A declaration that a node would refuse is none.
fn declares_writes(script: &[u8]) -> bool {
    let Some(line) = script.split(|byte| *byte == b'\n').next().filter(|line| line.len() < script.len())
    else {
        return false;
    };
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    if words.next() != Some(ENGINE) {
        return false;
    }
    let mut has_no_writes = false;
    for word in words {
        let Some(flags) = word.strip_prefix(b"flags=") else { return false };
        for flag in flags.split(|byte| *byte == b',') {
            if !FLAGS.contains(&flag) {
                return false;
            }
            has_no_writes |= flag == NO_WRITES;
        }
    }
    !has_no_writes
}

/// Appends what the client gets for a node's reply to the read-only form of its command. `refused` is for what declares
/// that it writes; `said_reads` as [`says_that_it_reads`] tells.
pub fn reply_of_replica(reply: &[u8], refused: &[u8], said_reads: bool, out: &mut Vec<u8>) {
    if DECLARED_WRITE.contains(&reply) {
        return out.extend_from_slice(refused);
    }
    match reply.strip_prefix(WRITE_IN_READ_ONLY).filter(|_| !said_reads) {
        Some(rest) => {
            out.extend_from_slice(WRITE_ON_REPLICA);
            out.extend_from_slice(rest);
        }
        None => out.extend_from_slice(reply),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_declaration_makes_a_script_a_write() {
        for (script, expected) in [
            ("return redis.call('set', KEYS[1], '')", false),
            ("#!lua\nreturn 1", true),
            ("#!lua flags=allow-stale\nreturn 1", true),
            // What a node refuses is for the node to refuse.
            ("#!lua", false),
            ("#!lua name=x\nreturn 1", false),
            ("#!lua flags=nonsense\nreturn 1", false),
            ("#!python\nreturn 1", false),
            ("#!lua flags=no-writes\nreturn 1", false),
            ("#!lua flags=allow-stale,no-writes\nreturn 1", false),
            ("#!lua\nflags=no-writes", true),
            ("", false),
        ] {
            assert_eq!(declares_writes(script.as_bytes()), expected, "{script}");
        }
    }

    #[test]
    fn errors_are_those_of_the_form_that_was_used() {
        let moved = "-MOVED 1 a:1\r\n";
        let write =
            "-ERR Write commands are not allowed from read-only scripts. script: 2, on @user_script:1.\r\n";
        let refused =
            "-READONLY You can't write against a read only replica. script: 2, on @user_script:1.\r\n";
        let declared = "-ERR Can not execute a script with write flag using *_ro command.\r\n";
        let as_replica = "-READONLY You can't write against a read only replica.\r\n";
        for (reply, said_reads, expected) in [
            (":1\r\n", false, ":1\r\n"),
            (write, false, refused),
            (write, true, write),
            (declared, false, moved),
            (declared, true, moved),
            (as_replica, false, moved),
            (
                "-NOSCRIPT No matching script. Please use EVAL.\r\n",
                false,
                "-NOSCRIPT No matching script. Please use EVAL.\r\n",
            ),
        ] {
            let mut out = Vec::new();
            reply_of_replica(reply.as_bytes(), moved.as_bytes(), said_reads, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{reply} {said_reads}");
        }
    }
}
