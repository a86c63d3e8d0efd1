//! The exit codes of the binary, the same for every subcommand.
//!
//! A supervisor or a script may act on them: trying again makes sense after some, and after others not until a
//! person has changed something. Those above 63 are those of BSD's `sysexits.h`.

use std::process::ExitCode;

/// How a process of this project ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Did what was asked, or was told to stop and stopped. Code 0.
    Ok,
    /// Something failed while running: an address in use, a child that died, a change that is refused. Code 1.
    Failure,
    /// The command line is wrong. Code 2, which is also what the argument parser uses.
    Usage,
    /// Nobody could be reached, and nothing was changed: `EX_UNAVAILABLE`, 69.
    Unavailable,
    /// A call was lost on its way: it may have been carried out. Look before trying again. `EX_IOERR`, 74.
    Unknown,
    /// Not done yet: it goes on, or can be tried again later. `EX_TEMPFAIL`, 75.
    NotYet,
    /// The caller is not known, or may not do that: `EX_NOPERM`, 77.
    Denied,
    /// The configuration is wrong: `EX_CONFIG`, 78.
    Configuration,
}

impl Exit {
    /// The number that the operating system sees.
    pub fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Failure => 1,
            Exit::Usage => 2,
            Exit::Unavailable => 69,
            Exit::Unknown => 74,
            Exit::NotYet => 75,
            Exit::Denied => 77,
            Exit::Configuration => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}
