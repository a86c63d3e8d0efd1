//! Every error text that the proxy itself sends to clients.
//!
//! A text begins with its code and has neither the leading `-` nor the line end;
//! [`write()`] adds both. Where Redis 7 has an error for the same thing, the text is Redis's
//! to the letter, because clients compare it. Two kinds of texts stand elsewhere: those of the protocol parser (crate `resp`),
//! and those that the command table gives, for commands that are unknown, have too few arguments (`command/reply/unknown.rs`)
//! or are not supported (`command/catalog/refusal.rs`). Nothing here decides when an error is due.

use std::fmt::Display;

use model::{Address, Slot};

/// Appends `text` as an error reply.
pub fn write(out: &mut Vec<u8>, text: &str) {
    resp::encode::error(out, text);
}

/// `text` as an error reply, by itself.
#[must_use]
pub fn line(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, text);
    out
}

// ---- Authentication and handshake ----

/// Any command but AUTH, HELLO, QUIT and RESET before the client has authenticated.
pub const NOAUTH: &str = "NOAUTH Authentication required.";
/// Wrong user name or password in AUTH or HELLO.
pub const WRONGPASS: &str = "WRONGPASS invalid username-password pair or user is disabled.";
/// `AUTH <password>` where no password is set.
pub const AUTH_NOT_CONFIGURED: &str = "ERR AUTH <password> called without any password configured for the \
    default user. Are you sure your configuration is correct?";
/// HELLO without AUTH from a client that has to authenticate.
pub const HELLO_NOAUTH: &str = "NOAUTH HELLO must be called with the client already authenticated, \
    otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select \
    the RESP protocol version at the same time";
/// HELLO with a protocol version other than 2 and 3.
pub const NOPROTO: &str = "NOPROTO unsupported protocol version";
/// HELLO whose version is no number.
pub const PROTOCOL_VERSION_NOT_INTEGER: &str = "ERR Protocol version is not an integer or out of range";
/// A name longer than the proxy keeps; Redis has no limit.
pub const CLIENT_NAME_TOO_LONG: &str = "ERR Client names and library names cannot be longer than 512 bytes";
/// A client name with a character outside `!`..=`~`.
pub const BAD_CLIENT_NAME: &str = "ERR Client names cannot contain spaces, newlines or special characters.";

// ---- Arguments ----

/// A syntax that the command does not have.
pub const SYNTAX: &str = "ERR syntax error";
/// A number was expected.
pub const NOT_INTEGER: &str = "ERR value is not an integer or out of range";
/// A number that does not fit 32 bits.
pub const NOT_INT32: &str = "ERR value is out of range, value must between -2147483648 and 2147483647";
/// SELECT of a database that the backends do not have.
pub const DB_OUT_OF_RANGE: &str = "ERR DB index is out of range";
/// CLIENT KILL whose ID is no positive number.
pub const BAD_CLIENT_ID: &str = "ERR client-id should be greater than 0";
/// CLIENT KILL or CLIENT LIST whose id is no number.
pub const INVALID_CLIENT_ID: &str = "ERR Invalid client ID";
/// CLIENT KILL in its old form found no such client.
pub const NO_SUCH_CLIENT: &str = "ERR No such client";
/// CLIENT KILL MAXAGE of zero or below.
pub const BAD_MAX_AGE: &str = "ERR maxage should be greater than 0";
/// CLIENT UNBLOCK with an unknown reason.
pub const UNBLOCK_REASON: &str = "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR";
/// CLIENT PAUSE with an unknown mode.
pub const PAUSE_MODE: &str = "ERR CLIENT PAUSE mode must be WRITE or ALL";
/// CLIENT PAUSE or WAIT whose timeout is no number.
pub const TIMEOUT_NOT_INTEGER: &str = "ERR timeout is not an integer or out of range";
/// CLIENT PAUSE or WAIT whose timeout is below zero.
pub const TIMEOUT_NEGATIVE: &str = "ERR timeout is negative";
/// CLIENT PAUSE or WAIT whose end lies beyond what a clock can hold. The text is from Redis 7.2; 7.0 lets it overflow.
pub const TIMEOUT_OUT_OF_RANGE: &str = "ERR timeout is out of range";
/// WAITAOF with a number of local files other than 0 and 1.
pub const WAITAOF_LOCAL: &str = "ERR value is out of range, value must between 0 and 1";
/// WAITAOF with a number of replicas that is below zero or no number.
pub const NOT_POSITIVE: &str = "ERR value is out of range, must be positive";
/// SLOWLOG GET with a count below -1.
pub const SLOWLOG_COUNT: &str = "ERR count should be greater than or equal to -1";
/// CLUSTER COUNTKEYSINSLOT and GETKEYSINSLOT with a slot outside 0 to 16383.
pub const INVALID_SLOT_RANGE: &str = "ERR Invalid slot";
/// CLUSTER GETKEYSINSLOT with a slot or a count outside its bounds.
pub const INVALID_SLOT_OR_COUNT: &str = "ERR Invalid slot or number of keys";

