//! The proxy's local answers as a server with one client would give them, without a socket.

use std::net::SocketAddr;

use proxy_core::cluster_replies::ClusterReplies;
use proxy_core::command::{Args, Class, CommandTable};
use proxy_core::errors;
use proxy_core::local::client::{ClientType, SessionUse};
use proxy_core::local::{After, Context, ControlRequest, answer, config, needs_auth};
use proxy_core::profile::Profile;
use proxy_core::settings::Settings;
use proxy_core::slowlog::SlowLog;
use resp::{RequestLimits, RequestParser, RequestStep, encode};

/// Some time of the year 2026.
pub(crate) const NOW_US: u64 = 1_795_000_000_000_000;

/// One session, and what the control thread would do for it.
pub(crate) struct Subject {
    pub(crate) settings: Settings,
    pub(crate) cluster: Option<ClusterReplies>,
    pub(crate) profile: Profile,
    pub(crate) version: String,
    table: CommandTable,
    slow_log: SlowLog,
}

impl Subject {
    /// A session with that number, whose ends are these.
    pub(crate) fn new(id: u64, ends: (SocketAddr, SocketAddr), version: &str) -> Subject {
        let mut profile = Profile::new(id, ends.0, ends.1, NOW_US / 1000);
        profile.authenticated = true;
        Subject {
            settings: Settings::new("127.0.0.1:5299".parse().unwrap()),
            cluster: None,
            profile,
            version: version.to_owned(),
            table: CommandTable::builtin(),
            slow_log: SlowLog::default(),
        }
    }

    /// The reply to a request, written as an inline command.
    pub(crate) fn say(&mut self, line: &str) -> Vec<u8> {
        let mut parser = RequestParser::new();
        let step = parser.parse(format!("{line}\r\n").as_bytes(), &RequestLimits::default()).unwrap();
        assert!(matches!(step, RequestStep::Inline { .. }), "{line}");
        let args = Args::new(parser.inline_frame(), parser.spans());
        let mut out = Vec::new();
        let command = match self.table.resolve(args) {
            Ok(command) => command,
            Err(unknown) => {
                unknown.write(&self.table, args, &mut out);
                return out;
            }
        };
        let Class::Local(local) = command.class else {
            assert!(needs_auth(&self.profile, &self.settings), "{line} is not for this test");
            errors::write(&mut out, errors::NOAUTH);
            return out;
        };
        let context = Context {
            settings: &self.settings,
            cluster: self.cluster.as_ref().map(|cluster| cluster.at(self.profile.face)),
            server_version: &self.version,
            session_use: SessionUse::default(),
            now_us: NOW_US,
        };
        if let After::Control(request) = answer(local, args, &mut self.profile, &context, &mut out) {
            assert!(out.is_empty(), "{line}: a reply and a request");
            self.control(&request, &mut out);
        }
        out
    }

    fn control(&mut self, request: &ControlRequest, out: &mut Vec<u8>) {
        match request {
            ControlRequest::ConfigSet(pairs) => {
                config::apply(&mut self.settings, pairs, out);
            }
            ControlRequest::ClientKill(kill) => {
                let meant = kill.filter.matches(&self.profile, ClientType::Normal, NOW_US / 1000);
                kill.reply(usize::from(meant && !kill.skip_me), out);
            }
            ControlRequest::Slowlog(request) => self.slow_log.answer(*request, out),
            ControlRequest::ClientUnblock { .. } => encode::integer(out, 0),
            ControlRequest::ClientPause(_)
            | ControlRequest::ClientUnpause
            | ControlRequest::ConfigResetStat => encode::simple(out, "OK"),
            ControlRequest::ClientList(_) | ControlRequest::Info(_) | ControlRequest::Wait(_) => {
                panic!("not for this test")
            }
        }
    }
}
