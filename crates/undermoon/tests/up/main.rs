//! `undermoon up` on real processes: it serves, it heals whatever is killed, it finds its data again, and it leaves
//! nothing behind however it ends.

mod healing;
mod lasting;
mod running;
mod starting;
