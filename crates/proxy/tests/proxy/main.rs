//! A whole proxy, run in the test's own process in front of real servers, as its clients and its control plane meet it.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod admin;
mod authority;
mod busy;
mod clients;
mod ending;
mod fixture;
mod health;
mod http;
mod info;
mod lane;
mod large_values;
mod learning;
mod metadata;
mod readiness;
mod refused;
mod scan;
mod scripts;
mod slot_keys;
mod wait;