/// SCAN with a cursor that is none.
pub const INVALID_CURSOR: &str = "ERR invalid cursor";

// ---- Keys of a request ----

/// More keys are announced than there are arguments.
pub const KEYS_MORE_THAN_ARGUMENTS: &str = "ERR Number of keys can't be greater than number of args";
/// A number of keys that is not above 0.
pub const KEYS_NOT_POSITIVE: &str = "ERR numkeys should be greater than 0";
/// MSETEX with a number of keys that is none.
pub const KEYS_INVALID: &str = "ERR invalid numkeys value or out of range";
/// FCALL with a number of keys that is none.
pub const KEYS_BAD: &str = "ERR Bad number of keys provided";
/// A script with fewer than no keys.
pub const KEYS_NEGATIVE: &str = "ERR Number of keys can't be negative";
/// SORT with a BY pattern whose keys may be in other slots.
pub const SORT_BY: &str =
    "ERR BY option of SORT denied in Cluster mode when keys formed by the pattern may be in different slots.";
/// SORT with a GET pattern whose keys may be in other slots.
pub const SORT_GET: &str = "ERR GET option of SORT denied in Cluster mode when keys formed by the pattern may be in different slots.";
/// XREADGROUP with a stream too many or too few.
pub const XREADGROUP_UNBALANCED: &str =
    "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified.";
/// XREAD with a stream too many or too few.
pub const XREAD_UNBALANCED: &str =
    "ERR Unbalanced 'xread' list of streams: for each stream key an ID, '+', or '$' must be specified.";
/// COMMAND GETKEYS of a command that is not known.
pub const INVALID_COMMAND: &str = "ERR Invalid command specified";
/// COMMAND GETKEYS of a command without keys.
pub const NO_KEY_ARGUMENTS: &str = "ERR The command has no key arguments";
/// COMMAND GETKEYS of a command with too few or too many arguments.
pub const INVALID_ARITY: &str = "ERR Invalid number of arguments specified for command";
/// COMMAND GETKEYS of a command whose keys cannot be told.
pub const INVALID_ARGUMENTS: &str = "ERR Invalid arguments specified for command";

/// A command without the key that it needs.
pub fn no_key_given(command: &str) -> String {
    format!("ERR at least 1 input key is needed for '{command}' command")
}

// ---- Replies of several nodes ----

/// The replies of all primaries to one command cannot be understood together.
pub const REPLIES_DIFFER: &str = "ERR the backends' replies do not fit together";
/// A node's cursor has no room for the shard in it.
pub const CURSOR_TOO_LARGE: &str = "ERR the backend's SCAN cursor is too large for this proxy";
/// A node's reply to SCAN is none.
pub const NO_SCAN_REPLY: &str = "ERR the backend's reply to SCAN cannot be understood";

