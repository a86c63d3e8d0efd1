//! Commands of clients that concern all workers.

use std::collections::BTreeMap;
use std::sync::Arc;

use proxy_core::authority::{self, Lack};
use proxy_core::engine::Pause;
use proxy_core::errors;
use proxy_core::local::client::{ClientKill, ClientPause, ClientType, PauseMode};
use proxy_core::local::{Assignment, ControlRequest};
use proxy_core::profile::Profile;
use proxy_core::slowlog::SlowlogRequest;
use resp::encode;
use tokio::sync::oneshot;

use super::super::orders::Order;
use super::super::process;
use super::super::reply_to::ReplyTo;
use super::desk::Desk;
use super::info::{self, InfoSources};
use super::listing::ListAsk;
use super::wait::gone;
use crate::clock;

impl Desk {
    /// Answers a command of a client, now or when the workers have done their part. `left` ends when the client leaves.
    pub(super) fn answer_local(
        &mut self,
        request: ControlRequest,
        asker: &Profile,
        to: ReplyTo,
        left: Option<oneshot::Receiver<()>>,
    ) {
        let mut reply = Vec::new();
        if let Some(what) = operators_part(&request)
            && let Err(lack) = self.authority(asker)
        {
            errors::write(&mut reply, &errors::not_an_operator(what, lack));
            return to.send(reply);
        }
        match request {
            ControlRequest::ClientList(filter) => {
                let (protocol, table) = (asker.protocol, self.picture.borrow().shared.table.clone());
                return self.listings.ask(ListAsk { filter, protocol, table, to }, &self.line);
            }
            ControlRequest::ClientKill(kill) => return self.kill_clients(kill, asker, to, left),
            ControlRequest::ClientPause(ClientPause { for_ms, mode }) => {
                let until_us = clock::micros(clock::now()).saturating_add(for_ms.saturating_mul(1000));
                self.line.pause(Some(Pause { until_us, writes_only: mode == PauseMode::Write }));
                encode::simple(&mut reply, "OK");
            }
            ControlRequest::ClientUnpause => {
                self.line.pause(None);
                encode::simple(&mut reply, "OK");
            }
            // The only command that blocks its client is WAIT, which ends by itself.
            ControlRequest::ClientUnblock { .. } => encode::integer(&mut reply, 0),
            ControlRequest::ConfigSet(pairs) => return self.set_config(pairs, to),
            ControlRequest::ConfigResetStat => {
                self.counts.reset(self.snapshot());
                encode::simple(&mut reply, "OK");
            }
            ControlRequest::Slowlog(request) => self.slowlog.answer(request, &mut reply),
            ControlRequest::Wait(request) => {
                return self.waits.start(&self.picture.borrow(), &request, to, left);
            }
            ControlRequest::Info(sections) => return self.info(sections, asker.clone(), to),
        }
        to.send(reply);
    }

    fn authority(&self, asker: &Profile) -> Result<(), Lack> {
        authority::of_session(asker, self.picture.borrow().settings.control_password.as_ref())
    }

    /// INFO, when the nodes have told of their keys where that is asked for.
    fn info(&self, sections: Vec<String>, asker: Profile, to: ReplyTo) {
        let nodes = if proxy_core::info::asks_for_keys(&sections) {
            info::nodes_with_keys(&self.picture.borrow(), asker.face)
        } else {
            Vec::new()
        };
        let asked = self.keyspaces.ask(nodes);
        let mut sources = InfoSources {
            process: self.process.clone(),
            snapshot: self.counts.since_reset(&self.snapshot()),
            rates: self.counts.rates(),
            waits: self.waits.running(),
            keyspaces: BTreeMap::new(),
        };
        let picture = self.picture.clone();
        tokio::spawn(async move {
            sources.keyspaces = asked.await;
            let mut reply = Vec::new();
            info::reply(&picture.borrow(), &sources, &sections, &asker, &mut reply);
            to.send(reply);
        });
    }

    /// Who is no operator cannot close the sessions of those who have said that they are: it would take a coordinator's
    /// connection away.
    fn kill_clients(
        &self,
        kill: ClientKill,
        asker: &Profile,
        to: ReplyTo,
        left: Option<oneshot::Receiver<()>>,
    ) {
        let mut filter = kill.filter.clone();
        if kill.skip_me {
            filter.skip = Some(asker.id);
        }
        let (now_ms, spares_operators) = (process::unix_us() / 1000, self.authority(asker).is_err());
        let picks = move |profile: &Profile| {
            !(spares_operators && profile.operator) && filter.matches(profile, ClientType::Normal, now_ms)
        };
        // So does another proxy call back what it has given up: it has to be told by all workers, also by one that hangs.
        let is_call_back = kill.filter.address.is_some();
        let killed = self.line.kill(Some(asker.id), &(Arc::new(picks) as _), is_call_back);
        tokio::spawn(async move {
            let mut reply = Vec::new();
            let closed = if is_call_back {
                tokio::select! {
                    closed = killed.every() => closed,
                    () = gone(left) => return,
                }
            } else {
                killed.all().await
            };
            kill.reply(closed.into_iter().sum(), &mut reply);
            to.send(reply);
        });
    }

    /// CONFIG SET: the control thread carries it out. One client's at a time, so that it has other work in between.
    fn set_config(&self, pairs: Vec<Assignment>, to: ReplyTo) {
        let (orders, turn) = (self.orders.clone(), self.settings_turn.clone());
        tokio::spawn(async move {
            // Neither the semaphore nor the control thread ends before the sessions do.
            let Ok(_turn) = turn.acquire().await else { return };
            let (caller, answered) = oneshot::channel();
            if orders.send(Order::Settings(pairs, ReplyTo::Caller(caller))).await.is_ok()
                && let Ok(reply) = answered.await
            {
                to.send(reply);
            }
        });
    }
}

/// What of the requests of clients changes the proxy for others, or hides what it did, by its name.
fn operators_part(request: &ControlRequest) -> Option<&'static str> {
    match request {
        ControlRequest::ConfigSet(_) => Some("CONFIG SET"),
        ControlRequest::ConfigResetStat => Some("CONFIG RESETSTAT"),
        ControlRequest::Slowlog(SlowlogRequest::Reset) => Some("SLOWLOG RESET"),
        _ => None,
    }
}
