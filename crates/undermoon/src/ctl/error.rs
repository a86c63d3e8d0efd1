//! How a subcommand of `ctl` fails: what happened, what to do next, and the code to exit with.

use api::ClientError;
use service::exit::Exit;

use super::advice;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CtlError {
    /// A call to the brokers failed.
    #[error(transparent)]
    Call(#[from] ClientError),
    /// The command line asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// What was accepted has not been done in the time that was given to it.
    #[error("{what}")]
    NotYet {
        /// What is not done.
        what: String,
        /// What to do next.
        advice: String,
    },
    /// It was tried and did not succeed.
    #[error("{what}")]
    Failed {
        /// What went wrong.
        what: String,
        /// What to do next.
        advice: String,
    },
    /// The metadata does not have it.
    #[error("{what}")]
    Missing {
        /// What is not there.
        what: String,
        /// The code with which the API says so.
        code: &'static str,
    },
    /// A dry run has shown that the change would be refused. The answer itself has been printed.
    #[error("the change would be refused with {code}")]
    Foreseen {
        /// The code.
        code: String,
        /// What to do next.
        advice: Option<String>,
    },
    /// The reader of standard output has closed it. A person is not told of this.
    #[error("nobody reads the output any more")]
    ReaderGone,
    /// Something of this machine: a file, the terminal.
    #[error(transparent)]
    Local(#[from] std::io::Error),
}

impl CtlError {
    /// A failure with what to do next.
    pub(crate) fn failed(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::Failed { what: what.into(), advice: advice.into() }
    }

    /// The code to exit with.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Call(ClientError::Unreachable { .. }) => Exit::Unavailable,
            Self::Call(ClientError::Unknown { .. }) => Exit::Unknown,
            Self::Call(ClientError::Options(_)) | Self::Usage(_) => Exit::Usage,
            Self::Call(ClientError::Refused { status, .. }) => match status {
                401 | 403 => Exit::Denied,
                503 => Exit::NotYet,
                504 => Exit::Unknown,
                _ => Exit::Failure,
            },
            Self::NotYet { .. } => Exit::NotYet,
            Self::ReaderGone => Exit::Ok,
            Self::Call(ClientError::BadAnswer { .. })
            | Self::Missing { .. }
            | Self::Foreseen { .. }
            | Self::Failed { .. }
            | Self::Local(_) => Exit::Failure,
        }
    }

    /// The code of the API, or a word of the same form for what is not the API's.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Call(ClientError::Refused { body, .. }) => &body.error,
            Self::Call(ClientError::Unreachable { .. }) => "UNREACHABLE",
            Self::Call(ClientError::Unknown { .. }) => "OUTCOME_UNKNOWN",
            Self::Call(ClientError::BadAnswer { .. }) => "BAD_ANSWER",
            Self::Call(ClientError::Options(_)) | Self::Usage(_) => "USAGE",
            Self::Missing { code, .. } => code,
            Self::Foreseen { code, .. } => code,
            Self::NotYet { .. } => "NOT_YET",
            Self::Failed { .. } | Self::Local(_) | Self::ReaderGone => "FAILED",
        }
    }

    /// What to do next, where there is something to say.
    pub(crate) fn advice(&self) -> Option<&str> {
        match self {
            Self::NotYet { advice, .. } | Self::Failed { advice, .. } if advice.is_empty() => None,
            Self::NotYet { advice, .. } | Self::Failed { advice, .. } => Some(advice),
            Self::Foreseen { advice, .. } => advice.as_deref(),
            _ => advice::of(self.code()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ClientError, CtlError};
    use api::ErrorBody;

    #[test]
    fn codes_and_advice() {
        fn check(error: &CtlError, exit: u8, code: &str, advice: &str) {
            assert_eq!((error.exit().code(), error.code()), (exit, code), "{error}");
            let given = error.advice().unwrap_or("");
            assert!(given.contains(advice) && given.is_empty() == advice.is_empty(), "{error}: {given}");
        }
        let refused = |status, code: &str| {
            let body = ErrorBody { error: code.to_owned(), message: None, field: None };
            CtlError::Call(ClientError::Refused { status, body })
        };
        check(&refused(404, "CLUSTER_NOT_FOUND"), 1, "CLUSTER_NOT_FOUND", "cluster list");
        check(&refused(401, "UNAUTHORIZED"), 77, "UNAUTHORIZED", "UNDERMOON_TOKEN");
        check(&refused(503, "BUSY"), 75, "BUSY", "again");
        check(&refused(504, "EXTERNAL_TIMEOUT"), 74, "EXTERNAL_TIMEOUT", "before");
        check(&refused(400, "SOMETHING_NEW"), 1, "SOMETHING_NEW", "");
        let unreachable = CtlError::Call(ClientError::Unreachable { tried: Vec::new() });
        check(&unreachable, 69, "UNREACHABLE", "--broker");
        check(&CtlError::failed("it broke", ""), 1, "FAILED", "");
    }
}
