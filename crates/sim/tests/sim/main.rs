//! Worlds: many at random, and named ones.

mod blind;
mod planted;
mod stories;
mod worlds;
