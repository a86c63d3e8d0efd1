//! CLIENT PAUSE.

use super::super::timeout;
use crate::command::Args;
use crate::errors;

/// A pause of all clients' commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientPause {
    /// After how long it ends by itself, ms.
    pub for_ms: u64,
    /// Which commands wait.
    pub mode: PauseMode,
}

/// Which commands wait during a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseMode {
    /// Commands that may write.
    Write,
    /// All commands.
    All,
}

impl ClientPause {
    /// `CLIENT PAUSE milliseconds [WRITE|ALL]`. The mode is checked first, as in Redis.
    pub(super) fn parse(args: Args<'_>, now_ms: u64, out: &mut Vec<u8>) -> Option<ClientPause> {
        let parsed = mode(args).and_then(|mode| {
            let for_ms = timeout::duration_ms(args.get(2), now_ms)?;
            Ok(ClientPause { for_ms, mode })
        });
        parsed.map_err(|error| errors::write(out, error)).ok()
    }
}

fn mode(args: Args<'_>) -> Result<PauseMode, &'static str> {
    match args.len() {
        3 => Ok(PauseMode::All),
        4 if args.get(3).eq_ignore_ascii_case(b"ALL") => Ok(PauseMode::All),
        4 if args.get(3).eq_ignore_ascii_case(b"WRITE") => Ok(PauseMode::Write),
        4 => Err(errors::PAUSE_MODE),
        _ => Err(errors::SYNTAX),
    }
}
