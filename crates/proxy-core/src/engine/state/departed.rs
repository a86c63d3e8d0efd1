//! Sessions that are gone while nodes still owe something to them.

use std::collections::HashSet;

use super::ids::SessionId;
use crate::profile::Profile;

/// They are looked through when there are more than this, and more than twice as many as were kept the last time.
const UNLOOKED_MAX: usize = 64;

/// Who they were. Never more than twice as many as are owed something, and a few.
#[derive(Debug, Default)]
pub(in crate::engine) struct Departed {
    sessions: Vec<(SessionId, Profile)>,
    kept: usize,
}

impl Departed {
    /// This one is gone. `owed` finds all sessions, gone or not, that are owed something.
    pub(in crate::engine) fn add(
        &mut self,
        id: SessionId,
        profile: Profile,
        owed: impl FnOnce() -> HashSet<SessionId>,
    ) {
        if self.sessions.len() >= UNLOOKED_MAX.max(2 * self.kept) {
            let owed = owed();
            self.sessions.retain(|(id, _)| owed.contains(id));
            self.kept = self.sessions.len();
        }
        self.sessions.push((id, profile));
    }

    /// All that may still be owed something.
    pub(in crate::engine) fn iter(&self) -> impl Iterator<Item = &(SessionId, Profile)> {
        self.sessions.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::engine::state::slab::Slab;

    #[test]
    fn who_is_owed_nothing_is_forgotten() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut sessions: Slab<SessionId, ()> = Slab::with_capacity(0);
        let mut departed = Departed::default();
        let owed: HashSet<SessionId> = (0..100).map(|_| sessions.insert(())).collect();
        let others = (0..900).map(|_| sessions.insert(()));
        for id in owed.iter().copied().chain(others) {
            departed.add(id, Profile::new(1, address, address, 0), || owed.clone());
            assert!(departed.iter().count() <= 2 * owed.len() + UNLOOKED_MAX);
        }
        let kept: HashSet<SessionId> = departed.iter().map(|(id, _)| *id).collect();
        assert!(kept.is_superset(&owed));
    }
}
