//! Redis's own errors for a request that calls no command, to the byte.

use crate::command::{Args, CommandTable, Unknown};

/// The bytes of names and arguments that Redis repeats in these errors.
const ECHOED_BYTES_MAX: usize = 128;

impl Unknown {
    /// Appends the error reply that Redis 7 gives to `args`, for which `table` found this.
    pub fn write(self, table: &CommandTable, args: Args<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(match self {
            // Whatever is wrong with EXEC, it ends the transaction and says so.
            Unknown::Arity(id) if &*table.by_id(id).name == "exec" => {
                b"-EXECABORT Transaction discarded because of: "
            }
            _ => &b"-ERR "[..],
        });
        match self {
            Unknown::Command => {
                out.extend_from_slice(b"unknown command '");
                echo(out, args.get(0), ECHOED_BYTES_MAX);
                out.extend_from_slice(b"', with args beginning with: ");
                echo_arguments(out, args);
            }
            Unknown::Subcommand => {
                out.extend_from_slice(b"unknown subcommand '");
                echo(out, args.get(1), ECHOED_BYTES_MAX);
                out.extend_from_slice(b"'. Try ");
                echo(out, &args.get(0).to_ascii_uppercase(), usize::MAX);
                out.extend_from_slice(b" HELP.");
            }
            Unknown::Arity(id) => {
                out.extend_from_slice(b"wrong number of arguments for '");
                echo(out, table.by_id(id).name.as_bytes(), usize::MAX);
                out.extend_from_slice(b"' command");
            }
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Each argument quoted and followed by a blank, until the list has reached its limit.
fn echo_arguments(out: &mut Vec<u8>, args: Args<'_>) {
    let start = out.len();
    for argument in args.iter().skip(1) {
        let listed = out.len() - start;
        if listed >= ECHOED_BYTES_MAX {
            break;
        }
        out.push(b'\'');
        echo(out, argument, ECHOED_BYTES_MAX - listed);
        out.extend_from_slice(b"' ");
    }
}

/// At most `limit` bytes up to the first NUL, as C's `%.*s` prints them; line ends become blanks, because
/// an error is one line.
fn echo(out: &mut Vec<u8>, text: &[u8], limit: usize) {
    let shown = text.iter().take(limit).take_while(|byte| **byte != 0);
    out.extend(shown.map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }));
}
