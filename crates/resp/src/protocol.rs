//! Which version of the protocol a connection speaks. Holds no other session state.

/// The protocol version of a connection, as `HELLO` sets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Version 2, in which every connection begins.
    #[default]
    Resp2,
    /// Version 3, after `HELLO 3`.
    Resp3,
}
