//! Worlds: many at random, and named ones.

mod planted;
mod stories;
mod worlds;
