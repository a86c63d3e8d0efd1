//! The exit codes of the binary, the same for every subcommand.
//!
//! A supervisor may act on them: restarting after [`Exit::Failure`] makes sense, after [`Exit::Usage`] or
//! [`Exit::Configuration`] it does not until a person has changed something.

use std::process::ExitCode;

/// How a process of this project ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Did what was asked, or was told to stop and stopped. Code 0.
    Ok,
    /// Something failed while running: an address in use, a child that died. Code 1.
    Failure,
    /// The command line is wrong. Code 2, which is also what the argument parser uses.
    Usage,
    /// The configuration is wrong: `EX_CONFIG` of BSD's sysexits. Code 78.
    Configuration,
}

impl Exit {
    /// The number that the operating system sees.
    pub fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Failure => 1,
            Exit::Usage => 2,
            Exit::Configuration => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}
