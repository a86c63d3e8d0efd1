//! Who is at the other end of a connection that this proxy has made.

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum NodeKind {
    /// A Redis server beside this proxy.
    Local,
    /// Another proxy, to which requests are forwarded.
    Proxy,
}
