//! COMMAND LIST: names, all or by a filter.

use super::names::is_shown;
use crate::command::{Args, Command, CommandTable};
use crate::errors;
use crate::glob::{Case, Pattern};
use resp::encode;

/// `COMMAND LIST [FILTERBY MODULE name|ACLCAT category|PATTERN pattern]`; `args` is what follows LIST.
pub(super) fn reply(table: &CommandTable, args: Args<'_>, out: &mut Vec<u8>) {
    let listed = table.iter().filter(|command| is_shown(table, command));
    let chosen: Vec<&Command> = match args.len() {
        0 => listed.collect(),
        3 if args.is(0, "filterby") => {
            let value = args.get(2);
            let has_category = |command: &&Command| {
                command.acl.iter().any(|category| category.as_bytes().eq_ignore_ascii_case(value))
            };
            match () {
                // The proxy has no modules; which one a backend's command is from is not told by COMMAND.
                () if args.is(1, "module") => Vec::new(),
                () if args.is(1, "aclcat") => listed.filter(has_category).collect(),
                () if args.is(1, "pattern") => {
                    let pattern = Pattern::new(value, Case::Ignored);
                    listed.filter(|command| pattern.matches(command.name.as_bytes())).collect()
                }
                () => return errors::write(out, errors::SYNTAX),
            }
        }
        _ => return errors::write(out, errors::SYNTAX),
    };
    encode::array(out, chosen.len());
    chosen.iter().for_each(|command| encode::bulk(out, command.name.as_bytes()));
}
