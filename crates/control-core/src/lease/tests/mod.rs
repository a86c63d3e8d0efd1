//! Leases under virtual time: probing and reading in every phase to each other, and a fence at any moment.

mod rhythm;
mod rules;
