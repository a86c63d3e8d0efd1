//! What the proxy answers by itself, byte for byte against a real Redis 7.0.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod cluster;
mod describe;
mod dialogue;
mod glob;
mod subject;
