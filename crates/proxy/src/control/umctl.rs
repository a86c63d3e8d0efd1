//! UMCTL: from arguments to what is asked. Nothing is decided here.

use model::{MetaError, SetCluster, SetRepl};
use proxy_core::slowlog::SlowlogRequest;
use proxy_core::{decimal, errors};

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
    "SETCLUSTER v2 <epoch> <flags> <cluster> [<node> <slots>]... [PEER [<proxy> <slots>]...] [CONFIG <field> <value>...]",
    "    Replace this proxy's view of its cluster.",
    "SETREPL <epoch> <flags> (master|replica <cluster> <node> <n> (<peer node> <peer proxy>)*n)...",
    "    Replace the replication roles of this proxy's nodes.",
    "LISTCLUSTER",
    "    Return the names of the clusters that this proxy serves.",
    "GETEPOCH",
    "    Return the epoch of the view that is in force.",
    "INFO | INFOREPL | INFOMGR",
    "    Return the state of cluster, replication and migration.",
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
        let alone = |umctl: Umctl| match rest.is_empty() {
            true => Ok(umctl),
            false => Err(UmctlError::Unknown(sub.to_vec())),
        };
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
            b"STATS" => alone(Umctl::Stats),
            b"READY" => alone(Umctl::Ready),
            b"SHUTDOWN" => alone(Umctl::Shutdown),
            b"HELP" => alone(Umctl::Help),
            b"SLOWLOG" => slowlog(sub, rest),
            _ => Err(UmctlError::Unknown(sub.to_vec())),
        }
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
            UmctlError::Meta(error) => errors::write(out, &format!("ERR invalid metadata: {error}")),
            UmctlError::Count => errors::write(out, errors::SLOWLOG_COUNT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<Umctl, &str>) {
        let args: Vec<Vec<u8>> = text.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        let parsed = Umctl::parse(&args).map_err(|error| {
            let mut out = Vec::new();
            error.write(&mut out);
            String::from_utf8(out).unwrap()
        });
        match expected {
            Ok(expected) => assert_eq!(parsed, Ok(expected), "{text}"),
            Err(start) => {
                let error = parsed.expect_err(text);
                assert!(error.starts_with(start), "{text}: {error}");
            }
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
        check("UMCTL READY", Ok(Umctl::Ready));
        check("UMCTL SHUTDOWN", Ok(Umctl::Shutdown));
        check("UMCTL SLOWLOG GET", Ok(Umctl::Slowlog(SlowlogRequest::Get(Some(10)))));
        check("UMCTL SLOWLOG get 3", Ok(Umctl::Slowlog(SlowlogRequest::Get(Some(3)))));
        check("UMCTL SLOWLOG GET -1", Ok(Umctl::Slowlog(SlowlogRequest::Get(None))));
        check("UMCTL SLOWLOG RESET", Ok(Umctl::Slowlog(SlowlogRequest::Reset)));
    }

    #[test]
    fn faults() {
        check("UMCTL", Err("-ERR unknown subcommand or wrong number of arguments for ''"));
        check("UMCTL FOO", Err("-ERR unknown subcommand or wrong number of arguments for 'FOO'"));
        check("UMCTL READY now", Err("-ERR unknown subcommand or wrong number of arguments for 'READY'"));
        check("UMCTL SLOWLOG GET -2", Err("-ERR count should be"));
        check("UMCTL SLOWLOG GET x", Err("-ERR count should be"));
        check("UMCTL SETCLUSTER v1", Err("-ERR invalid metadata: argument 1: "));
        check("UMCTL SETREPL x", Err("-ERR invalid metadata: argument 1: "));
    }
}
