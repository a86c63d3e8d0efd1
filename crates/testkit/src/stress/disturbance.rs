//! What is done to nodes, slots and proxies while the sessions run.

use std::time::Duration;

use anyhow::Result;
use rand::RngExt;
use rand::rngs::StdRng;

use super::stage::{PARTS, PROXIES, Stage};

/// How many there are in one round.
const COUNT: std::ops::RangeInclusive<usize> = 2..=5;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// SIGSTOP of a node, and SIGCONT after this time: shorter or longer than the time limit for a reply.
    Stop(usize, Duration),
    /// SIGKILL of a node, which is started again with its data after this time.
    Kill(usize, Duration),
    /// A node works at something else for this long.
    Busy(usize, Duration),
    /// A part of the slots goes to the other proxy, of which either the new owner is told first or the old.
    Move {
        /// Which part.
        part: usize,
        /// Whether the new owner is told first.
        new_first: bool,
    },
    /// A client has a proxy pause the writes of all for this long.
    PauseWrites(usize, Duration),
}

/// One deed, and the rest before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disturbance {
    /// The rest.
    pub after: Duration,
    /// The deed.
    pub deed: Deed,
}

/// Some disturbances of a round.
pub(super) fn disturbances(random: &mut StdRng) -> Vec<Disturbance> {
    (0..random.random_range(COUNT)).map(|_| disturbance(random)).collect()
}

fn disturbance(random: &mut StdRng) -> Disturbance {
    let node = random.random_range(0..PARTS);
    let ms = |random: &mut StdRng, range| Duration::from_millis(random.random_range(range));
    let after = ms(random, 0..200);
    let deed = match random.random_range(0..10) {
        0 => Deed::Stop(node, ms(random, 20..300)),
        1 => Deed::Stop(node, ms(random, 600..900)),
        2 | 3 => Deed::Kill(node, ms(random, 0..200)),
        4 => Deed::Busy(node, ms(random, 20..400)),
        5 => Deed::PauseWrites(random.random_range(0..PROXIES), ms(random, 50..400)),
        _ => Deed::Move { part: node, new_first: random.random_bool(0.5) },
    };
    Disturbance { after, deed }
}

/// Does it, to its end.
///
/// # Errors
/// When a server does not start again or a proxy refuses a view.
pub fn disturb(stage: &mut Stage, disturbance: Disturbance) -> Result<()> {
    std::thread::sleep(disturbance.after);
    match disturbance.deed {
        Deed::Stop(node, time) => {
            stage.nodes[node].process().freeze()?;
            std::thread::sleep(time);
            stage.nodes[node].process().thaw()
        }
        Deed::Kill(node, time) => {
            stage.nodes[node].process().kill();
            std::thread::sleep(time);
            stage.nodes[node].restart()
        }
        Deed::Busy(node, time) => {
            let mut direct = stage.nodes[node].connect()?;
            direct.say(&format!("DEBUG SLEEP {}", time.as_secs_f64()))?.expect_ok()
        }
        Deed::Move { part, new_first } => stage.move_part(part, new_first),
        Deed::PauseWrites(proxy, time) => {
            let mut client = stage.proxies[proxy].connect()?;
            client.say(&format!("CLIENT PAUSE {} WRITE", time.as_millis()))?.expect_ok()
        }
    }
}
