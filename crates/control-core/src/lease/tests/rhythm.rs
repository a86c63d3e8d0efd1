//! A coordinator that probes one proxy and reads the metadata, each in its own rhythm, and a proxy that takes leases.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::super::*;
use crate::{Command, FenceReason, NewProxy, State, TimeMs, apply};
use model::{Address, Moment};

/// How long a world is watched, in microseconds.
const WATCHED_US: u64 = 4_000_000;
/// Gaps count from then: the first lease may be by a token that is as old as the first reading is late.
const WARM_UP_US: u64 = 1_000_000;
/// How late a timer is. Always the same, so that a bad phase stays; what varies is [`Rhythm::jitter`].
const LATE_US: u64 = 1_000;

/// How long what takes. All in microseconds. Probing and reading take equally long by default, and so keep their phase.
#[derive(Clone, Copy, Debug)]
struct Rhythm {
    probe_interval: u64,
    /// From one process to the other.
    probe_latency: u64,
    /// From the beginning of a reading until the metadata is there.
    read_latency: u64,
    /// How long the first reading waits after the first probe.
    phase: u64,
    /// By how much each of these times is longer at random, at most.
    jitter: u64,
    lease_ms: u64,
    seed: u64,
}

const DEFAULT: Rhythm = Rhythm {
    probe_interval: 50_000,
    probe_latency: 750,
    read_latency: 1_500,
    phase: 0,
    jitter: 0,
    lease_ms: 400,
    seed: 1,
};

/// What is wrong with the coordinator, to see that the checks find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Each answer replaces the token before it, and only a probe that granted nothing is followed by another at once.
    OneToken,
    /// A reading is taken for as old as its end.
    ReadingsFromTheirEnd,
}

#[derive(Debug)]
enum Event {
    Probe,
    AtProxy {
        grant: Option<Grant>,
        asked: u64,
    },
    Answer {
        issued: u64,
        asked: u64,
    },
    ReadBegins,
    /// The store is looked at, between the beginning and the end of a reading.
    Looked {
        begun: u64,
    },
    ReadEnds {
        begun: u64,
        is_fenced: bool,
    },
    Fence,
}

/// What became of the proxy's lease.
#[derive(Debug, Default)]
struct Outcome {
    /// The longest time without a lease.
    gap: u64,
    /// By how much the lease outlasted the fence and its own length.
    too_long: u64,
    probes: u64,
}

struct World {
    rhythm: Rhythm,
    fault: Fault,
    random: u64,
    now: u64,
    /// By time, and by order of coming at one time.
    events: BTreeMap<(u64, u64), Event>,
    number: u64,
    states: [State; 2],
    is_fenced: bool,
    terms: LeaseTerms,
    tokens: Tokens,
    /// When the next probe is due; `None` while one is under way.
    next_probe: Option<(u64, u64)>,
    has_granted: bool,
    lease_until: Option<u64>,
    outcome: Outcome,
}

fn proxy() -> Address {
    "10.0.0.1:5299".parse().unwrap()
}

/// The metadata of one cluster, before and after a fence of the primary behind [`proxy`].
fn states() -> [State; 2] {
    let mut state = State::default();
    for host in 1..=2 {
        let address = |port: u16| Address::new(&format!("10.0.0.{host}"), port).unwrap();
        let nodes = vec![address(6379), address(6380)];
        let new = NewProxy { address: address(5299), nodes, host: None, index: None };
        apply(&mut state, Command::RegisterProxy(new)).unwrap();
    }
    let (cluster, config): (model::ClusterName, _) = ("c".parse().unwrap(), BTreeMap::new());
    let create = Command::CreateCluster { cluster: cluster.clone(), node_number: 4, config, now: TimeMs(1) };
    apply(&mut state, create).unwrap();
    let chunk = &state.clusters.values().next().unwrap().chunks[0];
    let half = chunk.half_of(&proxy()).unwrap();
    let primary = chunk.primary(half).clone();
    let mut fenced = state.clone();
    let fence = Command::FenceShard { cluster, primary, reason: FenceReason::Dead, now: TimeMs(2) };
    apply(&mut fenced, fence).unwrap();
    [state, fenced]
}

impl World {
    fn new(rhythm: Rhythm, fault: Fault, states: &[State; 2]) -> Self {
        let mut states = states.clone();
        states.iter_mut().for_each(|state| state.lease_limit = state.lease_limit.raised(rhythm.lease_ms));
        let mut world = Self {
            rhythm,
            fault,
            random: rhythm.seed,
            now: 0,
            events: BTreeMap::new(),
            number: 0,
            states,
            is_fenced: false,
            terms: LeaseTerms::none(),
            tokens: Tokens::new(proxy()),
            next_probe: None,
            has_granted: false,
            lease_until: None,
            outcome: Outcome::default(),
        };
        world.next_probe = Some(world.after(0, Event::Probe));
        world.after(rhythm.phase, Event::ReadBegins);
        world
    }

