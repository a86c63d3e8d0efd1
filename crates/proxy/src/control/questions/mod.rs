//! Questions of clients that one worker cannot answer. Nothing here decides about metadata, roles or leases.

pub(super) mod clients;
pub(super) mod counts;
pub(super) mod idle_clients;
pub(super) mod slot_keys;
pub(super) mod wait;
