//! Commands of clients that concern all workers.

use std::sync::Arc;

use proxy_core::engine::Pause;
use proxy_core::info::{self, InfoContext};
use proxy_core::local::client::{ClientFilter, ClientKill, ClientLine, ClientType, PauseMode, SessionUse};
use proxy_core::local::{ControlRequest, client, config};
use proxy_core::profile::Profile;
use proxy_core::settings::{Change, LogLevel};
use resp::encode;
use service::build_info::BUILD;
use tracing::warn;

use crate::control::node_status::{NodeLink, NodeRole};
use crate::control::nodes::Health;
use crate::control::process::ProcessUse;
use crate::control::texts;
use crate::control::thread::Control;
use crate::control::workers::ReplyTo;

/// What CLIENT LIST shows where the last command is not kept.
const COMMAND_UNKNOWN: &str = "NULL";

impl Control {
    /// Answers a command of a client, now or when the workers have done their part.
    pub(in crate::control) fn answer_local(&mut self, request: ControlRequest, asker: &Profile, to: ReplyTo) {
        let mut reply = Vec::new();
        match request {
            ControlRequest::ClientList(filter) => return self.list_clients(filter, asker, to),
            ControlRequest::ClientKill(kill) => return self.kill_clients(kill, asker, to),
            ControlRequest::ClientPause { until_ms, mode } => {
                let until_unix_us = until_ms.saturating_mul(1000);
                self.workers.pause(Some(Pause { until_unix_us, writes_only: mode == PauseMode::Write }));
                encode::simple(&mut reply, "OK");
            }
            ControlRequest::ClientUnpause => {
                self.workers.pause(None);
                encode::simple(&mut reply, "OK");
            }
            // The only command that blocks its client is WAIT, which ends by itself.
            ControlRequest::ClientUnblock { .. } => encode::integer(&mut reply, 0),
            ControlRequest::ConfigSet(pairs) => return self.set_config(&pairs, to),
            ControlRequest::ConfigResetStat => {
                self.counts.reset(self.workers.snapshot());
                encode::simple(&mut reply, "OK");
            }
            ControlRequest::Slowlog(request) => self.answer_slowlog(request, &mut reply),
            ControlRequest::Wait(request) => return self.wait(request, to),
            ControlRequest::Info(sections) => self.info(&sections, asker, &mut reply),
        }
        to.send(reply);
    }

    fn list_clients(&self, filter: ClientFilter, asker: &Profile, to: ReplyTo) {
        let sessions = self.workers.sessions();
        let (now_ms, protocol) = (self.process.now_us() / 1000, asker.protocol);
        let table = self.shared.table.clone();
        tokio::spawn(async move {
            let mut sessions: Vec<_> = sessions.all().await.into_iter().flatten().collect();
            sessions.retain(|session| filter.matches(&session.profile, ClientType::Normal, now_ms));
            sessions.sort_unstable_by_key(|session| session.profile.id);
            let mut lines = Vec::new();
            for session in &sessions {
                let session_use = SessionUse {
                    fd: session.fd,
                    query_bytes: session.input_bytes,
                    output_bytes: session.output_bytes,
                    ..SessionUse::default()
                };
                let command = session.command.and_then(|command| table.get(command));
                let command = command.map_or(COMMAND_UNKNOWN, |command| &command.name);
                let line = ClientLine { profile: &session.profile, session_use, command, now_ms };
                client::client_line(&mut lines, &line);
            }
            let mut reply = Vec::new();
            client::list_reply(&lines, protocol, &mut reply);
            to.send(reply);
        });
    }

    fn kill_clients(&self, kill: ClientKill, asker: &Profile, to: ReplyTo) {
        let mut filter = kill.filter.clone();
        if kill.skip_me {
            filter.skip = Some(asker.id);
        }
        let now_ms = self.process.now_us() / 1000;
        let killed = self.workers.kill(
            asker.id,
            &(Arc::new(move |profile: &Profile| filter.matches(profile, ClientType::Normal, now_ms)) as _),
        );
        tokio::spawn(async move {
            let mut reply = Vec::new();
            kill.reply(killed.all().await.into_iter().sum(), &mut reply);
            to.send(reply);
        });
    }

    /// CONFIG SET: answered when every worker goes by it.
    fn set_config(&mut self, pairs: &[config::Assignment], to: ReplyTo) {
        let mut reply = Vec::new();
        let mut changed = self.settings.clone();
        let changes = config::apply(&mut changed, pairs, &mut reply);
        if changes.is_empty() {
            return to.send(reply);
        }
        if changes.contains(&Change::LogLevel) && !self.set_log_level(changed.log_level) {
            reply.clear();
            proxy_core::errors::write(&mut reply, texts::LOG_LEVEL_FAILED);
            return to.send(reply);
        }
        self.settings = changed;
        let applied = self.push_settings();
        tokio::spawn(async move {
            applied.every().await;
            to.send(reply);
        });
    }

    /// False if this process's log cannot be changed.
    fn set_log_level(&self, level: LogLevel) -> bool {
        let word = match level {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        };
        let Some(log) = &self.log else { return false };
        let level = <service::logging::LogLevel as service::config::Setting>::from_text(word);
        let level = level.expect("each of these words is a level");
        let outcome = log.set_level(&level);
        if let Err(error) = &outcome {
            warn!(%error, "the log level stays");
        }
        outcome.is_ok()
    }

    fn info(&self, sections: &[String], asker: &Profile, reply: &mut Vec<u8>) {
        let used = ProcessUse::now();
        let primaries = self.cluster.primaries();
        let is_primary = |address: &model::Address| primaries.is_empty() || primaries.contains(address);
        let up = |health: &Health| health.status().cloned();
        let statuses: Vec<_> =
            self.nodes.iter().filter_map(|(address, health)| Some((address, up(health)?))).collect();
        let keyspaces = statuses.iter().filter(|(address, _)| is_primary(address));
        let keyspace = info::merge_keyspace(keyspaces.map(|(_, status)| status.keyspace.as_str()));
        let links_up = statuses.iter().all(|(_, status)| match status.role {
            NodeRole::Primary => true,
            NodeRole::Replica { link, .. } => link == NodeLink::Up,
        });
        let context = InfoContext {
            settings: &self.shared.settings,
            table: &self.shared.table,
            cluster: self.shared.view.as_deref().map(|view| &*view.replies),
            snapshot: &self.counts.since_reset(&self.workers.snapshot()),
            rates: self.counts.rates(),
            process: info::Process {
                version: BUILD.version,
                os: &self.process.os,
                id: std::process::id(),
                run_id: &self.process.run_id,
                started_ms: self.process.started_ms,
                rss_bytes: used.rss_bytes,
                rss_peak_bytes: used.rss_peak_bytes,
                system_cpu_us: used.system_cpu_us,
                user_cpu_us: used.user_cpu_us,
                blocked_clients: self.waits.running() as u64,
            },
            nodes: info::Nodes { version: &self.shared.server_version, keyspace: &keyspace, links_up },
            now_us: self.process.now_us(),
        };
        info::reply(&context, sections, asker.protocol, reply);
    }
}
