//! Asking each primary, again and again, whether the replica that the metadata names is in touch.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Address, Moment};

use crate::attachments::soon_until;
use crate::port::{Action, Purpose, Ticket};
use crate::turn::Turn;

/// Between two questions.
const INTERVAL: Duration = Duration::from_millis(100);
/// The same while an attached replica counts for a short time only, and nothing else may count soon.
const INTERVAL_SOON: Duration = Duration::from_millis(20);
/// A lease that lasts no longer than this may not be renewed.
const LEASE_ENDS: Duration = Duration::from_millis(200);

/// How long after a question the next is asked, by a lease that lasts until `lease_until`.
pub(crate) fn pace(lease_until: Option<Moment>, now: Moment) -> Duration {
    // A little longer than answers count for a short time: the first that counts for longer must come before the last of
    // these is over.
    let is_soon = |until: &Moment| until.since(now) <= LEASE_ENDS && now < soon_until(*until).plus(INTERVAL);
    if lease_until.as_ref().is_some_and(is_soon) { INTERVAL_SOON } else { INTERVAL }
}

/// Whom each is asked for: a primary and its replica.
pub(crate) type Pair = (Address, Address);

/// What becomes of the questions.
#[derive(Debug)]
enum Asking {
    Due(Moment),
    UnderWay { ask: Ticket, asked: Moment },
}

/// A replica has everything that its primary had right before, and had not let go at that time.
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

    /// A question has ended, and the next follows `pace` after it was asked; what that proves, if anything. `acknowledged` is
    /// how long after the question the replica was asked that has acknowledged.
    pub(crate) fn asked(
        &mut self,
        ask: Ticket,
        acknowledged: Option<Duration>,
        pace: Duration,
        now: Moment,
    ) -> Option<Acknowledged> {
        for ((primary, _), asking) in &mut self.0 {
            if let Asking::UnderWay { ask: under_way, asked } = *asking
                && under_way == ask
            {
                *asking = Asking::Due(asked.plus(pace).max(now));
                let replica_asked = |after| asked.plus(after).min(now);
                return acknowledged
                    .map(|after| Acknowledged { primary: primary.clone(), asked: replica_asked(after) });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_follow_each_other_faster_when_the_lease_may_end() {
        let at = |ms: u64| Moment(Duration::from_millis(1_000_000 + ms));
        for (lease_until, now, expected) in [
            (None, 0, INTERVAL),
            (Some(400), 100, INTERVAL),
            (Some(400), 199, INTERVAL),
            (Some(400), 200, INTERVAL_SOON),
            (Some(400), 1_499, INTERVAL_SOON),
            (Some(400), 1_500, INTERVAL),
        ] {
            assert_eq!(pace(lease_until.map(at), at(now)), expected, "{lease_until:?} {now}");
        }
    }
}
