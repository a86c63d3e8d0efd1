//! A coordinator: the real observation, leases and `reconcile`, in a shell that keeps the rhythm of the real one.

mod parts;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use control_core::{
    Action, Command, Hearing, LeaseTerms, Observed, ProbeAnswer, ReadingNote, ReporterId, State, TimeMs,
    Tokens, desired_view, pause_after_reading, reconcile,
};
use model::{Address, Moment};

use crate::event::{BrokerAnswer, BrokerAsk, Event, Process, ProxyAnswer, ProxyAsk};
use crate::out::Out;
use crate::planted::Planted;
use parts::{Probing, Push, Pushed};

pub(crate) use parts::{CoordinatorStart, Watch};

/// Between two probes of one proxy, and how long one may take.
const PROBE_INTERVAL: Duration = Duration::from_millis(50);
const PROBE_LIMIT_US: u64 = 200_000;
/// Between two turns, at most and at least.
const TURN_INTERVAL: Duration = Duration::from_millis(50);
const TURN_INTERVAL_MIN: Duration = Duration::from_millis(2);
/// How long a broker may take.
const BROKER_LIMIT_US: u64 = 1_000_000;
/// How long a push may take, and how long after one that failed the next is tried.
const PUSH_LIMIT_US: u64 = 1_000_000;
const PUSH_RETRY: Duration = Duration::from_millis(200);
/// A push that was decided on is sent within that time.
const SEND_US_MAX: u64 = 1_000;

/// One process of a coordinator.
#[derive(Debug)]
pub(crate) struct Coordinator {
    observed: Observed,
    brokers: usize,
    broker: usize,
    reading: Option<Arc<State>>,
    terms: LeaseTerms,
    hearing: Hearing,
    /// The reading that is under way, when it began, and what was said with it.
    read: Option<(u64, Moment, ReadingNote)>,
    reads_again: bool,
    probing: BTreeMap<usize, Probing>,
    pushes: BTreeMap<usize, Push>,
    pushed: BTreeMap<usize, Pushed>,
    commands: VecDeque<Command>,
    applying: Option<u64>,
    /// Whether the command that is under way has somebody served again: its proxy is told at once.
    ends_an_outage: bool,
    /// When the last commands came to an end: a reading from before does not have them.
    applied: Option<Moment>,
    read_at: Moment,
    next_turn: Moment,
    last_turn: Moment,
    next: u64,
}

impl Coordinator {
    /// A process that was just started.
    pub(crate) fn start(start: CoordinatorStart, watch: Watch<'_>, out: &mut Out) -> Self {
        let name = ReporterId(format!("coordinator-{}", start.number));
        out.soon(1_000, Event::Read);
        out.soon(10_000, Event::Wake);
        Self {
            observed: Observed::new(name, start.timing, watch.date),
            brokers: start.brokers,
            broker: start.broker,
            reading: None,
            terms: LeaseTerms::none(),
            hearing: Hearing::new(start.reader),
            read: None,
            reads_again: false,
            probing: BTreeMap::new(),
            pushes: BTreeMap::new(),
            pushed: BTreeMap::new(),
            commands: VecDeque::new(),
            applying: None,
            ends_an_outage: false,
            applied: None,
            read_at: Moment::default(),
            next_turn: watch.moment,
            last_turn: watch.moment,
            next: 0,
        }
    }

    /// Something happens.
    pub(crate) fn handle(&mut self, event: Event, watch: Watch<'_>, out: &mut Out) {
        match event {
            Event::Read => self.read(watch, out),
            Event::FromBroker(request, answer) => self.broker_answered(request, answer, watch, out),
            Event::Probe(proxy) => self.probe_due(proxy, watch, out),
            Event::FromProxy(request, answer) => self.proxy_answered(request, answer, watch, out),
            Event::Send(proxy, request) => self.send_push(proxy, request, out),
            Event::Wake if watch.moment >= self.next_turn => self.turn(watch, out),
            Event::Wake => {}
            _ => unreachable!("not for a coordinator"),
        }
    }

