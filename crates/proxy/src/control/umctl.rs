//! UMCTL: from arguments to what is asked. Nothing is decided here.

use std::time::Duration;

use keeper::LeaseGrant;
use model::{Epoch, MetaError, SetCluster, SetRepl};
use proxy_core::slowlog::SlowlogRequest;
use proxy_core::{decimal, errors};

use super::texts;

/// Entries that SLOWLOG GET returns if it is not told how many, as Redis's own.
const SLOWLOG_COUNT_DEFAULT: usize = 10;

/// A UMCTL command, its arguments understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Umctl {
    /// Replaces the view.
    SetCluster(Box<SetCluster>),
    /// Replaces the nodes' roles.
    SetRepl(SetRepl),
    /// The names of the clusters served: at most one.
    ListCluster,
    /// The view's epoch.
    GetEpoch,
    /// Cluster, replication and migration, as text.
    Info,
    /// Replication, as text.
    InfoRepl,
    /// Finished migrations.
    InfoMgr,
    /// How the proxy and its nodes are, for coordinators; with a lease that one of them grants.
    Health(Option<LeaseGrant>),
    /// The view, and what the nodes hold.
    View,
    /// Empties the nodes of a proxy that has the empty view of that epoch.
    Clean(Epoch),
    /// Counters.
    Stats,
    /// Whether a cluster is served.
    Ready,
    /// The slow log.
    Slowlog(SlowlogRequest),
    /// Drain, then end.
    Shutdown,
    /// The list of these.
    Help,
}

/// Why a UMCTL command was not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum UmctlError {
    /// There is no such subcommand, or it takes other arguments.
    Unknown(Vec<u8>),
    /// The metadata cannot be read.
    Meta(MetaError),
    /// A count that is not accepted.
    Count,
}

/// The reply to UMCTL HELP.
pub(super) const HELP: &[&str] = &[
    "UMCTL <subcommand> [<arg> ...]. Subcommands are:",
    "AUTH <control password>",
    "    Make this connection an operator's, with access to the commands that change something.",
    "SETCLUSTER v2 <epoch> <flags> <cluster> [<node> <slots>]... [PEER [<proxy> <slots>]...] [CONFIG <field> <value>...]",
    "    Replace this proxy's view of its cluster.",
    "SETREPL <epoch> <flags> (master|replica <cluster> <node> <n> (<peer node> <peer proxy>)*n)...",
    "    Replace the replication roles of this proxy's nodes.",
    "LISTCLUSTER",
    "    Return the names of the clusters that this proxy serves.",
    "GETEPOCH",
    "    Return the epoch of the view in force.",
    "INFO | INFOREPL | INFOMGR",
    "    Return the state of cluster, replication and migration.",
    "HEALTH [LEASE <token> <milliseconds>]",
    "    Return how this proxy and its nodes are; grant it a lease to serve writes.",
    "VIEW",
    "    Return the view in force, in the words of SETCLUSTER, and what the nodes hold.",
    "CLEAN <epoch>",
    "    Empty the nodes, if the empty view of that epoch is in force.",
    "STATS",
    "    Return counters.",
    "READY",
    "    Return 1 if this proxy serves a cluster, else 0.",
    "SLOWLOG GET [<count>] | RESET",
    "    Return or forget the slow log.",
    "SHUTDOWN",
    "    Finish what is in flight, then end the proxy.",
    "HELP",
    "    Print this help.",
];

