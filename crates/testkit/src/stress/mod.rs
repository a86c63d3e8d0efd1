//! The oracle under stress: sessions that pipeline, read slowly and share a few lists, while nodes are stopped, killed
//! and kept busy and slots move between two proxies that forward to each other. Their replies and the final data must
//! be those of one order in which plain Redis gives the same.
//!
//! Every key is a list to which each push adds an item of its own, so the final lists say in which order the pushes of a
//! key happened, and the length that a reply tells says where it belongs. No order has to be guessed: [`order`] puts
//! together what is known and looks for a contradiction, [`replay`] has plain Redis confirm the replies.

pub mod disturbance;
pub mod order;
pub mod record;
pub mod replay;
pub mod run;
pub mod script;
pub mod sessions;
pub mod stage;
#[cfg(test)]
mod tests;