// ---- Settings ----

/// CONFIG SET of what is no setting, or without a value.
pub fn unknown_setting(name: &str) -> String {
    format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'")
}

/// CONFIG SET of a value that the setting cannot take.
pub fn setting_refused(name: &str, reason: &str) -> String {
    format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")
}

// ---- Cluster ----

/// The keys of one command are in different slots.
pub const CROSSSLOT: &str = "CROSSSLOT Keys in request don't hash to the same slot";
/// Nobody owns the slot.
pub const SLOT_NOT_SERVED: &str = "CLUSTERDOWN Hash slot not served";
/// This proxy may not be the owner any more: no coordinator and no replica is in touch with it.
pub const FENCED: &str =
    "CLUSTERDOWN This proxy has lost touch with the control plane and with its replicas, and stops serving";
/// The cluster as a whole cannot serve.
pub const CLUSTERDOWN: &str = "CLUSTERDOWN The cluster is down";
/// The keys of one command are partly moved.
pub const TRYAGAIN: &str = "TRYAGAIN Multiple keys request during rehashing of slot";
/// CLUSTER REPLICAS of a node that is itself a replica.
pub const NOT_A_PRIMARY: &str = "ERR The specified node is not a master";
/// The proxy has no cluster. Clients of Undermoon look at the first word.
pub const CLUSTER_NOT_FOUND: &str =
    "ERR_CLUSTER_NOT_FOUND this proxy serves no cluster; its metadata comes with UMCTL SETCLUSTER";
/// A write without a key at a replica face, or where this proxy has no primary.
pub const READONLY_REPLICA: &str = "READONLY You can't write against a read only replica.";
/// A command without a key at a replica face that has no copies.
pub const NO_COPIES: &str = "CLUSTERDOWN this address has no copies of the cluster's slots now";
/// WAIT at a replica.
pub const WAIT_AT_REPLICA: &str = "ERR WAIT cannot be used with replica instances. Please also note that since Redis \
                                   4.0 if a replica is configured to be writable (which is not the default) writes to \
                                   replicas are just local and are not propagated.";
/// A command was forwarded from proxy to proxy too often.
pub const TOO_MANY_REDIRECTIONS: &str =
    "ERR_TOO_MANY_REDIRECTIONS the command was forwarded more than max_redirections times";
/// A command would need one more connection to another proxy or node, and all permitted connections are in use.
pub const TOO_MANY_WAYS: &str = "TRYAGAIN too many connections to the slot's owner are in use, for other databases, protocols or \
                                 hops; the command was not executed";

/// The owner's proxy was to hold what a client had asked for that has sent its last byte.
pub const HELD_AND_LEFT: &str =
    "ERR the client has left while the command was held; the command was not executed";

// ---- UMCTL ----

/// UMCTL AUTH with another password than `control_password`.
pub const WRONG_CONTROL_PASSWORD: &str = "WRONGPASS this is not the control password of this proxy";
/// Not an error: UMCTL AUTH where no `control_password` is set.
pub const CONTROL_PASSWORD_NOT_SET: &str =
    "OK, but this proxy has no control_password: only this proxy's own host may give it orders";

/// A session that is not an operator's asks for `what`, which is for operators.
pub fn not_an_operator(what: &str, lack: impl Display) -> String {
    format!("NOPERM {what} is for operators: {lack}")
}

/// The epoch of new metadata is not above the current one.
pub const OLD_EPOCH: &str = "OLD_EPOCH the epoch is not higher than the current one";
/// The epoch of new metadata leaves no room for later ones.
pub const EPOCH_TOO_HIGH: &str =
    "EPOCH_TOO_HIGH the epoch leaves no room for later ones; with FORCE it is accepted all the same";
