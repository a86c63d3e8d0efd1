//! `undermoon ctl dump` and `restore`: the whole of the metadata as a file.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::confirm::Confirmation;
use super::connection::read;
use super::context::Context;
use super::error::CtlError;
use super::output::{Done, print, put};

/// What stands for standard input or output.
const STANDARD: &str = "-";

/// Write all metadata to a file
#[derive(Debug, clap::Args)]
pub(super) struct Dump {
    /// The file, which must not exist; standard output when not given
    #[arg(default_value = STANDARD)]
    file: PathBuf,
}

/// Replace all metadata with a file that `dump` wrote
#[derive(Debug, clap::Args)]
pub(super) struct Restore {
    /// The file; - for standard input
    file: PathBuf,
    #[command(flatten)]
    confirmation: Confirmation,
}

pub(super) async fn dump(context: &Context, arguments: &Dump) -> Result<(), CtlError> {
    // Untyped: this program need not know every field that a broker of another version has.
    let dump: Value = context.client.metadata().await?;
    let text = format!("{dump}\n");
    if arguments.file == Path::new(STANDARD) {
        return put(&text);
    }
    let file = arguments.file.display();
    write_new(&arguments.file, text.as_bytes())
        .map_err(|error| CtlError::failed(format!("{file}: {error}"), "name a file that does not exist"))?;
    print(context.format, &Done::complete(format!("the metadata is in {file}, {} bytes", text.len())))
}

/// Writes a file that was not there before, and has it on the disk when it returns: a backup that is lost with
/// the power is none.
fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

pub(super) async fn restore(context: &Context, arguments: &Restore) -> Result<(), CtlError> {
    let file = arguments.file.display().to_string();
    let bytes = if file == STANDARD {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes)?;
        bytes
    } else {
        read(&arguments.file)?
    };
    let dump: Value = serde_json::from_slice(&bytes).map_err(|error| {
        let advice = "give a file that `undermoon ctl dump` has written";
        CtlError::failed(format!("{file} is not a dump: {error}"), advice)
    })?;
    let what = format!("All metadata is replaced by {}.", described(&dump));
    arguments.confirmation.ask(&what, "restore")?;
    context.client.restore(&dump).await?;
    print(
        context.format,
        &Done::complete(format!(
            "the metadata is restored from {file}; `undermoon ctl review` shows where it differs from what is served"
        )),
    )
}

/// What a dump has in it, as far as it says.
fn described(dump: &Value) -> String {
    let size = |part: &str| dump.get(part).and_then(Value::as_object).map_or(0, serde_json::Map::len);
    let epoch = dump.get("global_epoch").and_then(Value::as_u64).unwrap_or(0);
    format!("a dump of epoch {epoch} with clusters: {}, proxies: {}", size("clusters"), size("proxies"))
}
