//! Waiting for the replicas that the metadata names.
//!
//! A node counts any server that replicates it: a backup, a copy for analysis. When the node dies, the replica that the
//! metadata names takes over, and has only what it received itself. So that one is asked whether it has come as far as the
//! node was (INFO), after the node has had all of its replicas say how far they are (WAIT).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keeper::{StreamPlace, replica_count};
use link::LinkError;
use model::{Address, Role};
use proxy_core::local::WaitGoal;
use tokio::time::{Instant, timeout};

use super::super::super::acknowledge::{has_reached, stream_place};
use super::super::super::node_client::NodeClient;
use super::super::super::picture::Picture;
use super::lines::Lines;
use super::reached::{self, Reached};

/// How long the node waits at a time where it has several replicas: one that hangs must not hold up the news of another.
const PIECE_OF_SEVERAL: Duration = Duration::from_millis(20);
/// Between two looks, while the node's own count is reached and the named replica lags: doubled from the first to the last.
const PAUSE_FIRST: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(32);
/// A replica is given this much time to answer, also where the wait is over before.
const REPLICA_LIMIT_MIN: Duration = Duration::from_millis(100);

/// The replicas that the metadata names for these primaries; a primary for which it names none is not among them.
pub(super) fn replicas(picture: &Picture, primaries: &[Address]) -> Arc<BTreeMap<Address, Vec<Address>>> {
    let roles = picture.roles.iter().flat_map(|roles| &roles.roles);
    let primaries = roles.filter(|role| {
        role.role == Role::Primary && primaries.contains(&role.node) && !role.peers.is_empty()
    });
    let named = primaries.map(|role| {
        let replicas = role.peers.iter().map(|peer| peer.node.clone()).collect();
        (role.node.clone(), replicas)
    });
    Arc::new(named.collect())
}

/// The named replicas of one primary, and what they are to have.
#[derive(Debug)]
pub(super) struct Named {
    replicas: Vec<Replica>,
    place: StreamPlace,
}

/// One of them.
#[derive(Debug)]
struct Replica {
    address: Address,
    line: Option<NodeClient>,
    has_everything: bool,
}

impl Named {
    /// All that the primary has now.
    ///
    /// # Errors
    /// [`LinkError`], when the primary does not answer as it should.
    pub(super) async fn new(replicas: &[Address], primary: &mut NodeClient) -> Result<Named, LinkError> {
        let replica =
            |address: &Address| Replica { address: address.clone(), line: None, has_everything: false };
        let place = stream_place(primary).await?;
        Ok(Named { replicas: replicas.iter().map(replica).collect(), place })
    }

    /// Has the primary wait until these replicas have reached the goal, at most for this long; what they have reached
    /// then.
    ///
    /// # Errors
    /// [`LinkError`], when the primary does not answer as it should.
    pub(super) async fn wait(
        &mut self,
        primary: &mut NodeClient,
        lines: &Lines,
        goal: WaitGoal,
        time: Duration,
    ) -> Result<Reached, LinkError> {
        let deadline = Instant::now() + time;
        let (mut count, mut pause) = (1, PAUSE_FIRST);
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            let piece = if count > 1 { left.min(PIECE_OF_SEVERAL) } else { left };
            let all = reached::ask(primary, goal_of_all(goal, count), piece).await?;
            let info = primary.call(&[b"INFO", b"replication"]).await?.text()?;
            count = i64::try_from(replica_count(&info)).unwrap_or(i64::MAX).max(1);
            self.ask_replicas(lines, deadline).await;
            let reached = self.reached(goal, all, &info);
            if reached.meets(goal) || Instant::now() >= deadline {
                return Ok(reached);
            }
            tokio::time::sleep_until(deadline.min(Instant::now() + pause)).await;
            pause = PAUSE_MAX.min(pause * 2);
        }
    }

    /// Gives back the lines to the replicas.
    pub(super) fn end(self, lines: &Lines) {
        for Replica { address, line, .. } in self.replicas {
            if let Some(line) = line {
                lines.put(address, line);
            }
        }
    }

    /// Asks those that were not yet seen to have everything. One that cannot be asked has nothing, as far as is known.
    async fn ask_replicas(&mut self, lines: &Lines, deadline: Instant) {
        for replica in self.replicas.iter_mut().filter(|replica| !replica.has_everything) {
            let left = deadline.saturating_duration_since(Instant::now()).max(REPLICA_LIMIT_MIN);
            let asked = timeout(left, replica.ask(lines, &self.place)).await;
            replica.has_everything = matches!(asked, Ok(Ok(true)));
        }
    }

    /// What the named ones have, where all that the primary lists have reached this.
    fn reached(&self, goal: WaitGoal, all: Reached, info: &str) -> Reached {
        let named = self.replicas.iter().filter(|replica| replica.has_everything).count();
        let named = i64::try_from(named).unwrap_or(i64::MAX);
        match goal {
            WaitGoal::Replicas(_) => Reached { local: 0, replicas: named },
            // Nobody says whose append-only file has what: the named ones certainly where each has.
            WaitGoal::Aof { .. } => {
                let is_each = i64::try_from(replica_count(info)).is_ok_and(|count| all.replicas >= count);
                Reached { local: all.local, replicas: if is_each { named } else { 0 } }
            }
        }
    }
}