    fn request(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn ask_broker(&mut self, ask: BrokerAsk, out: &mut Out) -> u64 {
        let request = self.request();
        out.send(Process::Broker(self.broker), Event::AskBroker(out.reply(request), ask));
        out.later(BROKER_LIMIT_US, Event::FromBroker(request, None));
        request
    }

    fn read(&mut self, watch: Watch<'_>, out: &mut Out) {
        if self.read.is_some() {
            self.reads_again = true;
            return;
        }
        let mut note = self.hearing.begin(watch.proxies.iter(), PROBE_INTERVAL * 2, watch.moment);
        if watch.planted == Some(Planted::SilenceInvented) {
            note.silent = watch.proxies.iter().map(|proxy| (proxy.clone(), 1)).collect();
        }
        let request = self.ask_broker(BrokerAsk::Read(note.clone()), out);
        self.read = Some((request, watch.moment, note));
    }

    fn broker_answered(
        &mut self,
        request: u64,
        answer: Option<BrokerAnswer>,
        watch: Watch<'_>,
        out: &mut Out,
    ) {
        if answer.is_none()
            && (self.applying == Some(request)
                || self.read.as_ref().is_some_and(|(read, ..)| *read == request))
        {
            self.broker = (self.broker + 1) % self.brokers;
        }
        if let Some((_, begun, note)) = self.read.take_if(|(read, ..)| *read == request) {
            let took = watch.moment.since(begun);
            let mut pause = control_core::READ_INTERVAL;
            if let Some(BrokerAnswer::State(state, left)) = answer {
                let left = left.iter().map(|(proxy, left_ms)| (proxy, *left_ms));
                self.observed.note_leases_left(left, TimeMs(watch.date.0 + 1));
                self.take_reading(state, (begun, note), watch, out);
                pause = pause_after_reading(took, self.observed.timing.lease_ms);
            }
            if std::mem::take(&mut self.reads_again) {
                return self.read(watch, out);
            }
            out.at(watch.moment.plus(pause), Event::Read);
        } else if self.applying == Some(request) {
            self.applying = None;
            match answer {
                Some(BrokerAnswer::Applied) if !self.commands.is_empty() => {
                    if self.ends_an_outage {
                        self.read(watch, out);
                    }
                    self.apply_next(out);
                }
                _ => {
                    self.commands.clear();
                    self.applied = Some(watch.moment);
                    self.read(watch, out);
                }
            }
        }
    }

    fn take_reading(
        &mut self,
        state: Arc<State>,
        (begun, note): (Moment, ReadingNote),
        watch: Watch<'_>,
        out: &mut Out,
    ) {
        let lease_ms = self.observed.timing.lease_ms;
        let is_same = self.reading.as_ref().is_some_and(|before| Arc::ptr_eq(before, &state));
        if !is_same {
            self.terms = LeaseTerms::of(&state, lease_ms, begun);
        } else if watch.planted != Some(Planted::TermsNotRenewed) {
            self.terms = self.terms.again(lease_ms, begun);
        }
        self.terms = self.terms.clone().noted(note.silent, begun);
        self.reading = Some(state);
        self.read_at = begun;
        if self.applied.take_if(|applied| begun >= *applied).is_some() || !is_same {
            self.turn_soon(watch, out);
        }
        for place in 0..watch.proxies.len() {
            match self.probing.get(&place) {
                None => {
                    let tokens = Tokens::new(watch.proxies[place].clone());
                    self.probing.insert(place, Probing { tokens, asked: None, next: watch.moment });
                    out.soon(50_000, Event::Probe(place));
                }
                Some(probing)
                    if probing.asked.is_none() && probing.tokens.hurries(&self.terms, probing.next) =>
                {
                    self.probe(place, watch, out);
                }
                Some(_) => {}
            }
        }
    }

    fn probe_due(&mut self, place: usize, watch: Watch<'_>, out: &mut Out) {
        let Some(probing) = self.probing.get(&place) else { return };
        if probing.asked.is_none() && watch.moment >= probing.next {
            self.probe(place, watch, out);
        }
    }

    fn probe(&mut self, place: usize, watch: Watch<'_>, out: &mut Out) {
        let request = self.request();
        let Some(probing) = self.probing.get_mut(&place) else { return };
        let grant = probing.tokens.grant(&self.terms, watch.moment);
        let grant = grant.map(|grant| keeper::LeaseGrant {
            token: grant.token,
            length: Duration::from_millis(grant.for_ms),
        });
        probing.asked = Some((request, watch.moment));
        out.send(Process::Proxy(place), Event::AskProxy(out.reply(request), ProxyAsk::Health(grant)));
        out.later(PROBE_LIMIT_US, Event::FromProxy(request, None));
    }

    fn proxy_answered(&mut self, request: u64, answer: Option<ProxyAnswer>, watch: Watch<'_>, out: &mut Out) {
        let is_probe = |probing: &Probing| probing.asked.is_some_and(|(asked, _)| asked == request);
        if let Some(place) =
            self.probing.iter().find(|(_, probing)| is_probe(probing)).map(|(place, _)| *place)
        {
            return self.probed(place, answer, watch, out);
        }
        let is_push = |push: &Push| push.request == request;
        if let Some(place) = self.pushes.iter().find(|(_, push)| is_push(push)).map(|(place, _)| *place) {
            self.push_answered(place, answer.as_ref(), watch, out);
        }
    }

    fn probed(&mut self, place: usize, answer: Option<ProxyAnswer>, watch: Watch<'_>, out: &mut Out) {
        let proxy = &watch.proxies[place];
        let Some(probing) = self.probing.get_mut(&place) else { return };
        let Some((_, asked)) = probing.asked.take() else { return };
        probing.next = watch.moment.plus(PROBE_INTERVAL);
        out.at(probing.next, Event::Probe(place));
        let Some(ProxyAnswer::Health(answer)) = answer else {
            probing.tokens.reconnected();
            return self.observed.note_no_answer(proxy, true, watch.date);
        };
        self.hearing.came(proxy, watch.moment);
        probing.tokens.answered(ProbeAnswer {
            token: answer.token,
            asked,
            came: watch.moment,
            view_epoch: answer.health.view_epoch,
        });
        self.pushed.entry(place).or_default().heard = Some(watch.moment);
        let known = self.observed.proxies.get(proxy).and_then(|seen| seen.health.as_ref());
        let key = |health: &model::ProxyHealth| {
            let node = |node: &model::NodeHealth| {
                (
                    std::mem::discriminant(&node.state),
                    node.restarted,
                    node.role,
                    node.attached,
                    node.replicated,
                )
            };
            (health.view_epoch, health.roles_epoch, health.nodes.iter().map(node).collect::<Vec<_>>())
        };
        let is_news = known.is_none_or(|known| key(known) != key(&answer.health));
        let asked_date = TimeMs(watch.date.0 - whole_ms(watch.moment.since(asked)));
        self.observed.note_answer(proxy, answer.health, asked_date, watch.date);
        if is_news {
            self.turn_soon(watch, out);
        }
    }

    fn turn_soon(&mut self, watch: Watch<'_>, out: &mut Out) {
        let soonest = self.last_turn.plus(TURN_INTERVAL_MIN).max(watch.moment);
        if soonest < self.next_turn {
            self.next_turn = soonest;
            out.at(soonest, Event::Wake);
        }
    }

    fn turn(&mut self, watch: Watch<'_>, out: &mut Out) {
        self.last_turn = watch.moment;
        self.next_turn = watch.moment.plus(TURN_INTERVAL);
        self.act(watch, out);
        if let Some(due) = self.observed.due_after(watch.date) {
            let due = watch.moment.plus(Duration::from_millis(due.since(watch.date)));
            self.next_turn = self.next_turn.min(due.max(watch.moment.plus(TURN_INTERVAL_MIN)));
        }
        out.at(self.next_turn, Event::Wake);
    }

    fn act(&mut self, watch: Watch<'_>, out: &mut Out) {
        let Some(state) = self.reading.clone() else { return };
        let read_at = if watch.planted == Some(Planted::AnyProcessTold) {
            TimeMs(watch.date.0 + 1)
        } else {
            // In whole milliseconds, and never later than it was.
            TimeMs(watch.date.0.saturating_sub(whole_ms(watch.moment.since(self.read_at)) + 1))
        };
        self.observed.note_state(&state, read_at, watch.date);
        if watch.planted == Some(Planted::ReportsForgotten) {
            self.observed.reports.clear();
        }
        let mut commands = VecDeque::new();
        for action in reconcile(&state, &self.observed, watch.date) {
            match action {
                Action::Apply(command) => commands.push_back(command),
                Action::Push { proxy, process, makes_do, .. } => {
                    let Some((mut roles, view)) = desired_view(&state, &proxy) else { continue };
                    (roles.flags.force, roles.flags.leased) = (makes_do.is_some(), makes_do.is_some());
                    roles.processes = makes_do.unwrap_or_default();
                    let left = [ProxyAsk::SetRepl(roles), ProxyAsk::SetCluster(Box::new(view))];
                    let left = left.map(|ask| ProxyAsk::ByProcess(process.clone(), Box::new(ask))).into();
                    self.push(&proxy, Push { request: 0, left, cleans: None }, watch, out);
                }
                Action::Clean { proxy, process, epoch } => {
                    let left = [ProxyAsk::ByProcess(process, Box::new(ProxyAsk::Clean(epoch)))].into();
                    self.push(&proxy, Push { request: 0, left, cleans: Some(epoch) }, watch, out);
                }
            }
        }
        if !commands.is_empty() && self.applying.is_none() && self.applied.is_none() {
            self.commands = commands;
            self.apply_next(out);
        }
    }

    fn apply_next(&mut self, out: &mut Out) {
        if let Some(command) = self.commands.pop_front() {
            self.ends_an_outage = command.ends_an_outage();
            self.applying = Some(self.ask_broker(BrokerAsk::Apply(Box::new(command)), out));
        }
    }

    fn push(&mut self, proxy: &Address, push: Push, watch: Watch<'_>, out: &mut Out) {
        let place = watch.proxies.iter().position(|known| known == proxy).expect("it is registered");
        let pushed = self.pushed.entry(place).or_default();
        let is_known = pushed.ended.is_none_or(|ended| pushed.heard.is_some_and(|heard| heard > ended));
        if self.pushes.contains_key(&place) || watch.moment < pushed.not_before || !is_known {
            return;
        }
        let request = self.request();
        self.pushes.insert(place, Push { request, ..push });
        out.soon(SEND_US_MAX, Event::Send(place, request));
    }

    fn send_push(&mut self, place: usize, request: u64, out: &mut Out) {
        let Some(push) = self.pushes.get_mut(&place).filter(|push| push.request == request) else { return };
        let Some(ask) = push.left.pop_front() else { return };
        out.send(Process::Proxy(place), Event::AskProxy(out.reply(request), ask));
        out.later(PUSH_LIMIT_US, Event::FromProxy(request, None));
    }

    fn push_answered(&mut self, place: usize, answer: Option<&ProxyAnswer>, watch: Watch<'_>, out: &mut Out) {
        let is_done = matches!(answer, Some(ProxyAnswer::Done));
        let request = self.request();
        let Some(push) = self.pushes.get_mut(&place) else { return };
        if is_done && !push.left.is_empty() {
            push.request = request;
            return out.soon(SEND_US_MAX, Event::Send(place, request));
        }
        if !is_done && watch.planted == Some(Planted::PushedOnce) {
            push.request = 0;
            return;
        }
        let cleaned = push.cleans;
        self.pushes.remove(&place);
        let pushed = self.pushed.entry(place).or_default();
        if is_done {
            pushed.ended = Some(watch.moment);
        } else {
            pushed.not_before = watch.moment.plus(PUSH_RETRY);
        }
        if let Some(epoch) = cleaned.filter(|_| is_done) {
            let proxy = watch.proxies[place].clone();
            self.ask_broker(BrokerAsk::Apply(Box::new(Command::ProxyCleaned { proxy, epoch })), out);
        }
        if let Some(probing) = self.probing.get_mut(&place) {
            probing.next = watch.moment;
            out.soon(100, Event::Probe(place));
        }
    }
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
