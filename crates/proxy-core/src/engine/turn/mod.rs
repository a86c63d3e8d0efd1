//! What happens once in each turn of the event loop, and with the passing of time.

mod cycle;
mod fences;