impl Replica {
    /// Whether it has everything. What goes wrong on a line ends it.
    async fn ask(&mut self, lines: &Lines, place: &StreamPlace) -> Result<bool, LinkError> {
        let mut line = match self.line.take().or_else(|| lines.take(&self.address)) {
            Some(line) => line,
            None => lines.connect(&self.address).await?,
        };
        let outcome = has_reached(&mut line, place).await?;
        self.line = Some(line);
        Ok(outcome)
    }
}

/// What the primary is asked to wait for: all of its replicas, where any is to be waited for.
fn goal_of_all(goal: WaitGoal, count: i64) -> WaitGoal {
    let of = |wanted: i64| if wanted > 0 { count } else { wanted };
    match goal {
        WaitGoal::Replicas(replicas) => WaitGoal::Replicas(of(replicas)),
        WaitGoal::Aof { local, replicas } => WaitGoal::Aof { local, replicas: of(replicas) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(goal: WaitGoal, all: Reached, (listed, has_everything): (usize, bool), expected: Reached) {
        let place = StreamPlace::of_primary("master_replid:a\r\nmaster_repl_offset:500\r\n").unwrap();
        let replica = Replica { address: "10.0.0.2:6380".parse().unwrap(), line: None, has_everything };
        let named = Named { replicas: vec![replica], place };
        let info: String = (0..listed).map(|number| format!("slave{number}:ip=…\r\n")).collect();
        assert_eq!(named.reached(goal, all, &info), expected, "{goal:?} {all:?} {listed} {has_everything}");
    }

    #[test]
    fn only_the_named_one_counts() {
        let of = |local, replicas| Reached { local, replicas };
        let wait = WaitGoal::Replicas(1);
        check(wait, of(0, 1), (1, true), of(0, 1));
        check(wait, of(0, 1), (1, false), of(0, 0));
        check(wait, of(0, 2), (2, false), of(0, 0));
        check(wait, of(0, 2), (2, true), of(0, 1));
        // It has it, and the primary was not told so yet.
        check(wait, of(0, 0), (1, true), of(0, 1));
        let aof = WaitGoal::Aof { local: 1, replicas: 1 };
        check(aof, of(1, 1), (1, true), of(1, 1));
        check(aof, of(1, 1), (2, true), of(1, 0));
        check(aof, of(1, 2), (2, true), of(1, 1));
        check(aof, of(1, 2), (2, false), of(1, 0));
        check(aof, of(0, 0), (1, true), of(0, 0));
    }

    #[test]
    fn all_are_waited_for_where_any_is() {
        assert_eq!(goal_of_all(WaitGoal::Replicas(1), 3), WaitGoal::Replicas(3));
        assert_eq!(goal_of_all(WaitGoal::Replicas(0), 3), WaitGoal::Replicas(0));
        let aof = |local, replicas| WaitGoal::Aof { local, replicas };
        assert_eq!(goal_of_all(aof(1, 0), 3), aof(1, 0));
        assert_eq!(goal_of_all(aof(0, 2), 1), aof(0, 1));
    }
}
