//! The network between machines: messages that are late, lost, doubled and out of order, and lines that are cut.

use std::collections::BTreeSet;

use crate::clock::TrueUs;
use crate::dice::Dice;

/// A message on one machine takes that long, at most.
const LOCAL_US_MAX: u64 = 100;
/// One between machines takes that long on a good day.
const NEAR_US: u64 = 100;
const NEAR_US_MAX: u64 = 800;

/// A machine, by its place.
pub(crate) type Machine = usize;

/// How messages fare.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Nothing comes through from the first to the second.
    pub cuts: BTreeSet<(Machine, Machine)>,
    /// So many messages in a million are lost.
    pub lost_ppm: u64,
    /// So many arrive twice.
    pub doubled_ppm: u64,
    /// So many are late, and by how much at most.
    pub late_ppm: u64,
    /// How late those are at most.
    pub late_us_max: u64,
}

impl Network {
    /// Whether anything comes through in both directions.
    #[must_use]
    pub fn joins(&self, one: Machine, other: Machine) -> bool {
        one == other || !(self.cuts.contains(&(one, other)) || self.cuts.contains(&(other, one)))
    }

    /// When a message that is sent now arrives: never, once, or twice.
    pub fn arrivals(&self, (from, to): (Machine, Machine), now: TrueUs, dice: &mut Dice) -> Vec<TrueUs> {
        if from == to {
            return vec![now + dice.between(10, LOCAL_US_MAX)];
        }
        if self.cuts.contains(&(from, to)) || dice.happens(self.lost_ppm) {
            return Vec::new();
        }
        let copies = 1 + usize::from(dice.happens(self.doubled_ppm));
        (0..copies).map(|_| now + self.takes_us(dice)).collect()
    }

    fn takes_us(&self, dice: &mut Dice) -> u64 {
        let late = if dice.happens(self.late_ppm) { dice.below(self.late_us_max.max(1)) } else { 0 };
        dice.between(NEAR_US, NEAR_US_MAX) + late
    }
}
