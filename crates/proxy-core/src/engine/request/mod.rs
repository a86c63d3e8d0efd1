//! What becomes of a request: taken from the client's bytes, decided on, sent on or answered.

mod answers;
mod dispatch;
mod fan_out;
pub(in crate::engine) mod held;
mod placement;
mod redirect;
mod replica_face;
mod script;
mod take;
mod upload;
