//! Worlds: many at random, and named ones.

mod blind;
mod planted;
mod silence;
mod stories;
mod worlds;
