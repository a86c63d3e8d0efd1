//! Carrying out UMCTL: what comes from the control plane, and what it asks.

use proxy_core::errors;
use resp::encode;
use service::shutdown::Phase;
use tokio::sync::mpsc::error::TrySendError;
use tracing::{debug, warn};

use super::authority::Lack;
use super::event::Event;
use super::questions::DeskCall;
use super::reply_to::ReplyTo;
use super::report;
use super::state::Refusal;
use super::stopping::hold_from_now;
use super::texts;
use super::thread::Control;
use super::umctl::{self, Umctl};

impl Control {
    /// Answers UMCTL, its own word first; metadata is answered when all workers have it. `authority` is that of the
    /// sender.
    pub(super) fn answer_umctl(&mut self, args: &[Vec<u8>], authority: Result<(), Lack>, to: ReplyTo) {
        let mut reply = Vec::new();
        let umctl = match Umctl::parse(args) {
            Ok(umctl) => umctl,
            Err(error) => {
                error.write(&mut reply);
                return to.send(reply);
            }
        };
        if let (Some(what), Err(lack)) = (umctl.operators_part(), authority) {
            errors::write(&mut reply, &texts::not_an_operator(what, lack));
            return to.send(reply);
        }
        self.carry_out(umctl, reply, to);
    }

    fn carry_out(&mut self, umctl: Umctl, mut reply: Vec<u8>, to: ReplyTo) {
        match umctl {
            Umctl::SetCluster(command) => {
                let (epoch, ignored) = (command.view.epoch, command.ignored_config.clone());
                let is_leased = command.flags.leased;
                let held = self.cluster.held().clone();
                let outcome = self.cluster.set_cluster(*command);
                if outcome.is_ok() && !self.cluster.held().difference(&held).is_empty() {
                    self.hold_until = Some(hold_from_now());
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
            Umctl::SetRepl(command) => {
                let epoch = command.epoch;
                let outcome = self.cluster.set_repl(command);
                encode::simple(&mut reply, "OK");
                debug!(%epoch, ?outcome, "SETREPL");
                return self.apply_metadata(outcome, reply, to);
            }
            Umctl::Slowlog(request) => return self.pass_on(DeskCall::Slowlog(request, to)),
            Umctl::Stats => return self.pass_on(DeskCall::Stats(to)),
            Umctl::Shutdown => {
                warn!("told to end by UMCTL SHUTDOWN");
                self.shutdown.advance(Phase::Draining);
                encode::simple(&mut reply, "OK");
            }
            Umctl::Health(grant) => self.answer_health(grant.as_ref(), &mut reply),
            Umctl::Clean(epoch) => return self.clean(epoch, to),
            question => self.report(&question, &mut reply),
        }
        to.send(reply);
    }

    /// Has the questions' thread answer. Where too many operators ask it, this thread does not wait for it.
    fn pass_on(&self, call: DeskCall) {
        let refused = match self.desk.try_send(call) {
            Ok(()) => return,
            Err(TrySendError::Full(call) | TrySendError::Closed(call)) => call,
        };
        if let DeskCall::Slowlog(_, to) | DeskCall::Stats(to) = refused {
            let mut reply = Vec::new();
            errors::write(&mut reply, texts::TOO_MANY_CALLS);
            to.send(reply);
        }
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
            Umctl::Ready => encode::integer(reply, i64::from(self.readiness.is_ready())),
            Umctl::Info => {
                encode::bulk(reply, report::all(&self.cluster, &self.nodes, &self.readiness).as_bytes());
            }
            Umctl::InfoRepl => {
                encode::bulk(reply, report::replication(&self.cluster, &self.nodes).as_bytes());
            }
            // Finished migrations are told until they are committed; this proxy has finished none.
            Umctl::InfoMgr => encode::array(reply, 0),
            Umctl::Help => lines(umctl::HELP, reply),
            Umctl::SetCluster(_)
            | Umctl::SetRepl(_)
            | Umctl::Health(_)
            | Umctl::Clean(_)
            | Umctl::Slowlog(_)
            | Umctl::Stats
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
