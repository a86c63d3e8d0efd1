//! Whether this proxy can serve what it owns.

use std::fmt;
use std::time::Duration;

use model::Address;

/// A node that has not answered for this long does not answer. It is asked ten times a second.
const ANSWER_MAX: Duration = Duration::from_millis(600);

/// What a look at a node showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// It answered that long ago, and has its data.
    Answered(Duration),
    /// It does not answer for now, and its process works: requests wait for it, and nobody takes over.
    Busy,
    /// It does not answer, has never been asked, or is loading its data.
    Silent,
    /// It may not be used: its lease is over, and no replica is attached.
    Fenced,
}

/// Whether clients are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// There is no cluster.
    NoCluster,
    /// These nodes own slots that are not served.
    Unserved {
        /// They do not answer.
        silent: Vec<Address>,
        /// They may not be used.
        fenced: Vec<Address>,
    },
    /// Every slot that this proxy owns has a node that answers, or is busy.
    Ready,
}

impl Readiness {
    /// From whether every worker serves a view, and a look at each node that owns slots in it.
    #[must_use]
    pub(crate) fn of<'a>(serves: bool, owners: impl IntoIterator<Item = (&'a Address, Look)>) -> Readiness {
        if !serves {
            return Readiness::NoCluster;
        }
        let (mut silent, mut fenced) = (Vec::new(), Vec::new());
        for (owner, look) in owners {
            match look {
                Look::Answered(ago) if ago <= ANSWER_MAX => {}
                Look::Busy => {}
                Look::Answered(_) | Look::Silent => silent.push(owner.clone()),
                Look::Fenced => fenced.push(owner.clone()),
            }
        }
        if silent.is_empty() && fenced.is_empty() {
            Readiness::Ready
        } else {
            Readiness::Unserved { silent, fenced }
        }
    }

    /// Whether it is [`Readiness::Ready`].
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self == Readiness::Ready
    }

    /// The nodes whose slots are not served.
    #[must_use]
    pub fn unserved(&self) -> Vec<Address> {
        match self {
            Readiness::Unserved { silent, fenced } => silent.iter().chain(fenced).cloned().collect(),
            Readiness::NoCluster | Readiness::Ready => Vec::new(),
        }
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Readiness::NoCluster => formatter.write_str("no cluster: waiting for UMCTL SETCLUSTER"),
            Readiness::Unserved { silent, fenced } => {
                let list =
                    |nodes: &[Address]| nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let silent = (!silent.is_empty()).then(|| format!("no answer from {}", list(silent)));
                let fenced = (!fenced.is_empty())
                    .then(|| format!("no lease and no attached replica for {}", list(fenced)));
                let reasons: Vec<String> = silent.into_iter().chain(fenced).collect();
                formatter.write_str(&reasons.join("; "))
            }
            Readiness::Ready => formatter.write_str("ready"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_owner_must_answer() {
        let nodes: [Address; 2] = ["a:1", "b:1"].map(|text| text.parse().unwrap());
        let answered = |ms| Look::Answered(Duration::from_millis(ms));
        for (serves, looks, expected) in [
            (false, vec![], "no cluster: waiting for UMCTL SETCLUSTER"),
            (false, vec![answered(0)], "no cluster: waiting for UMCTL SETCLUSTER"),
            (true, vec![], "ready"),
            (true, vec![answered(0), answered(600)], "ready"),
            (true, vec![Look::Busy, answered(0)], "ready"),
            (true, vec![answered(0), answered(601)], "no answer from b:1"),
            (true, vec![Look::Silent, answered(0)], "no answer from a:1"),
            (true, vec![Look::Silent, answered(5000)], "no answer from a:1, b:1"),
            (true, vec![Look::Fenced, answered(5)], "no lease and no attached replica for a:1"),
            (
                true,
                vec![Look::Silent, Look::Fenced],
                "no answer from a:1; no lease and no attached replica for b:1",
            ),
        ] {
            let readiness = Readiness::of(serves, nodes.iter().zip(looks.iter().copied()));
            assert_eq!(readiness.to_string(), expected, "{serves} {looks:?}");
            assert_eq!(readiness.is_ready(), expected == "ready");
        }
    }
}