impl Umctl {
    /// Reads the arguments, the word UMCTL first.
    ///
    /// # Errors
    /// [`UmctlError`].
    pub(super) fn parse(args: &[Vec<u8>]) -> Result<Umctl, UmctlError> {
        let words: Vec<&[u8]> = args.iter().skip(1).map(Vec::as_slice).collect();
        let Some((&sub, rest)) = words.split_first() else { return Err(UmctlError::Unknown(Vec::new())) };
        let alone =
            |umctl: Umctl| if rest.is_empty() { Ok(umctl) } else { Err(UmctlError::Unknown(sub.to_vec())) };
        match sub.to_ascii_uppercase().as_slice() {
            b"SETCLUSTER" => {
                let command = SetCluster::parse(rest).map_err(UmctlError::Meta)?;
                Ok(Umctl::SetCluster(Box::new(command)))
            }
            b"SETREPL" => SetRepl::parse(rest).map(Umctl::SetRepl).map_err(UmctlError::Meta),
            b"LISTCLUSTER" => alone(Umctl::ListCluster),
            b"GETEPOCH" => alone(Umctl::GetEpoch),
            b"INFO" => alone(Umctl::Info),
            b"INFOREPL" => alone(Umctl::InfoRepl),
            b"INFOMGR" => alone(Umctl::InfoMgr),
            b"VIEW" => alone(Umctl::View),
            b"STATS" => alone(Umctl::Stats),
            b"READY" => alone(Umctl::Ready),
            b"SHUTDOWN" => alone(Umctl::Shutdown),
            b"HELP" => alone(Umctl::Help),
            b"HEALTH" => health(sub, rest),
            b"CLEAN" => match rest {
                [epoch] => match std::str::from_utf8(epoch).ok().and_then(|epoch| epoch.parse().ok()) {
                    Some(epoch) => Ok(Umctl::Clean(epoch)),
                    None => Err(UmctlError::Unknown(sub.to_vec())),
                },
                _ => Err(UmctlError::Unknown(sub.to_vec())),
            },
            b"SLOWLOG" => slowlog(sub, rest),
            _ => Err(UmctlError::Unknown(sub.to_vec())),
        }
    }
}

fn health(sub: &[u8], rest: &[&[u8]]) -> Result<Umctl, UmctlError> {
    match rest {
        [] => Ok(Umctl::Health(None)),
        [word, token, length] if word.eq_ignore_ascii_case(b"LEASE") => {
            let length = decimal::parse(length).and_then(|length| u64::try_from(length).ok());
            let length = length.ok_or(UmctlError::Count)?;
            Ok(Umctl::Health(Some(LeaseGrant {
                token: token.to_vec(),
                length: Duration::from_millis(length),
            })))
        }
        _ => Err(UmctlError::Unknown(sub.to_vec())),
    }
}

fn slowlog(sub: &[u8], rest: &[&[u8]]) -> Result<Umctl, UmctlError> {
    let is = |word: &[u8], name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    let request = match rest {
        [word] if is(word, "RESET") => SlowlogRequest::Reset,
        [word] if is(word, "LEN") => SlowlogRequest::Len,
        [word] if is(word, "GET") => SlowlogRequest::Get(Some(SLOWLOG_COUNT_DEFAULT)),
        [word, count] if is(word, "GET") => match decimal::parse(count) {
            Some(-1) => SlowlogRequest::Get(None),
            Some(count) => SlowlogRequest::Get(Some(usize::try_from(count).map_err(|_| UmctlError::Count)?)),
            None => return Err(UmctlError::Count),
        },
        _ => return Err(UmctlError::Unknown(sub.to_vec())),
    };
    Ok(Umctl::Slowlog(request))
}

impl UmctlError {
    /// Appends the error reply.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            UmctlError::Unknown(sub) => errors::unknown_subcommand(out, "UMCTL", sub),
            UmctlError::Meta(error) => errors::write(out, &texts::invalid_metadata(error)),
            UmctlError::Count => errors::write(out, errors::SLOWLOG_COUNT),
        }
    }
}

#[cfg(test)]
mod tests {
    use proxy_core::local::umctl_operators_part;

    use super::*;

    fn check(text: &str, expected: Result<Umctl, &str>) {
        let args: Vec<Vec<u8>> = text.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        let parsed = Umctl::parse(&args).map_err(|error| {
            let mut out = Vec::new();
            error.write(&mut out);
            String::from_utf8(out).unwrap()
        });
        match expected {
            Ok(expected) => {
                let part = umctl_operators_part(args.iter().skip(1).map(Vec::as_slice));
                assert_eq!(part.is_some(), is_operators(&expected), "{text}");
                assert_eq!(parsed, Ok(expected), "{text}");
            }
            Err(start) => {
                let error = parsed.expect_err(text);
                assert!(error.starts_with(start), "{text}: {error}");
            }
        }
    }