/// Other metadata is being applied.
pub const TRY_AGAIN: &str = "TRY_AGAIN other metadata is being applied";
/// The metadata names local nodes that are not on this proxy's host.
pub const NOT_MY_META: &str = "ERR_NOT_MY_META a local node is not on this proxy's announced host";

// ---- Limits ----

/// One client more than `maxclients`.
pub const MAX_CLIENTS: &str = "ERR max number of clients reached";
/// A request that would have to be gathered in memory is too long for it.
pub const REQUEST_TOO_LARGE: &str = "ERR the request is larger than half of this proxy's memory_max";
/// The replies of several nodes were to be put together, and there is no memory for that.
pub const GATHERED_TOO_LARGE: &str = "ERR the replies of all nodes together are larger than this proxy's memory_max allows; the command was executed";
/// A reply to another proxy's client came before its turn, and there is no memory to keep it.
pub const REPLY_TOO_LARGE: &str = "ERR the reply is too large to wait for earlier ones: the owner's memory_max does not allow it; the command was executed";
/// WAIT or WAITAOF while as many clients wait as may.
pub const TOO_MANY_WAITS: &str = "ERR too many clients of this proxy are waiting for replicas";
/// The proxy is going down and takes no new work.
pub const SHUTTING_DOWN: &str = "ERR the proxy is shutting down";

/// `MOVED <slot> <address>`: another proxy owns the slot.
pub fn moved(out: &mut Vec<u8>, slot: Slot, owner: &Address) {
    redirect(out, b"-MOVED ", slot, owner);
}

/// `ASK <slot> <address>`: this once, the other proxy answers.
pub fn ask(out: &mut Vec<u8>, slot: Slot, target: &Address) {
    redirect(out, b"-ASK ", slot, target);
}

