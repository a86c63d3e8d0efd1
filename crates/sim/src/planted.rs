//! Faults in the world's own rules: what each checker must find, to be believed when it finds nothing.

/// A rule that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// Any replica that acknowledges counts for the one that the metadata names, as a count by WAIT would have it.
    AnyReplicaCounts,
    /// The clocks of a machine that is paused stand still, as CLOCK_MONOTONIC does while a machine sleeps.
    ClocksStandStill,
    /// Workers do not look at fences.
    FencesIgnored,
    /// A proxy takes the replica of a primary that has stopped for up to date without asking.
    HandoverUnasked,
    /// A node that started anew is taken for the process that it was.
    RestartUnseen,
    /// A reading that finds the metadata unchanged lets no lease be renewed.
    TermsNotRenewed,
    /// A coordinator forgets what it has seen of reports, and so reports again and again.
    ReportsForgotten,
    /// Coordinators tell a proxy what it should have whichever process it is, by whatever they have read last.
    AnyProcessTold,
    /// Workers use a primary for a while after the time until which they may.
    FencesLate,
    /// Coordinators call proxies silent with each reading, whatever they hear.
    SilenceInvented,
    /// A broker knows of the readings of the first coordinator only, whoever else reads.
    ReadersForgotten,
    /// A push that fails is never tried again.
    PushedOnce,
}
