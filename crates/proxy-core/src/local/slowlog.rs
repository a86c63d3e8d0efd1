//! SLOWLOG: reads the arguments; the log itself is kept by the control thread.

use super::{After, ControlRequest, help};
use crate::command::{Args, SlowlogCommand};
use crate::slowlog::SlowlogRequest;
use crate::{decimal, errors};

/// Entries that SLOWLOG GET returns if it is not told how many.
const COUNT_DEFAULT: usize = 10;

/// `SLOWLOG GET [count] | LEN | RESET | HELP`
pub(super) fn answer(sub: SlowlogCommand, args: Args<'_>, out: &mut Vec<u8>) -> After {
    let request = match sub {
        SlowlogCommand::Len => SlowlogRequest::Len,
        SlowlogCommand::Reset => SlowlogRequest::Reset,
        SlowlogCommand::Get if args.len() > 3 => {
            errors::unknown_subcommand(out, "SLOWLOG", args.get(1));
            return After::Done;
        }
        SlowlogCommand::Get => {
            let Some(count) = count(args.len().checked_sub(3).map(|_| args.get(2))) else {
                errors::write(out, errors::SLOWLOG_COUNT);
                return After::Done;
            };
            SlowlogRequest::Get(count)
        }
        SlowlogCommand::Help => {
            help::write(out, help::SLOWLOG);
            return After::Done;
        }
    };
    After::Control(Box::new(ControlRequest::Slowlog(request)))
}

/// How many entries: `Some(None)` is all of them, `None` is a count that is not accepted.
fn count(given: Option<&[u8]>) -> Option<Option<usize>> {
    let Some(given) = given else { return Some(Some(COUNT_DEFAULT)) };
    match decimal::parse(given)? {
        -1 => Some(None),
        count => usize::try_from(count).ok().map(Some),
    }
}
