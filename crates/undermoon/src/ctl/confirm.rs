//! Asking before something is done that cannot be undone.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use super::error::CtlError;

/// Whether to ask
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Confirmation {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

impl Confirmation {
    /// Has a person type `word` to go on. Without a terminal there is nobody to ask, and only --yes will do.
    pub(super) fn ask(self, what: &str, word: &str) -> Result<(), CtlError> {
        if self.yes {
            return Ok(());
        }
        let input = std::io::stdin();
        if !input.is_terminal() {
            return Err(CtlError::Usage(format!(
                "{what} There is no terminal to ask at: confirm with --yes."
            )));
        }
        eprint!("{what}\nType {word} to confirm: ");
        std::io::stderr().flush()?;
        let mut answer = String::new();
        input.lock().read_line(&mut answer)?;
        if answer.trim() == word {
            return Ok(());
        }
        Err(CtlError::failed("not confirmed, nothing was changed", ""))
    }
}
