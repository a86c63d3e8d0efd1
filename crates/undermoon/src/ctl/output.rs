//! What `ctl` prints: tables for people, JSON for programs, and the same again with each change.

use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::time::Duration;

use api::{BrokerClient, ClientError};
use comfy_table::{ContentArrangement, Table, presets};
use control_core::State;
use serde::Serialize;

use super::connection::{Follower, LOOK_WAIT};
use super::error::CtlError;

/// The pause before brokers are asked again that could not be reached.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Clears a terminal and goes to its first line.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// The form of what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// Tables and sentences, for people.
    Table,
    /// JSON, for programs; with --watch one document per line.
    Json,
}

/// Something that can be shown to both.
pub(super) trait Show: Serialize {
    /// The form for people; ends with a line feed unless it is empty.
    fn text(&self) -> String;
}

/// What a change did, in one sentence.
#[derive(Debug, Serialize)]
pub(super) struct Done {
    /// Whether it is complete. If not, it has been accepted and goes on.
    done: bool,
    /// The sentence.
    message: String,
}

impl Done {
    /// It is complete.
    pub(super) fn complete(message: impl Into<String>) -> Self {
        Self { done: true, message: message.into() }
    }

    /// It has been accepted and goes on.
    pub(super) fn accepted(message: impl Into<String>) -> Self {
        Self { done: false, message: message.into() }
    }
}

impl Show for Done {
    fn text(&self) -> String {
        format!("{}\n", self.message)
    }
}

/// Prints something.
pub(super) fn print(format: Format, value: &impl Show) -> Result<(), CtlError> {
    put(&rendered(format, value, false)?)
}

/// Prints what `look` finds in the metadata; with `again`, prints it once more after each change, until Ctrl-C.
pub(super) async fn print_state<T: Show>(
    client: &BrokerClient,
    format: Format,
    again: bool,
    look: impl Fn(&State) -> Result<T, CtlError>,
) -> Result<(), CtlError> {
    let mut follower = Follower::new(client);
    let state = follower.newer(Duration::ZERO).await?.unwrap_or_default();
    let mut shown = rendered(format, &look(&state)?, again)?;
    let is_screen = again && format == Format::Table && std::io::stdout().is_terminal();
    put(&if is_screen { format!("{CLEAR}{shown}") } else { shown.clone() })?;
    if !again {
        return Ok(());
    }
    loop {
        let state = match follower.newer(LOOK_WAIT).await {
            Ok(Some(state)) => state,
            Ok(None) => continue,
            // The brokers may come back, and then there is something to see.
            Err(error @ CtlError::Call(ClientError::Unreachable { .. } | ClientError::BadAnswer { .. })) => {
                eprintln!("undermoon: {error}");
                tokio::time::sleep(RETRY_PAUSE).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        let next = rendered(format, &look(&state)?, true)?;
        if next != shown {
            let before = match (is_screen, format) {
                (true, _) => CLEAR,
                (false, Format::Table) => "\n",
                (false, Format::Json) => "",
            };
            put(&format!("{before}{next}"))?;
            shown = next;
        }
    }
}

fn rendered(format: Format, value: &impl Show, is_line: bool) -> Result<String, CtlError> {
    let text = match format {
        Format::Table => return Ok(value.text()),
        Format::Json if is_line => serde_json::to_string(value),
        Format::Json => serde_json::to_string_pretty(value),
    };
    let text =
        text.map_err(|error| CtlError::failed(format!("this cannot be written as JSON: {error}"), ""))?;
    Ok(text + "\n")
}

/// Writes to standard output.
pub(super) fn put(text: &str) -> Result<(), CtlError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(CtlError::ReaderGone),
        written => Ok(written?),
    }
}

/// A table without lines, each row on a line of its own: it can be read, searched and cut.
pub(super) fn table<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt() + "\n"
}

/// A number with its noun, which gets an `s` unless there is one.
pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::{count, table};

    #[test]
    fn tables_have_no_lines_and_no_trailing_blanks() {
        let text = table(
            ["NAME", "SLOTS"],
            [["a".to_owned(), "0-5".to_owned()], ["longer".to_owned(), String::new()]],
        );
        assert_eq!(text, "NAME    SLOTS\na       0-5\nlonger\n");
        assert_eq!(table(["ONLY"], []), "ONLY\n");
    }

    #[test]
    fn nouns() {
        assert_eq!(
            [count(0, "chunk"), count(1, "chunk"), count(2, "chunk")],
            ["0 chunks", "1 chunk", "2 chunks"]
        );
    }
}
