//! Driving the keeper: it hears what happened, and what it wants done is done.

use std::time::Duration;

use keeper::{Action, Caller, Event as Happened, Purpose};
use model::Address;
use resp::encode;
use tracing::info;

use super::clean::empty_all;
use super::event::Event;
use super::node_line::NodeOrder;
use super::node_process;
use super::reply_to::ReplyTo;
use super::thread::Control;
use crate::clock;

impl Control {
    /// Tells the keeper something and has done what it wants.
    pub(super) fn keep(&mut self, event: Happened) {
        let is_applied = matches!(event, Happened::Applied);
        let actions = self.keeper.handle(clock::now(), event);
        if is_applied {
            let metadata = self.keeper.metadata();
            info!(epoch = %metadata.epoch(), roles = %metadata.roles_epoch(), "metadata is in force");
        }
        actions.into_iter().for_each(|action| self.act(action));
    }

    /// UMCTL that the keeper answers; `done` is the reply if it is done.
    pub(super) fn keep_for(&mut self, to: ReplyTo, done: &str, event: impl FnOnce(Caller) -> Happened) {
        let mut reply = Vec::new();
        encode::simple(&mut reply, done);
        let caller = self.callers.add(to, reply);
        self.keep(event(caller));
    }

    /// How long the keeper needs no call if nothing happens.
    pub(super) fn keeper_rests(&self) -> Option<Duration> {
        self.keeper.wakes_at().map(|at| at.since(clock::now()))
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Apply => {
                let applied = self.push_metadata();
                self.then(async move {
                    applied.every().await;
                    Happened::Applied
                });
            }
            Action::Answer { caller, answer } => self.callers.answer(caller, answer),
            Action::Visit { node, visit } => self.nodes.order(&node, NodeOrder::Visit(visit)),
            Action::SetRole { node, visit, role, anew } => {
                self.nodes.order(&node, NodeOrder::SetRole { visit, role, anew });
            }
            Action::Forget { node } => self.nodes.forget(&node),
            Action::AskReplica { ask, primary, replica, purpose } => {
                let pair = self.nodes.pair(primary, replica);
                match purpose {
                    Purpose::Heartbeat => self.nodes.beat(ask, pair),
                    Purpose::Handover => self.then(async move {
                        let has_acknowledged = pair.is_replicated().await;
                        Happened::Asked { ask, has_acknowledged, replica_after: Duration::ZERO }
                    }),
                }
            }
            Action::EndHeartbeat { primary, replica } => self.nodes.end_heartbeat(primary, replica),
            Action::AskOwed { ask, nodes } => {
                let owed = self.workers.line().owed(&nodes);
                self.then(async move { Happened::Owed { ask, replies: owed.all().await.into_iter().sum() } });
            }
            Action::CutOff { order, nodes } => {
                let given_up = self.workers.line().cut_off(&nodes);
                self.then(async move {
                    given_up.every().await;
                    Happened::CutOff { order }
                });
            }
            Action::Fence(fences) => self.fences.set(fences),
            Action::LookAtProcess { node, process } => {
                let seen = node_process::look(&node, &process);
                self.then(async move { Happened::Process { node, seen } });
            }
            Action::Lives { node, until } => self.shared.lives.set(&node, clock::micros(until)),
            Action::Clean { nodes } => self.empty(nodes),
        }
    }

    fn empty(&self, nodes: Vec<Address>) {
        let limit = Duration::from_millis(self.shared.settings.backend_timeout_ms);
        let password = self.backend_password.clone();
        self.then(async move { Happened::Cleaned(empty_all(nodes, password.as_ref(), limit).await) });
    }

    /// Has the keeper told what comes of a task.
    fn then(&self, task: impl Future<Output = Happened> + Send + 'static) {
        let events = self.events.clone();
        tokio::spawn(async move {
            // The control thread outlives its tasks.
            let _ = events.send(Event::Keeper(task.await));
        });
    }
}
