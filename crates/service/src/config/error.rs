//! Why a configuration was refused.

use std::fmt;
use std::path::PathBuf;

/// Everything that is wrong with a configuration, so that one run shows all of it. The fault is the operator's;
/// trying again without a change is pointless.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// At least one problem, in the order of the sources.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [only] => write!(formatter, "bad configuration: {only}"),
            several => {
                write!(formatter, "bad configuration, {} problems:", several.len())?;
                several.iter().try_for_each(|problem| write!(formatter, "\n  {problem}"))
            }
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file cannot be read.
    #[error("{}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        reason: String,
    },
    /// The file is not TOML. The offending line is not shown, because it may hold a password.
    #[error("{}: line {line}: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the TOML parser says.
        reason: String,
    },
    /// The file has a key that no setting has.
    #[error("{}: unknown setting `{key}`{}", path.display(), suggestion(*nearest, accepted))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key as written.
        key: String,
        /// A setting that it may be a misspelling of.
        nearest: Option<&'static str>,
        /// Every setting there is.
        accepted: Vec<&'static str>,
    },
    /// A setting has a value that it cannot have.
    #[error("{origin}: `{key}` = {value} is {reason}; accepted: {accepted}")]
    BadValue {
        /// The file's path, or the environment variable.
        origin: String,
        /// The setting.
        key: &'static str,
        /// The value as written, or a mask for a secret.
        value: String,
        /// Why it is refused.
        reason: String,
        /// What would be accepted.
        accepted: String,
    },
    /// Two settings contradict each other.
    #[error("`{key}`: {reason}")]
    Contradiction {
        /// The setting to change.
        key: &'static str,
        /// Why.
        reason: String,
    },
}

fn suggestion(nearest: Option<&str>, accepted: &[&str]) -> String {
    match nearest {
        Some(nearest) => format!(", did you mean `{nearest}`?"),
        None => format!("; the settings are: {}", accepted.join(", ")),
    }
}