/// Written by hand because a client with an old map gets one for each command.
fn redirect(out: &mut Vec<u8>, code: &[u8], slot: Slot, to: &Address) {
    let mut number = itoa::Buffer::new();
    out.extend_from_slice(code);
    out.extend_from_slice(number.format(slot.index()).as_bytes());
    out.push(b' ');
    let host = to.host();
    // A colon inside the host can only be an IPv6 address; Redis writes it without brackets too.
    out.extend_from_slice(host.as_bytes());
    out.push(b':');
    out.extend_from_slice(number.format(to.port()).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The node could not be reached, so the command was not executed. `CLUSTERDOWN`, because cluster clients
/// answer that code by looking at the cluster again and retrying, which is right here.
pub fn backend_unreachable(out: &mut Vec<u8>, backend: &Address) {
    write(out, &format!("CLUSTERDOWN backend {backend} is not reachable; the command was not executed"));
}

/// The command had been forwarded already, and was not forwarded on, so it was not executed: another proxy has still to
/// close connections that were given up.
pub fn still_closing(out: &mut Vec<u8>, proxy: &Address) {
    write(
        out,
        &format!(
            "CLUSTERDOWN proxy {proxy} is still closing connections that were given up; the command was not executed"
        ),
    );
}

/// The node did not answer in time. `ERR`, because no client may retry blindly.
pub fn backend_timeout(out: &mut Vec<u8>, backend: &Address, timeout_ms: u64) {
    write(
        out,
        &format!(
            "ERR backend {backend} did not answer within {timeout_ms} ms; \
             the command may or may not have been executed"
        ),
    );
}

/// A connection to a node failed while the command was in flight. `ERR`, because no client may retry blindly.
pub fn backend_failed(out: &mut Vec<u8>, backend: &Address, why: &str) {
    write(
        out,
        &format!("ERR backend {backend} failed: {why}; the command may or may not have been executed"),
    );
}

/// `script_keys` is strict, and the node did not let this proxy make a user for a script; `why` is what it said.
pub fn script_user_refused(out: &mut Vec<u8>, why: &str) {
    write(
        out,
        &format!(
            "ERR script_keys is strict, but the node makes no user for the script, which was not executed: {}",
            why.trim_end()
        ),
    );
}

/// A request that breaks the protocol; `reason` is the parser's text. The connection is closed after it.
pub fn protocol(out: &mut Vec<u8>, reason: &str) {
    write(out, &format!("ERR Protocol error: {reason}"));
}

/// Wrong number of arguments; `command` in Redis's full form, for example `client|kill`.
pub fn wrong_arity(out: &mut Vec<u8>, command: &str) {
    write(out, &format!("ERR wrong number of arguments for '{command}' command"));
}

/// A container command with a subcommand that it does not have, or whose number of arguments fits none of
/// its forms. `container` in upper case.
pub fn unknown_subcommand(out: &mut Vec<u8>, container: &str, given: &[u8]) {
    // Redis 7 prints at most this many bytes of the word.
    const SHOWN_BYTES_MAX: usize = 128;
    let shown = &given[..given.len().min(SHOWN_BYTES_MAX)];
    write(
        out,
        &format!(
            "ERR unknown subcommand or wrong number of arguments for '{}'. Try {container} HELP.",
            String::from_utf8_lossy(shown)
        ),
    );
}

/// HELLO with an option that it does not have.
pub fn hello_option(out: &mut Vec<u8>, option: &[u8]) {
    write(out, &format!("ERR Syntax error in HELLO option '{}'", String::from_utf8_lossy(option)));
}

/// CLIENT KILL or LIST with a type that no client has.
pub fn unknown_client_type(out: &mut Vec<u8>, given: &[u8]) {
    write(out, &format!("ERR Unknown client type '{}'", String::from_utf8_lossy(given)));
}

/// CLIENT KILL of a user that does not exist.
pub fn unknown_user(out: &mut Vec<u8>, given: &[u8]) {
    write(out, &format!("ERR No such user '{}'", String::from_utf8_lossy(given)));
}

/// CLIENT SETINFO with an attribute that it does not have.
pub fn unknown_attribute(out: &mut Vec<u8>, given: &[u8]) {
    write(out, &format!("ERR Unrecognized option '{}'", String::from_utf8_lossy(given)));
}

/// CLIENT SETINFO with a value that has a character outside `!`..=`~`; `attribute` as the client wrote it.
pub fn bad_attribute(out: &mut Vec<u8>, attribute: &[u8]) {
    let attribute = String::from_utf8_lossy(attribute);
    write(out, &format!("ERR {attribute} cannot contain spaces, newlines or special characters."));
}

/// CLUSTER subcommands that take a node id which the view does not have.
pub fn unknown_node(out: &mut Vec<u8>, node_id: &[u8]) {
    write(out, &format!("ERR Unknown node {}", String::from_utf8_lossy(node_id)));
}

/// A command that this proxy does not serve: what is refused and what to do about it.
pub fn refused(out: &mut Vec<u8>, command: &str, reason: &str) {
    write(out, &format!("ERR {} is not supported by this proxy: {reason}", command.to_uppercase()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirections() {
        for (slot, address, expected) in [
            (15495, "127.0.0.1:7000", "15495 127.0.0.1:7000\r\n"),
            (0, "redis-1.example:6379", "0 redis-1.example:6379\r\n"),
            (16383, "[::1]:5299", "16383 ::1:5299\r\n"),
        ] {
            let (slot, address) = (Slot::new(slot).unwrap(), address.parse().unwrap());
            let mut out = Vec::new();
            moved(&mut out, slot, &address);
            assert_eq!(String::from_utf8_lossy(&out), format!("-MOVED {expected}"));
            out.clear();
            ask(&mut out, slot, &address);
            assert_eq!(String::from_utf8_lossy(&out), format!("-ASK {expected}"));
        }
    }

    #[test]
    fn what_a_client_wrote_cannot_end_the_reply_early() {
        let mut out = Vec::new();
        hello_option(&mut out, b"a\r\n+OK\r\n");
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
    }
}