    fn random(&mut self, below: u64) -> u64 {
        // Numerical Recipes' constants: good enough to vary a delay.
        self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223) % (1 << 32);
        if below == 0 { 0 } else { (self.random >> 8) % below }
    }

    fn after(&mut self, delay: u64, event: Event) -> (u64, u64) {
        let jitter = self.rhythm.jitter;
        let key = (self.now + delay + self.random(jitter), self.number);
        self.number += 1;
        self.events.insert(key, event);
        key
    }

    /// Runs until the end, or until a while after the fence.
    fn run(mut self, fence_at: Option<u64>) -> Outcome {
        if let Some(at) = fence_at {
            self.events.insert((at, u64::MAX), Event::Fence);
        }
        while let Some(((at, _), event)) = self.events.pop_first() {
            if at > WATCHED_US {
                break;
            }
            self.now = at;
            self.happen(event);
            if let (Some(fenced), Some(until)) = (fence_at, self.lease_until) {
                let longest = fenced + self.rhythm.lease_ms * 1_000;
                self.outcome.too_long = self.outcome.too_long.max(until.saturating_sub(longest));
            }
        }
        self.note_gap();
        self.outcome
    }

    fn note_gap(&mut self) {
        if let Some(until) = self.lease_until.filter(|_| !self.is_fenced && self.now > WARM_UP_US) {
            self.outcome.gap = self.outcome.gap.max(self.now.saturating_sub(until));
        }
    }

    fn happen(&mut self, event: Event) {
        let now = Moment(Duration::from_micros(self.now));
        let Rhythm { probe_latency, read_latency, probe_interval, lease_ms, .. } = self.rhythm;
        match event {
            Event::Probe => {
                self.next_probe = None;
                self.outcome.probes += 1;
                let (grant, asked) = (self.tokens.grant(&self.terms, now), self.now);
                self.has_granted = grant.is_some();
                self.after(probe_latency, Event::AtProxy { grant, asked });
            }
            Event::AtProxy { grant, asked } => {
                self.note_gap();
                if let Some(grant) = grant {
                    let issued: u64 = std::str::from_utf8(&grant.token).unwrap().parse().unwrap();
                    self.lease_until = self.lease_until.max(Some(issued + grant.for_ms * 1_000));
                }
                let issued = self.now;
                self.after(probe_latency, Event::Answer { issued, asked });
            }
            Event::Answer { issued, asked } => {
                if self.fault == Fault::OneToken {
                    self.tokens = Tokens::new(proxy());
                }
                let (token, asked) = (issued.to_string().into_bytes(), Moment(Duration::from_micros(asked)));
                let view_epoch = self.states[0].clusters.values().next().unwrap().epoch;
                self.tokens.answered(ProbeAnswer { token, asked, came: now, view_epoch });
                self.next_probe = Some(self.after(probe_interval + LATE_US, Event::Probe));
                self.hurry();
            }
            Event::ReadBegins => {
                let (begun, before) = (self.now, self.random(read_latency));
                self.after(before, Event::Looked { begun });
            }
            Event::Looked { begun } => {
                let (is_fenced, left) = (self.is_fenced, (begun + read_latency).saturating_sub(self.now));
                self.after(left, Event::ReadEnds { begun, is_fenced });
            }
            Event::ReadEnds { begun, is_fenced } => {
                let read_at = match self.fault {
                    Fault::ReadingsFromTheirEnd => now,
                    Fault::None | Fault::OneToken => Moment(Duration::from_micros(begun)),
                };
                self.terms = LeaseTerms::of(&self.states[usize::from(is_fenced)], lease_ms, read_at);
                let took = Duration::from_micros(self.now - begun);
                let pause = pause_after_reading(took, lease_ms).as_micros();
                let pause = u64::try_from(pause).unwrap() + LATE_US;
                self.after(pause, Event::ReadBegins);
                self.hurry();
            }
            Event::Fence => {
                self.note_gap();
                self.is_fenced = true;
            }
        }
    }

    /// Between two probes: the next is sent at once where the lease needs it.
    fn hurry(&mut self) {
        let Some(due) = self.next_probe else { return };
        let may_hurry = self.fault != Fault::OneToken || !self.has_granted;
        if may_hurry && self.tokens.hurries(&self.terms, Moment(Duration::from_micros(due.0))) {
            self.events.remove(&due);
            self.next_probe = Some(self.after(0, Event::Probe));
        }
    }
}

fn watch(rhythm: Rhythm, fault: Fault, states: &[State; 2], fence_at: Option<u64>) -> Outcome {
    World::new(rhythm, fault, states).run(fence_at)
}

