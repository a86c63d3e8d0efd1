//! CONFIG: the proxy's own settings.

use resp::encode;

use super::{After, Assignment, Context, ControlRequest, help};
use crate::command::{Args, ConfigCommand};
use crate::errors;
use crate::profile::Profile;
use crate::settings::{Change, Settings};

/// `CONFIG GET pattern… | SET name value… | RESETSTAT | HELP`
pub(super) fn answer(
    sub: ConfigCommand,
    args: Args<'_>,
    profile: &Profile,
    context: &Context<'_>,
    out: &mut Vec<u8>,
) -> After {
    match sub {
        ConfigCommand::Get => {
            let patterns: Vec<&[u8]> = (2..args.len()).map(|at| args.get(at)).collect();
            let pairs = context.settings.get_any(&patterns);
            encode::map(out, profile.protocol, pairs.len());
            for (name, value) in pairs {
                encode::bulk(out, name.as_bytes());
                encode::bulk(out, value.as_bytes());
            }
            After::Done
        }
        ConfigCommand::Set if !args.len().is_multiple_of(2) => {
            errors::write(out, errors::SYNTAX);
            After::Done
        }
        ConfigCommand::Set => {
            let pairs = (2..args.len()).step_by(2);
            let pairs =
                pairs.map(|at| Assignment { name: args.get(at).into(), value: args.get(at + 1).into() });
            After::Control(Box::new(ControlRequest::ConfigSet(pairs.collect())))
        }
        ConfigCommand::Resetstat => After::Control(Box::new(ControlRequest::ConfigResetStat)),
        ConfigCommand::Help => {
            help::write(out, help::CONFIG);
            After::Done
        }
    }
}

/// Does what [`ControlRequest::ConfigSet`] asks and appends the reply. Returns what was touched, for those whom
/// it concerns.
pub fn apply(settings: &mut Settings, pairs: &[Assignment], out: &mut Vec<u8>) -> Vec<Change> {
    let pairs: Vec<(&[u8], &[u8])> = pairs.iter().map(|pair| (&*pair.name, &*pair.value)).collect();
    match settings.set_all(&pairs) {
        Ok(changes) => {
            encode::simple(out, "OK");
            changes
        }
        Err(error) => {
            errors::write(out, &error.to_string());
            Vec::new()
        }
    }
}
