//! What a node is asked to wait for, and what it answers.

use std::time::Duration;

use link::LinkError;
use proxy_core::local::WaitGoal;
use resp::{Value, encode};

use super::super::super::node_client::NodeClient;

/// Who has the writes of a node; of several nodes, the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reached {
    /// Its own append-only file: 0 or 1; of no meaning for WAIT.
    pub(super) local: i64,
    /// This many replicas.
    pub(super) replicas: i64,
}

impl Reached {
    /// More than any node can say.
    pub(super) const ALL: Reached = Reached { local: i64::MAX, replicas: i64::MAX };

    /// As much as is certain without asking.
    pub(super) const NOTHING: Reached = Reached { local: 0, replicas: 0 };

    /// From the reply to WAIT, a number, or WAITAOF, two.
    ///
    /// # Errors
    /// When it is something else.
    pub(super) fn read(goal: WaitGoal, reply: &Value<'_>) -> Result<Reached, LinkError> {
        match (goal, reply) {
            (WaitGoal::Replicas(_), Value::Integer(replicas)) => {
                Ok(Reached { local: 0, replicas: *replicas })
            }
            (WaitGoal::Aof { .. }, Value::Array(numbers)) => match numbers[..] {
                [Value::Integer(local), Value::Integer(replicas)] => Ok(Reached { local, replicas }),
                _ => Err(LinkError::Unexpected("two numbers")),
            },
            _ => Err(LinkError::Unexpected("a number")),
        }
    }

    /// Number by number.
    pub(super) fn min(self, other: Reached) -> Reached {
        Reached { local: self.local.min(other.local), replicas: self.replicas.min(other.replicas) }
    }

    /// Whether there is nothing more to wait for.
    pub(super) fn meets(self, goal: WaitGoal) -> bool {
        match goal {
            WaitGoal::Replicas(replicas) => self.replicas >= replicas,
            WaitGoal::Aof { local, replicas } => self.local >= local && self.replicas >= replicas,
        }
    }

    /// The client's reply.
    pub(super) fn write(self, goal: WaitGoal, out: &mut Vec<u8>) {
        if let WaitGoal::Aof { .. } = goal {
            encode::array(out, 2);
            encode::integer(out, self.local);
        }
        encode::integer(out, self.replicas);
    }
}

/// Has a node wait for this long.
///
/// # Errors
/// [`LinkError`], when the node does not answer as it should.
pub(super) async fn ask(
    client: &mut NodeClient,
    goal: WaitGoal,
    time: Duration,
) -> Result<Reached, LinkError> {
    let words = request(goal, time);
    let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
    Reached::read(goal, &client.call_waiting(&words, time).await?.value()?)
}

/// The words for that.
fn request(goal: WaitGoal, time: Duration) -> Vec<String> {
    let time = time.as_millis().to_string();
    match goal {
        WaitGoal::Replicas(replicas) => vec!["WAIT".to_owned(), replicas.to_string(), time],
        WaitGoal::Aof { local, replicas } => {
            vec!["WAITAOF".to_owned(), local.to_string(), replicas.to_string(), time]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The replies of two nodes, whether they meet the goal together, and what the client is told.
    #[test]
    fn the_least_of_the_nodes_counts() {
        let check = |goal, replies: [&str; 2], meets, expected: &str| {
            let read = |reply: &str| {
                let (value, _) = resp::parse_value(reply.as_bytes()).unwrap().unwrap();
                Reached::read(goal, &value).unwrap()
            };
            let reached = replies.map(read).into_iter().fold(Reached::ALL, Reached::min);
            assert_eq!(reached.meets(goal), meets, "{goal:?} {replies:?}");
            let mut reply = Vec::new();
            reached.write(goal, &mut reply);
            assert_eq!(String::from_utf8_lossy(&reply), expected, "{goal:?} {replies:?}");
        };
        check(WaitGoal::Replicas(2), [":2\r\n", ":3\r\n"], true, ":2\r\n");
        check(WaitGoal::Replicas(2), [":5\r\n", ":1\r\n"], false, ":1\r\n");
        check(WaitGoal::Replicas(-1), [":0\r\n", ":0\r\n"], true, ":0\r\n");
        let both = WaitGoal::Aof { local: 1, replicas: 1 };
        check(both, ["*2\r\n:1\r\n:1\r\n", "*2\r\n:1\r\n:2\r\n"], true, "*2\r\n:1\r\n:1\r\n");
        check(both, ["*2\r\n:1\r\n:0\r\n", "*2\r\n:0\r\n:2\r\n"], false, "*2\r\n:0\r\n:0\r\n");
        check(both, ["*2\r\n:0\r\n:1\r\n", "*2\r\n:1\r\n:1\r\n"], false, "*2\r\n:0\r\n:1\r\n");
    }

    #[test]
    fn what_was_not_asked_for_is_no_answer() {
        for (goal, reply) in [
            (WaitGoal::Replicas(1), Value::Array(vec![Value::Integer(1), Value::Integer(1)])),
            (WaitGoal::Aof { local: 0, replicas: 1 }, Value::Integer(1)),
            (WaitGoal::Aof { local: 0, replicas: 1 }, Value::Array(vec![Value::Integer(1)])),
        ] {
            assert!(
                matches!(Reached::read(goal, &reply), Err(LinkError::Unexpected(_))),
                "{goal:?} {reply:?}"
            );
        }
    }
}
