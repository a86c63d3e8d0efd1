//! What is handed to others: requests for the control thread, and what follows an answer. The bytes of replies
//! are compared with a real server's in `tests/like_redis`.

use model::Slot;
use resp::{RequestLimits, RequestParser};

use super::client::{ClientFilter, ClientKill, ClientPause, ClientType, PauseMode, SessionUse};
use super::*;
use crate::command::{Class, CommandCommand, CommandTable};
use crate::settings::Settings;
use crate::slowlog::SlowlogRequest;

const NOW_US: u64 = 1_700_000_000_000_000;

fn session() -> Profile {
    let ends = ("10.0.0.9:4000".parse().unwrap(), "127.0.0.1:5299".parse().unwrap());
    let mut profile = Profile::new(7, ends.0, ends.1, NOW_US / 1000 - 60_000);
    profile.authenticated = true;
    profile
}

fn say(line: &str, profile: &mut Profile) -> After {
    let table = CommandTable::builtin();
    let settings = Settings::new("127.0.0.1:5299".parse().unwrap());
    let mut parser = RequestParser::new();
    parser.parse(format!("{line}\r\n").as_bytes(), &RequestLimits::default()).unwrap();
    let args = Args::new(parser.inline_frame(), parser.spans());
    let Class::Local(command) = table.resolve(args).unwrap().class else { panic!("{line} is not local") };
    let context = Context {
        settings: &settings,
        cluster: None,
        server_version: "7.0.15",
        session_use: SessionUse::default(),
        now_us: NOW_US,
    };
    answer(command, args, profile, &context, &mut Vec::new())
}

#[test]
fn what_follows() {
    let control = |request| After::Control(Box::new(request));
    let slot = Slot::new(5).unwrap();
    let wait = |goal, timeout_ms| {
        ControlRequest::Wait(WaitRequest { goal, timeout_ms, written: Written::default() })
    };
    for (line, expected) in [
        ("ping", After::Done),
        ("quit", After::Close),
        ("reset", After::SessionReset),
        ("select 0", After::Done),
        ("select 1", After::SelectChanged),
        ("select 99", After::Done),
        ("command count", After::Command(CommandCommand::Count)),
        ("cluster countkeysinslot 5", After::CountKeysInSlot(slot)),
        ("cluster getkeysinslot 5 3", After::KeysInSlot { slot, count: 3 }),
        ("umctl getepoch", After::Umctl),
        ("umforward 3 get a", After::Forwarded),
        ("info", control(ControlRequest::Info(vec![]))),
        (
            "info Server KEYSPACE",
            control(ControlRequest::Info(vec!["server".to_owned(), "keyspace".to_owned()])),
        ),
        ("config resetstat", control(ControlRequest::ConfigResetStat)),
        ("slowlog get", control(ControlRequest::Slowlog(SlowlogRequest::Get(Some(10))))),
        ("slowlog get -1", control(ControlRequest::Slowlog(SlowlogRequest::Get(None)))),
        ("client unpause", control(ControlRequest::ClientUnpause)),
        ("wait -1 0", control(wait(WaitGoal::Replicas(-1), 0))),
        ("wait 2 500", control(wait(WaitGoal::Replicas(2), 500))),
        ("waitaof 1 2 5", control(wait(WaitGoal::Aof { local: 1, replicas: 2 }, 5))),
        ("wait 2 x", After::Done),
        (
            "client pause 5 write",
            control(ControlRequest::ClientPause(ClientPause { for_ms: 5, mode: PauseMode::Write })),
        ),
        ("client unblock 9 error", control(ControlRequest::ClientUnblock { id: 9, with_error: true })),
        ("client list", control(ControlRequest::ClientList(ClientFilter::default()))),
    ] {
        assert_eq!(say(line, &mut session()), expected, "{line}");
    }
}

#[test]
fn whom_client_kill_means() {
    for (options, pubsub, meant) in [
        ("10.0.0.9:4000", false, true),
        ("10.0.0.9:4001", false, false),
        ("id 7", false, true),
        ("id 8", false, false),
        ("addr 10.0.0.9:4000 laddr 127.0.0.1:5299", false, true),
        ("addr 10.0.0.9:4000 laddr 127.0.0.1:5300", false, false),
        ("type normal", false, true),
        ("type normal", true, false),
        ("type pubsub", true, true),
        ("user default", false, true),
        ("maxage 60", false, true),
        ("maxage 61", false, false),
        ("id 7 type pubsub", false, false),
    ] {
        let After::Control(request) = say(&format!("client kill {options}"), &mut session()) else {
            panic!("{options}")
        };
        let ControlRequest::ClientKill(ClientKill { mut filter, .. }) = *request else { panic!("{options}") };
        let client_type = if pubsub { ClientType::Pubsub } else { ClientType::Normal };
        assert_eq!(filter.matches(&session(), client_type, NOW_US / 1000), meant, "{options}");
        filter.skip = Some(7);
        assert!(!filter.matches(&session(), client_type, NOW_US / 1000), "{options}");
    }
}

