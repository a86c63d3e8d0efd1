//! CONFIG SET: changing settings while the proxy runs.

use std::sync::Arc;

use proxy_core::errors;
use proxy_core::local::{Assignment, config};
use proxy_core::settings::{Change, LogLevel};
use tracing::warn;

use super::reply_to::ReplyTo;
use super::texts;
use super::thread::Control;
use crate::open_files;

impl Control {
    /// Changes settings, or none of them; answered when every worker goes by them.
    pub(super) fn set_settings(&mut self, pairs: &[Assignment], to: ReplyTo) {
        let mut reply = Vec::new();
        let mut changed = self.settings.clone();
        let changes = config::apply(&mut changed, pairs, &mut reply);
        if changes.is_empty() {
            return to.send(reply);
        }
        if changes.contains(&Change::MaxClients)
            && let Some(max) = open_files::clients_max().filter(|max| changed.maxclients > *max)
        {
            reply.clear();
            errors::write(&mut reply, &texts::too_many_clients_for_files(max));
            return to.send(reply);
        }
        if changes.contains(&Change::LogLevel) && !self.set_log_level(changed.log_level) {
            reply.clear();
            errors::write(&mut reply, &texts::log_level_failed());
            return to.send(reply);
        }
        self.settings = changed;
        self.shown_settings = Arc::new(self.settings.clone());
        let applied = self.push_settings();
        self.publish();
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
}
