//! Why a call failed, in words.

/// An error with its causes: reqwest's own text leaves out why.
pub(super) fn reason(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
