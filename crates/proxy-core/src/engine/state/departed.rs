//! Sessions that are gone while nodes still owe something to them.

use std::collections::HashSet;

use super::ids::SessionId;
use crate::profile::Profile;

/// They are looked through when there are more than this, and more than twice as many as were kept the last time.
const UNLOOKED_MAX: usize = 64;

/// What CLIENT KILL has done.
#[derive(Debug)]
pub struct Killed {
    /// Sessions that were closed, or are as soon as they have their replies.
    pub closed: usize,
    /// What may still be carried out of those that were meant.
    pub strays: Strays,
}

/// Sessions that are gone, of which nodes may still carry out requests.
#[derive(Debug)]
pub struct Strays(HashSet<SessionId>);

impl Strays {
    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(in crate::engine) fn has(&self, session: SessionId) -> bool {
        self.0.contains(&session)
    }
}

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

    /// Those picked that may still be owed something.
    pub(in crate::engine) fn strays(&self, mut picks: impl FnMut(&Profile) -> bool) -> Strays {
        let picked = self.sessions.iter().filter(|(_, profile)| picks(profile));
        Strays(picked.map(|(id, _)| *id).collect())
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
            assert!(departed.strays(|_| true).0.len() <= 2 * owed.len() + UNLOOKED_MAX);
        }
        assert!(departed.strays(|_| true).0.is_superset(&owed));
    }
}