    /// Whatever changes something is an operator's, and is known to be by its words.
    fn is_operators(umctl: &Umctl) -> bool {
        match umctl {
            Umctl::SetCluster(_)
            | Umctl::SetRepl(_)
            | Umctl::Health(Some(_))
            | Umctl::Clean(_)
            | Umctl::Slowlog(SlowlogRequest::Reset)
            | Umctl::Shutdown => true,
            Umctl::ListCluster
            | Umctl::GetEpoch
            | Umctl::Info
            | Umctl::InfoRepl
            | Umctl::InfoMgr
            | Umctl::Health(None)
            | Umctl::View
            | Umctl::Stats
            | Umctl::Ready
            | Umctl::Slowlog(SlowlogRequest::Get(_) | SlowlogRequest::Len)
            | Umctl::Help => false,
        }
    }

    #[test]
    fn subcommands() {
        check("UMCTL LISTCLUSTER", Ok(Umctl::ListCluster));
        check("umctl getepoch", Ok(Umctl::GetEpoch));
        check("UMCTL INFO", Ok(Umctl::Info));
        check("UMCTL INFOREPL", Ok(Umctl::InfoRepl));
        check("UMCTL INFOMGR", Ok(Umctl::InfoMgr));
        check("UMCTL STATS", Ok(Umctl::Stats));
        check("UMCTL HEALTH", Ok(Umctl::Health(None)));
        let grant = LeaseGrant { token: b"t-1".to_vec(), length: Duration::from_millis(400) };
        check("UMCTL HEALTH lease t-1 400", Ok(Umctl::Health(Some(grant))));
        check("UMCTL CLEAN 7", Ok(Umctl::Clean(Epoch(7))));
        check("UMCTL READY", Ok(Umctl::Ready));
        check("UMCTL SHUTDOWN", Ok(Umctl::Shutdown));
        check("UMCTL SLOWLOG GET", Ok(Umctl::Slowlog(SlowlogRequest::Get(Some(10)))));
        check("UMCTL SLOWLOG get 3", Ok(Umctl::Slowlog(SlowlogRequest::Get(Some(3)))));
        check("UMCTL SLOWLOG GET -1", Ok(Umctl::Slowlog(SlowlogRequest::Get(None))));
        check("UMCTL SLOWLOG RESET", Ok(Umctl::Slowlog(SlowlogRequest::Reset)));
        check("umctl slowlog reset", Ok(Umctl::Slowlog(SlowlogRequest::Reset)));
        check("UMCTL SLOWLOG LEN", Ok(Umctl::Slowlog(SlowlogRequest::Len)));
        check("UMCTL VIEW", Ok(Umctl::View));
        check("UMCTL HELP", Ok(Umctl::Help));
        let view = "v2 1 NOFLAGS mydb 127.0.0.1:1 1 0-16383";
        let words: Vec<&[u8]> = view.split(' ').map(str::as_bytes).collect();
        let view_of = |words: &[&[u8]]| Umctl::SetCluster(Box::new(SetCluster::parse(words).unwrap()));
        check(&format!("umctl setcluster {view}"), Ok(view_of(&words)));
        let roles = SetRepl::parse(&[b"1", b"NOFLAGS"]).unwrap();
        check("UMCTL setrepl 1 NOFLAGS", Ok(Umctl::SetRepl(roles)));
    }

    #[test]
    fn faults() {
        check("UMCTL", Err("-ERR unknown subcommand or wrong number of arguments for ''"));
        check("UMCTL FOO", Err("-ERR unknown subcommand or wrong number of arguments for 'FOO'"));
        check(
            "UMCTL HEALTH lease t-1",
            Err("-ERR unknown subcommand or wrong number of arguments for 'HEALTH'"),
        );
        check("UMCTL HEALTH lease t-1 -4", Err("-ERR count should be"));
        check("UMCTL CLEAN x", Err("-ERR unknown subcommand or wrong number of arguments for 'CLEAN'"));
        check("UMCTL READY now", Err("-ERR unknown subcommand or wrong number of arguments for 'READY'"));
        check("UMCTL SLOWLOG GET -2", Err("-ERR count should be"));
        check("UMCTL SLOWLOG GET x", Err("-ERR count should be"));
        check("UMCTL SETCLUSTER v1", Err("-ERR invalid metadata: argument 1: "));
        check("UMCTL SETREPL x", Err("-ERR invalid metadata: argument 1: "));
    }
}
