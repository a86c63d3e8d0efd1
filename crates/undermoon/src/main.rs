//! The `undermoon` binary.
fn main() {}
