//! Carrying out UMCTL: what comes from the control plane, and what it asks.

use keeper::Event;
use proxy_core::authority::Lack;
use proxy_core::errors;
use proxy_core::local::umctl_operators_part;
use resp::encode;
use service::shutdown::Phase;
use tokio::sync::mpsc::error::TrySendError;
use tracing::{debug, warn};

use super::holding;
use super::questions::DeskCall;
use super::reply_to::ReplyTo;
use super::report;
use super::texts;
use super::thread::Control;
use super::umctl::{self, Umctl};

impl Control {
    /// Answers UMCTL, its own word first; metadata is answered when all workers have it. `authority` is that of the
    /// sender: it is looked at before anything is understood, because that may take long.
    pub(super) fn answer_umctl(&mut self, args: &[Vec<u8>], authority: Result<(), Lack>, to: ReplyTo) {
        let mut reply = Vec::new();
        let part = umctl_operators_part(args.iter().skip(1).map(Vec::as_slice));
        if let (Some(what), Err(lack)) = (part, authority) {
            errors::write(&mut reply, &errors::not_an_operator(what, lack));
            return to.send(reply);
        }
        let umctl = match Umctl::parse(args) {
            Ok(umctl) => umctl,
            Err(error) => {
                error.write(&mut reply);
                return to.send(reply);
            }
        };
        self.carry_out(umctl, reply, to);
    }

    fn carry_out(&mut self, umctl: Umctl, mut reply: Vec<u8>, to: ReplyTo) {
        match umctl {
            Umctl::SetCluster(command) => {
                let (epoch, ignored) = (command.view.epoch, command.ignored_config.clone());
                debug!(%epoch, "SETCLUSTER");
                let done = if ignored.is_empty() { "OK".to_owned() } else { texts::ignored_config(&ignored) };
                return self.keep_for(to, &done, |caller| Event::SetCluster { caller, command });
            }
            Umctl::SetRepl(command) => {
                debug!(epoch = %command.epoch, "SETREPL");
                return self.keep_for(to, "OK", |caller| Event::SetRepl { caller, command });
            }
            Umctl::Health(grant) => {
                return self.keep_for(to, "OK", |caller| Event::Health { caller, grant });
            }
            Umctl::Clean(epoch) => return self.keep_for(to, "OK", |caller| Event::Clean { caller, epoch }),
            Umctl::Slowlog(request) => return self.pass_on(DeskCall::Slowlog(request, to)),
            Umctl::Stats => return self.pass_on(DeskCall::Stats(to)),
            Umctl::Shutdown => {
                warn!("told to end by UMCTL SHUTDOWN");
                self.shutdown.advance(Phase::Draining);
                encode::simple(&mut reply, "OK");
            }
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

    /// Answers what only asks.
    fn report(&self, question: &Umctl, reply: &mut Vec<u8>) {
        match question {
            Umctl::ListCluster => {
                let served = self.keeper.metadata().view().filter(|_| self.keeper.metadata().is_ready());
                encode::array(reply, usize::from(served.is_some()));
                if let Some(view) = served {
                    encode::bulk(reply, view.cluster.as_str().as_bytes());
                }
            }
            Umctl::GetEpoch => encode::integer(reply, self.keeper.metadata().epoch().0.cast_signed()),
            Umctl::Ready => encode::integer(reply, i64::from(self.readiness.is_ready())),
            Umctl::Info => {
                encode::bulk(reply, report::all(&self.keeper, &self.readiness).as_bytes());
            }
            Umctl::InfoRepl => {
                encode::bulk(reply, report::replication(&self.keeper).as_bytes());
            }
            // Finished migrations are told until they are committed; this proxy has finished none.
            Umctl::InfoMgr => encode::array(reply, 0),
            Umctl::View => holding::write(&self.keeper, reply),
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
