//! Which slots go where so that they are spread evenly, moving as few as possible.

use model::{SLOT_COUNT, Slot, SlotRange, SlotRanges};

/// Slots that go from one shard to another; both are places in the list that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotMove {
    /// Who gives them.
    pub source: usize,
    /// Who gets them.
    pub target: usize,
    /// The slots.
    pub ranges: SlotRanges,
}

/// All slots in that many unbroken pieces, whose sizes differ by at most one.
#[must_use]
pub fn even_split(pieces: usize) -> Vec<SlotRanges> {
    let bound = |piece: usize| piece * SLOT_COUNT / pieces;
    (0..pieces).map(|piece| between(bound(piece), bound(piece + 1))).collect()
}

fn between(from: usize, until: usize) -> SlotRanges {
    let slot = |index: usize| u16::try_from(index).ok().and_then(Slot::new);
    let range = until.checked_sub(1).and_then(|last| SlotRange::new(slot(from)?, slot(last)?));
    range.into_iter().collect()
}

/// What must move so that the shards that are `kept` have numbers of slots that differ by at most one, and
/// the others have none. No plan with that result moves fewer slots.
#[must_use]
pub fn plan_moves(shards: &[(SlotRanges, bool)]) -> Vec<SlotMove> {
    let wanted = wanted_counts(shards);
    let mut held: Vec<SlotRanges> = shards.iter().map(|(slots, _)| slots.clone()).collect();
    let mut moves = Vec::new();
    let mut target = 0;
    for source in 0..shards.len() {
        let mut surplus = held[source].count().saturating_sub(wanted[source]);
        while surplus > 0 {
            // What is wanted and what is there have the same sum, so that while one has too many, another
            // has too few.
            while held[target].count() >= wanted[target] {
                target += 1;
            }
            let lacking = wanted[target] - held[target].count();
            let given = take_last(&mut held[source], surplus.min(lacking));
            surplus -= given.count();
            held[target] = held[target].union(&given);
            moves.push(SlotMove { source, target, ranges: given });
        }
    }
    moves
}

/// How many slots each shard has in the end. Where the number does not come out even, those that have most
/// now keep one more, so that one slot less has to move.
fn wanted_counts(shards: &[(SlotRanges, bool)]) -> Vec<usize> {
    let total: usize = shards.iter().map(|(slots, _)| slots.count()).sum();
    let mut kept: Vec<usize> = (0..shards.len()).filter(|place| shards[*place].1).collect();
    kept.sort_by_key(|place| std::cmp::Reverse(shards[*place].0.count()));
    let mut wanted = vec![0; shards.len()];
    for (order, place) in kept.iter().enumerate() {
        wanted[*place] = total / kept.len() + usize::from(order < total % kept.len());
    }
    wanted
}

/// Takes the highest slots off.
fn take_last(held: &mut SlotRanges, count: usize) -> SlotRanges {
    let taken: SlotRanges = held.slots().rev().take(count).collect();
    *held = held.difference(&taken);
    taken
}

#[cfg(test)]
mod tests {
    use model::{SLOT_COUNT, SlotRanges};
    use proptest::prelude::*;

    use super::{even_split, plan_moves};

    #[test]
    fn splits() {
        let check = |pieces: usize, expected: &[&str]| {
            let split: Vec<String> = even_split(pieces).iter().map(ToString::to_string).collect();
            assert_eq!(split, expected, "{pieces}");
        };
        check(1, &["0-16383"]);
        check(2, &["0-8191", "8192-16383"]);
        check(3, &["0-5460", "5461-10921", "10922-16383"]);
    }

    #[test]
    fn plans() {
        let check = |shards: &[(&str, bool)], expected: &[(usize, usize, &str)]| {
            let shards: Vec<_> =
                shards.iter().map(|(slots, kept)| (slots.parse::<SlotRanges>().unwrap(), *kept)).collect();
            let moves = plan_moves(&shards);
            let moves: Vec<_> = moves.iter().map(|m| (m.source, m.target, m.ranges.to_string())).collect();
            let expected: Vec<_> = expected.iter().map(|(s, t, r)| (*s, *t, (*r).to_owned())).collect();
            assert_eq!(moves, expected, "{shards:?}");
        };
        check(&[("0-8191", true), ("8192-16383", true)], &[]);
        check(
            &[("0-8191", true), ("8192-16383", true), ("", true), ("", true)],
            &[(0, 2, "4096-8191"), (1, 3, "12288-16383")],
        );
        check(&[("0-8191", true), ("8192-16383", false)], &[(1, 0, "8192-16383")]);
        // 16384 is not a multiple of three: who has most keeps the odd one.
        check(&[("0-16383", true), ("", true), ("", true)], &[(0, 1, "10923-16383"), (0, 2, "5462-10922")]);
    }

    /// A random share-out of all slots among up to ten shards, some of which are to be emptied.
    fn shards() -> impl Strategy<Value = Vec<(SlotRanges, bool)>> {
        let owners = proptest::collection::vec(0usize..10, 32);
        (owners, proptest::collection::vec(any::<bool>(), 10)).prop_map(|(owners, kept)| {
            let pieces = even_split(owners.len());
            let mut shards: Vec<_> = kept.iter().map(|kept| (SlotRanges::new(), *kept)).collect();
            for (owner, piece) in owners.iter().zip(&pieces) {
                shards[*owner].0 = shards[*owner].0.union(piece);
            }
            shards[0].1 = true;
            shards
        })
    }

    proptest! {
        #[test]
        fn even_and_least(shards in shards()) {
            let mut after: Vec<SlotRanges> = shards.iter().map(|(slots, _)| slots.clone()).collect();
            let moves = plan_moves(&shards);
            for step in &moves {
                prop_assert!(step.source != step.target && !step.ranges.is_empty());
                prop_assert!(step.ranges.difference(&after[step.source]).is_empty());
                after[step.source] = after[step.source].difference(&step.ranges);
                after[step.target] = after[step.target].union(&step.ranges);
            }
            let kept: Vec<usize> = (0..shards.len()).filter(|place| shards[*place].1).collect();
            let counts: Vec<usize> = kept.iter().map(|place| after[*place].count()).collect();
            prop_assert_eq!(counts.iter().sum::<usize>(), SLOT_COUNT);
            prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
            // Nothing gives and gets, so that what moves is what lies above the even share.
            let moved: usize = moves.iter().map(|step| step.ranges.count()).sum();
            let (low, rest) = (SLOT_COUNT / kept.len(), SLOT_COUNT % kept.len());
            let count = |place: usize| shards[place].0.count();
            let leaving: usize = (0..shards.len()).filter(|p| !shards[*p].1).map(count).sum();
            let above: usize = kept.iter().map(|place| count(*place).saturating_sub(low)).sum();
            let may_stay = kept.iter().filter(|place| count(**place) > low).count().min(rest);
            prop_assert_eq!(moved, leaving + above - may_stay);
            prop_assert!(moves.len() < shards.len() + kept.len());
        }
    }
}