#[test]
fn library_and_long_names() {
    let mut profile = session();
    for line in [
        "client setinfo LIB-NAME redis-py",
        "client setinfo lib-ver 5.0",
        "client setinfo lib-ver '5 0'",
        "client setinfo nothing x",
        &format!("client setname {}", "x".repeat(513)),
        "readonly",
        "asking",
    ] {
        assert_eq!(say(line, &mut profile), After::Done);
    }
    let extras = profile.extras().unwrap();
    assert_eq!(
        (&*extras.lib_name, &*extras.lib_ver, &*extras.name),
        (&b"redis-py"[..], &b"5.0"[..], &b""[..])
    );
    assert!(profile.readonly);
}

#[test]
fn umctl_auth_makes_an_operator() {
    // Control password, client's password, what is said, what is answered, whether it is an operator's session then and
    // whether a client's.
    for (control, password, line, reply, operator, authenticated) in [
        ("op", "pw", "umctl auth op", "+OK", true, true),
        ("op", "pw", "umctl auth pw", "-WRONGPASS this is not the control password", false, false),
        ("op", "pw", "umctl auth", "-ERR unknown subcommand or wrong number", false, false),
        ("op", "pw", "umctl auth op op", "-ERR unknown subcommand or wrong number", false, false),
        ("op", "pw", "umctl ready", "-NOAUTH", false, false),
        ("", "pw", "umctl auth op", "+OK, but this proxy has no control_password", false, false),
        ("", "pw", "umctl auth ''", "+OK, but this proxy has no control_password", false, false),
    ] {
        let mut settings = Settings::new("127.0.0.1:5299".parse().unwrap());
        settings.control_password = crate::settings::Password::new(control.as_bytes());
        settings.password = crate::settings::Password::new(password.as_bytes());
        let mut profile = session();
        profile.authenticated = false;
        let (after, out) = say_umctl(line, &mut profile, &settings);
        assert!(out.starts_with(reply), "{line}: {out}");
        assert_eq!(after, After::Done, "{line}");
        assert_eq!((profile.operator, profile.authenticated), (operator, authenticated), "{line}");
        profile.reset(false);
        assert!(!profile.operator);
    }
}

/// What somebody else may not give is refused by the worker: the control thread, which keeps leases, would have to
/// understand megabytes of it first.
#[test]
fn orders_of_others_and_long_questions_reach_no_control_thread() {
    let long = "x".repeat(2000);
    let refused = "-NOPERM UMCTL";
    // Whether the session is an operator's, what it says, and what a worker answers; nothing where it hands it on.
    for (operator, line, expected) in [
        (false, "umctl setcluster v2 5 NOFLAGS x", refused),
        (false, "UMCTL SETREPL 5 NOFLAGS", refused),
        (false, "umctl clean 5", refused),
        (false, "umctl shutdown", refused),
        (false, "umctl health lease t-1 400", refused),
        (false, "umctl slowlog reset", refused),
        (false, "umctl health", ""),
        (false, "umctl slowlog get", ""),
        (false, "umctl nonsense", ""),
        (
            false,
            &format!("umctl getepoch {long}"),
            "-ERR unknown subcommand or wrong number of arguments for 'getepoch'",
        ),
        (false, &format!("umctl {long}"), "-ERR unknown subcommand or wrong number of arguments for 'xxx"),
        (true, "umctl setcluster v2 5 NOFLAGS x", ""),
        (true, &format!("umctl setrepl {long}"), ""),
        (true, "umctl health lease t-1 400", ""),
    ] {
        let mut settings = Settings::new("127.0.0.1:5299".parse().unwrap());
        settings.control_password = crate::settings::Password::new(b"op");
        let mut profile = session();
        profile.operator = operator;
        let (after, out) = say_umctl(line, &mut profile, &settings);
        assert!(out.starts_with(expected), "{line}: {out}");
        let handed_on = expected.is_empty();
        assert_eq!((after == After::Umctl, out.is_empty()), (handed_on, handed_on), "{line}: {out}");
    }
}

/// What follows a line of UMCTL, and what is answered.
fn say_umctl(line: &str, profile: &mut Profile, settings: &Settings) -> (After, String) {
    let context = Context {
        settings,
        cluster: None,
        server_version: "7.0.15",
        session_use: SessionUse::default(),
        now_us: NOW_US,
    };
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let mut frame = Vec::new();
    resp::encode::request(&mut frame, &words);
    let mut parser = RequestParser::new();
    parser.parse(&frame, &RequestLimits::default()).unwrap();
    let mut out = Vec::new();
    let after = answer(LocalCommand::Umctl, Args::new(&frame, parser.spans()), profile, &context, &mut out);
    (after, String::from_utf8(out).unwrap())
}
