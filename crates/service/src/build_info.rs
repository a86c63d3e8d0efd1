//! Which build this is.

use std::fmt;

/// The version, the commit and the way this binary was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildInfo {
    /// The workspace's version, as in `Cargo.toml`.
    pub version: &'static str,
    /// The first 12 digits of the git commit, or "unknown" where the build could not tell.
    pub commit: &'static str,
    /// "release" or "debug": a debug build must not be mistaken for one that can be measured.
    pub profile: &'static str,
}

/// The build that is running.
pub const BUILD: BuildInfo = BuildInfo {
    version: env!("CARGO_PKG_VERSION"),
    commit: env!("UNDERMOON_BUILD_COMMIT"),
    profile: if cfg!(debug_assertions) { "debug" } else { "release" },
};

/// "0.1.0 (1a2b3c4d5e6f, release)" as a constant, for places that need a `'static` text.
pub const BUILD_TEXT: &str = if cfg!(debug_assertions) {
    concat!(env!("CARGO_PKG_VERSION"), " (", env!("UNDERMOON_BUILD_COMMIT"), ", debug)")
} else {
    concat!(env!("CARGO_PKG_VERSION"), " (", env!("UNDERMOON_BUILD_COMMIT"), ", release)")
};

impl fmt::Display for BuildInfo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({}, {})", self.version, self.commit, self.profile)
    }
}

#[cfg(test)]
mod tests {
    use super::{BUILD, BUILD_TEXT};

    #[test]
    fn constant_text_equals_display() {
        assert_eq!(BUILD.to_string(), BUILD_TEXT);
        assert!(!BUILD.commit.is_empty());
    }
}
