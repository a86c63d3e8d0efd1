//! Which nodes a session's requests have gone to: WAIT has to speak of those, and of no others.
//!
//! A bit for each node, because it is noted with every request. Which node a bit stands for the nodes themselves say.

/// A set of nodes. More of them than there are bits share the last one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reached(u16);

impl Reached {
    /// Another proxy.
    pub(crate) const OTHER_PROXY: Reached = Reached(1);
    /// A node beside this proxy that has lost slots since.
    pub(crate) const LOST: Reached = Reached(2);
    const NODE_FIRST: u32 = 2;
    const NODE_LAST: u32 = u16::BITS - 1;

    /// One node beside this proxy, which is none of these as long as there are bits.
    pub(crate) fn unlike(others: impl Iterator<Item = Reached>) -> Reached {
        let taken = others.fold(0, |taken, other| taken | other.0);
        let is_free = |place: &u32| taken & 1 << place == 0;
        let place = (Self::NODE_FIRST..Self::NODE_LAST).find(is_free).unwrap_or(Self::NODE_LAST);
        Reached(1 << place)
    }

    /// All of these, too.
    #[inline]
    pub(crate) fn add(&mut self, other: Reached) {
        self.0 |= other.0;
    }

    /// Whether any of these is among them.
    pub(crate) fn has_any(self, other: Reached) -> bool {
        self.0 & other.0 != 0
    }

    /// These have lost slots: what went there before is out of reach. What goes there from now on is not.
    pub(crate) fn lose(&mut self, lost: Reached) {
        if self.has_any(lost) {
            self.0 = self.0 & !lost.0 | Self::LOST.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_has_its_bit_until_there_are_too_many() {
        let mut nodes: Vec<Reached> = Vec::new();
        for count in 0..40 {
            let next = Reached::unlike(nodes.iter().copied());
            assert!(!next.has_any(Reached::LOST) && !next.has_any(Reached::OTHER_PROXY));
            let is_like_another = nodes.iter().any(|other| other.has_any(next));
            assert_eq!(is_like_another, count >= 14, "{count}");
            nodes.push(next);
        }
    }

    #[test]
    fn only_who_has_been_there_loses() {
        let one = Reached::unlike(std::iter::empty());
        let other = Reached::unlike([one].into_iter());
        let mut session = Reached::default();
        session.add(one);
        session.lose(other);
        assert_eq!(session, one);
        session.lose(one);
        assert_eq!(session, Reached::LOST);
        session.add(one);
        assert!(session.has_any(one) && session.has_any(Reached::LOST));
    }
}
