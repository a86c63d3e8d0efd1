//! TIME, LOLWUT, ROLE and INFO.

use resp::encode;

use super::{After, Context, ControlRequest};
use crate::command::Args;
use crate::profile::Profile;

/// `TIME`: seconds, and microseconds of the current one.
pub(super) fn time(context: &Context<'_>, out: &mut Vec<u8>) -> After {
    encode::array(out, 2);
    encode::bulk(out, (context.now_us / 1_000_000).to_string().as_bytes());
    encode::bulk(out, (context.now_us % 1_000_000).to_string().as_bytes());
    After::Done
}

/// `LOLWUT …`: the version, as a stable Redis answers.
pub(super) fn lolwut(profile: &Profile, context: &Context<'_>, out: &mut Vec<u8>) -> After {
    let text = format!("Redis ver. {}\n", context.server_version);
    encode::verbatim(out, profile.protocol, "txt", text.as_bytes());
    After::Done
}

/// `ROLE`. Offsets belong to a node, and the proxy may have several; so they are 0.
pub(super) fn role(context: &Context<'_>, out: &mut Vec<u8>) -> After {
    let Some(cluster) = context.cluster else {
        encode::array(out, 3);
        encode::bulk(out, b"master");
        encode::integer(out, 0);
        encode::array(out, 0);
        return After::Done;
    };
    cluster.write_role(out);
    After::Done
}

/// `INFO [section…]`
pub(super) fn info(args: Args<'_>) -> After {
    let sections = (1..args.len()).map(|at| String::from_utf8_lossy(args.get(at)).to_ascii_lowercase());
    After::Control(Box::new(ControlRequest::Info(sections.collect())))
}
