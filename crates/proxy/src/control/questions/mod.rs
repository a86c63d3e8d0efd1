//! Questions of clients that one worker cannot answer, on a thread of their own: whatever clients ask, and however
//! much of it, the control thread with its leases and views does not notice. Nothing here decides about metadata,
//! roles or leases; what is known of them comes as a picture, and changes of settings are orders to the control thread.

mod clients;
mod counts;
mod desk;
mod idle_clients;
mod info;
mod keyspaces;
mod listing;
mod slot_keys;
mod wait;

pub(super) use self::desk::{Desk, DeskCall, DeskLine, DeskStart, desk_line};
