//! Carrying out UMCTL: what comes from the control plane, and what it asks.

use proxy_core::errors;
use proxy_core::slowlog::SlowlogRequest;
use resp::encode;
use service::shutdown::Phase;
use tracing::{debug, warn};

use super::event::Event;
use super::report;
use super::state::Refusal;
use super::texts;
use super::thread::Control;
use super::umctl::{self, Umctl};
use super::workers::ReplyTo;

impl Control {
    /// Answers UMCTL, its own word first; metadata is answered when all workers have it.
    pub(super) fn answer_umctl(&mut self, args: &[Vec<u8>], to: ReplyTo) {
        let mut reply = Vec::new();
        match Umctl::parse(args) {
            Err(error) => error.write(&mut reply),
            Ok(Umctl::SetCluster(command)) => {
                let (epoch, ignored) = (command.view.epoch, command.ignored_config.clone());
                let is_leased = command.flags.leased;
                let held = self.cluster.held().clone();
                let outcome = self.cluster.set_cluster(*command);
                if outcome.is_ok() && !self.cluster.held().difference(&held).is_empty() {
                    self.hold_from_now();
                }
                if outcome.is_ok() && is_leased {
                    self.lease.need();
                }
                match ignored.is_empty() {
                    true => encode::simple(&mut reply, "OK"),
                    false => encode::simple(&mut reply, &texts::ignored_config(&ignored)),
                }
                debug!(%epoch, ?outcome, "SETCLUSTER");
                return self.apply_metadata(outcome, reply, to);
            }
            Ok(Umctl::SetRepl(command)) => {
                let epoch = command.epoch;
                let outcome = self.cluster.set_repl(command);
                encode::simple(&mut reply, "OK");
                debug!(%epoch, ?outcome, "SETREPL");
                return self.apply_metadata(outcome, reply, to);
            }
            Ok(Umctl::Slowlog(request)) => self.answer_slowlog(request, &mut reply),
            Ok(Umctl::Shutdown) => {
                warn!("told to end by UMCTL SHUTDOWN");
                self.shutdown.advance(Phase::Draining);
                encode::simple(&mut reply, "OK");
            }
            Ok(Umctl::Health(grant)) => self.answer_health(grant.as_ref(), &mut reply),
            Ok(Umctl::Clean(epoch)) => return self.clean(epoch, to),
            Ok(question) => self.report(&question, &mut reply),
        }
        to.send(reply);
    }

    pub(super) fn answer_slowlog(&mut self, request: SlowlogRequest, reply: &mut Vec<u8>) {
        self.slowlog.answer(request, reply);
    }

    /// Hands accepted metadata to the workers. Its `reply` is sent when every one of them has it, so that whoever
    /// reads OK meets the new view at any of them.
    fn apply_metadata(&mut self, outcome: Result<(), Refusal>, mut reply: Vec<u8>, to: ReplyTo) {
        if let Err(refusal) = outcome {
            reply.clear();
            errors::write(&mut reply, &refusal.to_string());
            return to.send(reply);
        }
        let applied = self.push_metadata();
        let events = self.events.clone();
        tokio::spawn(async move {
            applied.every().await;
            // The control thread outlives its tasks.
            let _ = events.send(Event::MetadataApplied { to, reply });
        });
    }

    /// Answers what only asks.
    fn report(&self, question: &Umctl, reply: &mut Vec<u8>) {
        match question {
            Umctl::ListCluster => {
                let served = self.cluster.view().filter(|_| self.cluster.is_ready());
                encode::array(reply, usize::from(served.is_some()));
                if let Some(view) = served {
                    encode::bulk(reply, view.cluster.as_str().as_bytes());
                }
            }
            Umctl::GetEpoch => encode::integer(reply, self.cluster.epoch().0.cast_signed()),
            Umctl::Ready => encode::integer(reply, i64::from(self.cluster.is_ready())),
            Umctl::Info => encode::bulk(reply, report::all(&self.cluster, &self.nodes).as_bytes()),
            Umctl::InfoRepl => {
                encode::bulk(reply, report::replication(&self.cluster, &self.nodes).as_bytes());
            }
            // Finished migrations are told until they are committed; this proxy has finished none.
            Umctl::InfoMgr => encode::array(reply, 0),
            Umctl::Stats => lines(&report::statistics(&self.workers.snapshot()), reply),
            Umctl::Help => lines(umctl::HELP, reply),
            Umctl::SetCluster(_)
            | Umctl::SetRepl(_)
            | Umctl::Health(_)
            | Umctl::Clean(_)
            | Umctl::Slowlog(_)
            | Umctl::Shutdown => {
                unreachable!("carried out before, not reported")
            }
        }
    }
}

/// An array of texts.
fn lines<T: AsRef<str>>(lines: &[T], reply: &mut Vec<u8>) {
    encode::array(reply, lines.len());
    lines.iter().for_each(|line| encode::bulk(reply, line.as_ref().as_bytes()));
}
