//! A session as one line of CLIENT LIST: Redis's fields, in Redis's order.

use std::io::Write;

use resp::Protocol;

use crate::profile::Profile;

/// What a session uses and does, known to its worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionUse {
    /// Its descriptor.
    pub fd: i32,
    /// Bytes read and not yet understood.
    pub query_bytes: usize,
    /// Free bytes in the buffer that they are in.
    pub query_free_bytes: usize,
    /// Bytes of replies not yet sent.
    pub output_bytes: usize,
    /// All memory that the session holds.
    pub memory_bytes: usize,
    /// Channels subscribed to.
    pub channels: usize,
    /// Patterns subscribed to.
    pub patterns: usize,
    /// Sharded channels subscribed to.
    pub shard_channels: usize,
    /// Commands queued by MULTI; `None` outside of it.
    pub queued: Option<usize>,
    /// Whether it waits in a blocking command.
    pub blocked: bool,
    /// Whether it is closed once its replies are sent.
    pub closing: bool,
}

/// One session to be listed.
#[derive(Debug, Clone, Copy)]
pub struct ClientLine<'a> {
    /// Who it is.
    pub profile: &'a Profile,
    /// What it uses.
    pub session_use: SessionUse,
    /// The last command, in Redis's full form (`client|list`); `NULL` before the first.
    pub command: &'a str,
    /// Unix time.
    pub now_ms: u64,
}

/// Appends the line with its line end. The fields of Redis 7.0 in its order, then those that 7.2 added.
pub fn client_line(out: &mut Vec<u8>, line: &ClientLine<'_>) {
    let ClientLine { profile, session_use: used, .. } = line;
    let age_s = line.now_ms.saturating_sub(profile.created_ms) / 1000;
    let idle_s = line.now_ms.saturating_sub(profile.last_used_ms) / 1000;
    let multi = used.queued.map_or(-1, |queued| queued as i64);
    let version = if profile.protocol == Protocol::Resp3 { 3 } else { 2 };
    let extras = profile.extras();
    let lib_name = extras.map_or(&[][..], |extras| &extras.lib_name);
    let lib_ver = extras.map_or(&[][..], |extras| &extras.lib_ver);
    let events = if used.output_bytes > 0 { "rw" } else { "r" };
    put(out, format_args!("id={} addr={} laddr={}", profile.id, profile.peer, profile.local));
    put(out, format_args!(" fd={} name=", used.fd));
    out.extend_from_slice(profile.name());
    put(out, format_args!(" age={age_s} idle={idle_s} flags={}", flags(profile, used)));
    put(out, format_args!(" db={} sub={} psub={}", profile.db, used.channels, used.patterns));
    put(out, format_args!(" ssub={} multi={multi}", used.shard_channels));
    put(out, format_args!(" qbuf={} qbuf-free={}", used.query_bytes, used.query_free_bytes));
    put(out, format_args!(" argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl={} oll=0 omem=0", used.output_bytes));
    put(out, format_args!(" tot-mem={} events={events} cmd={} user=", used.memory_bytes, line.command));
    out.extend_from_slice(profile.user());
    put(out, format_args!(" redir=-1 resp={version} lib-name="));
    out.extend_from_slice(lib_name);
    out.extend_from_slice(b" lib-ver=");
    out.extend_from_slice(lib_ver);
    out.push(b'\n');
}

/// Redis's letters, in Redis's order; `N` if there is none.
fn flags(profile: &Profile, used: &SessionUse) -> String {
    let extras = profile.extras();
    let subscribed = used.channels + used.patterns + used.shard_channels > 0;
    let letters = [
        ('P', subscribed),
        ('x', used.queued.is_some()),
        ('b', used.blocked),
        ('c', used.closing),
        ('r', profile.readonly),
        ('e', extras.is_some_and(|extras| extras.no_evict)),
        ('T', extras.is_some_and(|extras| extras.no_touch)),
    ];
    let set: String = letters.iter().filter(|(_, on)| *on).map(|(letter, _)| letter).collect();
    if set.is_empty() { "N".to_owned() } else { set }
}

/// Writing to memory cannot fail.
fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}
