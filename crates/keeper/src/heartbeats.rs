//! Asking each primary, again and again, whether the replica that the metadata names is in touch.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Address, Moment};

use crate::port::{Action, Purpose, Ticket};
use crate::turn::Turn;

/// Between two questions.
const INTERVAL: Duration = Duration::from_millis(100);

/// Whom each is asked for: a primary and its replica.
pub(crate) type Pair = (Address, Address);

/// What becomes of the questions.
#[derive(Debug)]
enum Asking {
    Due(Moment),
    UnderWay { ask: Ticket, asked: Moment },
}

/// A replica has everything that its primary had at that time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    pub(crate) primary: Address,
    pub(crate) asked: Moment,
}

/// The primaries that are asked.
#[derive(Debug, Default)]
pub(crate) struct Heartbeats(BTreeMap<Pair, Asking>);

impl Heartbeats {
    /// Asks for these and no others.
    pub(crate) fn follow(&mut self, pairs: &[Pair], turn: &mut Turn) {
        let ended = self.0.extract_if(.., |pair, _| !pairs.contains(pair));
        turn.actions.extend(ended.map(|((primary, replica), _)| Action::EndHeartbeat { primary, replica }));
        for pair in pairs {
            self.0.entry(pair.clone()).or_insert(Asking::Due(turn.now));
        }
    }

    /// A question has ended; what that proves, if anything.
    pub(crate) fn asked(&mut self, ask: Ticket, has_acknowledged: bool, now: Moment) -> Option<Acknowledged> {
        for ((primary, _), asking) in &mut self.0 {
            if let Asking::UnderWay { ask: under_way, asked } = *asking
                && under_way == ask
            {
                *asking = Asking::Due(asked.plus(INTERVAL).max(now));
                return has_acknowledged.then(|| Acknowledged { primary: primary.clone(), asked });
            }
        }
        None
    }

    /// Asks whom it is time to ask. The time that counts is that of this call: the primary is asked later.
    pub(crate) fn ask_due(&mut self, turn: &mut Turn) {
        for ((primary, replica), asking) in &mut self.0 {
            if matches!(asking, Asking::Due(at) if *at <= turn.now) {
                let ask = turn.tickets.next();
                *asking = Asking::UnderWay { ask, asked: turn.now };
                let (primary, replica) = (primary.clone(), replica.clone());
                turn.actions.push(Action::AskReplica { ask, primary, replica, purpose: Purpose::Heartbeat });
            }
        }
    }

    /// When the next is due.
    pub(crate) fn wakes_at(&self) -> Option<Moment> {
        let due = |asking: &Asking| match asking {
            Asking::Due(at) => Some(*at),
            Asking::UnderWay { .. } => None,
        };
        self.0.values().filter_map(due).min()
    }
}
