//! Waiting for the replicas that the metadata names.
//!
//! A node counts any server that replicates it: a backup, a copy for analysis. When the node dies, the replica that the
//! metadata names takes over, and has only what it received itself. So the node is asked which of its replicas have
//! acknowledged what (INFO), after it has had all of them say so (WAIT).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keeper::{NamedReplica, has_acknowledged, primary_offset, replica_count};
use model::{Address, Role};
use proxy_core::local::WaitGoal;
use tokio::time::Instant;

use super::super::super::acknowledge::resolve;
use super::super::super::node_client::{NodeClient, NodeError};
use super::super::super::picture::Picture;
use super::reached::{self, Reached};

/// How long the node waits at a time where it has several replicas: one that hangs must not hold up the news of another.
const PIECE_OF_SEVERAL: Duration = Duration::from_millis(20);
/// Between two looks, while the node's own count is reached and the named replica lags: doubled from the first to the last.
const PAUSE_FIRST: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(32);

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
    replicas: Vec<NamedReplica>,
    offset: u64,
}

impl Named {
    /// All that the primary has now.
    ///
    /// # Errors
    /// [`NodeError`], when the primary does not answer as it should.
    pub(super) async fn new(replicas: &[Address], primary: &mut NodeClient) -> Result<Named, NodeError> {
        let info = primary.call(&[b"INFO", b"replication"]).await?.text()?;
        let offset = primary_offset(&info).ok_or(NodeError::Unexpected)?;
        let mut resolved = Vec::with_capacity(replicas.len());
        for replica in replicas {
            // One whose name stands for nothing is not found among the primary's replicas.
            let unknown = |_| NamedReplica { address: replica.clone(), ips: Vec::new() };
            resolved.push(resolve(replica).await.unwrap_or_else(unknown));
        }
        Ok(Named { replicas: resolved, offset })
    }

    /// Has the primary wait until these replicas have reached the goal, at most for this long; what they have reached
    /// then.
    ///
    /// # Errors
    /// [`NodeError`], when the primary does not answer as it should.
    pub(super) async fn wait(
        &self,
        primary: &mut NodeClient,
        goal: WaitGoal,
        time: Duration,
    ) -> Result<Reached, NodeError> {
        let deadline = Instant::now() + time;
        let (mut count, mut pause) = (1, PAUSE_FIRST);
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            let piece = if count > 1 { left.min(PIECE_OF_SEVERAL) } else { left };
            let all = reached::ask(primary, goal_of_all(goal, count), piece).await?;
            let info = primary.call(&[b"INFO", b"replication"]).await?.text()?;
            count = i64::try_from(replica_count(&info)).unwrap_or(i64::MAX).max(1);
            let reached = self.reached(goal, all, &info);
            if reached.meets(goal) || Instant::now() >= deadline {
                return Ok(reached);
            }
            tokio::time::sleep_until(deadline.min(Instant::now() + pause)).await;
            pause = PAUSE_MAX.min(pause * 2);
        }
    }

    /// What the named ones have, where all that the primary lists have reached this.
    fn reached(&self, goal: WaitGoal, all: Reached, info: &str) -> Reached {
        let named =
            self.replicas.iter().filter(|replica| has_acknowledged(info, replica, self.offset)).count();
        let named = i64::try_from(named).unwrap_or(i64::MAX);
        match goal {
            WaitGoal::Replicas(_) => Reached { local: 0, replicas: named },
            // INFO does not say whose append-only file has what: the named ones certainly where each has.
            WaitGoal::Aof { .. } => {
                let is_each = i64::try_from(replica_count(info)).is_ok_and(|count| all.replicas >= count);
                Reached { local: all.local, replicas: if is_each { named } else { 0 } }
            }
        }
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

    fn check(goal: WaitGoal, all: Reached, lines: &[&str], expected: Reached) {
        let replica = NamedReplica {
            address: "10.0.0.2:6380".parse().unwrap(),
            ips: vec!["10.0.0.2".parse().unwrap()],
        };
        let named = Named { replicas: vec![replica], offset: 500 };
        let line = |(number, line): (usize, &&str)| format!("slave{number}:{line}\r\n");
        let info: String = lines.iter().enumerate().map(line).collect();
        assert_eq!(named.reached(goal, all, &info), expected, "{goal:?} {all:?} {lines:?}");
    }

    #[test]
    fn only_the_named_one_counts() {
        let (own, behind) = (
            "ip=10.0.0.2,port=6380,state=online,offset=500,lag=0",
            "ip=10.0.0.2,port=6380,state=online,offset=499,lag=0",
        );
        let other = "ip=10.0.0.9,port=6379,state=online,offset=900,lag=0";
        let of = |local, replicas| Reached { local, replicas };
        let wait = WaitGoal::Replicas(1);
        check(wait, of(0, 1), &[own], of(0, 1));
        check(wait, of(0, 1), &[other], of(0, 0));
        check(wait, of(0, 1), &[other, behind], of(0, 0));
        check(wait, of(0, 2), &[other, own], of(0, 1));
        let aof = WaitGoal::Aof { local: 1, replicas: 1 };
        check(aof, of(1, 1), &[own], of(1, 1));
        check(aof, of(1, 1), &[other, own], of(1, 0));
        check(aof, of(1, 2), &[other, own], of(1, 1));
        check(aof, of(0, 0), &[own], of(0, 0));
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