/// Every phase of one rhythm, in steps of that many microseconds.
fn phases(rhythm: Rhythm, step: usize) -> impl Iterator<Item = Rhythm> {
    (0..=rhythm.probe_interval + rhythm.read_latency).step_by(step).map(move |phase| Rhythm {
        phase,
        seed: phase + 1,
        ..rhythm
    })
}

#[test]
fn a_lease_never_ends_in_any_phase() {
    let states = states();
    let rhythms = [
        DEFAULT,
        Rhythm { read_latency: 50, ..DEFAULT },
        Rhythm { probe_latency: 5_000, read_latency: 10_000, jitter: 3_000, ..DEFAULT },
        Rhythm { probe_latency: 15_000, jitter: 3_000, ..DEFAULT },
        Rhythm { read_latency: 100_000, ..DEFAULT },
        Rhythm { read_latency: 120_000, ..DEFAULT },
        Rhythm { probe_interval: 10_000, ..DEFAULT },
        Rhythm { probe_interval: 10_000, lease_ms: 100, ..DEFAULT },
        // Probed less often than a lease lasts: each reading has a probe sent.
        Rhythm { probe_interval: 1_000_000, ..DEFAULT },
        // As many proxies make it.
        Rhythm { probe_interval: 500_000, lease_ms: 1_300, read_latency: 125_000, ..DEFAULT },
        Rhythm { probe_interval: 500_000, lease_ms: 1_300, jitter: 30_000, ..DEFAULT },
    ];
    for rhythm in rhythms.into_iter().flat_map(|rhythm| phases(rhythm, 997)) {
        let outcome = watch(rhythm, Fault::None, &states, None);
        assert_eq!(outcome.gap, 0, "{outcome:?} {rhythm:?}");
    }
}

#[test]
fn one_token_is_too_few() {
    let states = states();
    let gaps = phases(DEFAULT, 97).filter(|rhythm| watch(*rhythm, Fault::OneToken, &states, None).gap > 0);
    assert!(gaps.count() > 0, "the check does not find the fault that it is for");
}

#[test]
fn leases_cost_no_probe_more_where_the_interval_is_short() {
    let states = states();
    for rhythm in phases(DEFAULT, 997) {
        let outcome = watch(rhythm, Fault::None, &states, None);
        let expected = WATCHED_US / rhythm.probe_interval;
        // At the beginning there is one more, because the proxy has no lease yet.
        assert!(outcome.probes <= expected + 2, "{outcome:?} {rhythm:?}");
    }
}

fn rhythm() -> impl Strategy<Value = (Rhythm, u64)> {
    let times = (5_000..600_000_u64, 0..20_000_u64, 2..60_000_u64, 0..600_000_u64, 0..8_000_u64);
    (times, 200..2_000_u64, any::<u32>(), 0..WATCHED_US / 2).prop_map(|(times, lease_ms, seed, fence_at)| {
        let (probe_interval, probe_latency, read_latency, phase, jitter) = times;
        let seed = u64::from(seed);
        (Rhythm { probe_interval, probe_latency, read_latency, phase, jitter, lease_ms, seed }, fence_at)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_lease_outlasts_a_fence_by_more_than_its_length((rhythm, fence_at) in rhythm()) {
        let outcome = watch(rhythm, Fault::None, &states(), Some(fence_at));
        prop_assert_eq!(outcome.too_long, 0);
    }

    #[test]
    fn no_lease_ends_where_probing_and_reading_leave_it_time((rhythm, _) in rhythm(), more_ms in 0..500_u64) {
        // A token is granted that came one probe before a reading began, the reading is one behind, and the grant is
        // under way while the next is wanted; each takes as long as it may.
        let late = LATE_US + rhythm.jitter;
        let reading = rhythm.read_latency + 2 * late;
        let pause = pause_after_reading(Duration::from_micros(reading), 3_600_000).as_micros();
        let between = 2 * reading + u64::try_from(pause).unwrap() + late;
        let round_trip = 2 * (rhythm.probe_latency + rhythm.jitter);
        let needed = 2 * between + (rhythm.probe_interval + late).min(between) + 5 * round_trip;
        let rhythm = Rhythm { lease_ms: needed / 1_000 + 1 + more_ms, ..rhythm };
        let outcome = watch(rhythm, Fault::None, &states(), None);
        prop_assert_eq!(outcome.gap, 0);
    }
}

#[test]
fn a_reading_counted_from_its_end_is_found() {
    let states = states();
    let mut found = Vec::new();
    for rhythm in phases(Rhythm { read_latency: 40_000, ..DEFAULT }, 499) {
        let outcome =
            watch(rhythm, Fault::ReadingsFromTheirEnd, &states, Some(1_000_000 + rhythm.phase * 7 % 200_000));
        found.extend((outcome.too_long > 0).then_some(rhythm));
    }
    assert!(!found.is_empty(), "the check does not find the fault that it is for");
}
