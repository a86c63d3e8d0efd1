//! A whole run: starts the targets, goes through the cases in alternating rounds, collects the samples.
//! A target that fails is left out with a note; it must never spoil the others or be silently missing.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};

use crate::cores::{self, Cores};
use crate::goals;
use crate::idle;
use crate::load::data::{self, Served};
use crate::load::{Driver, Outcome};
use crate::machine::{self, Machine};
use crate::options::Options;
use crate::plan::{self, Audience, Case, Division, LARGE_BYTES, Load, Operation};
use crate::report::{CaseResult, Idle, Report, TargetResult, Traffic};
use crate::targets::{Program, Programs, Site, Target};
use crate::usage::{Reading, resident_kib};

/// Different keys of single-key operations.
const KEYS: u32 = 100_000;
/// The same in a smoke run.
const KEYS_QUICK: u32 = 1_000;
/// Length of one measurement in a smoke run, in seconds.
const SECONDS_QUICK: f64 = 0.1;
/// Requests of the run that finds out how many fit into a measurement, at least.
const PROBE_REQUESTS_MIN: u64 = 1_000;
/// The same where each is a large value.
const PROBE_REQUESTS_LARGE: u64 = 100;
/// Rounds of a pipeline that the probing run has, at least.
const PROBE_TURNS: u64 = 20;
/// How much longer a case at a fixed rate runs: at low load the 99th percentile needs the time.
const OPEN_LONGER: f64 = 2.0;

/// Runs everything that the options ask for.
///
/// # Errors
/// When nothing can be measured on this machine, or no case matches.
pub fn run(options: &Options) -> anyhow::Result<Report> {
    let cases = plan::filter(plan::cases(options.quick), &options.cases);
    ensure!(!cases.is_empty(), "no case matches; --list shows them");
    let granted = cores::granted()?;
    let programs = Programs::find(options.undermoon.as_deref())?;
    let mut run = Run { options, programs, notes: Vec::new(), files_limit: idle::raise_files_limit() };
    let (ordinary, workers): (Vec<Case>, Vec<Case>) =
        cases.into_iter().partition(|case| case.audience != Audience::Workers);
    let mut results = Vec::new();
    if !ordinary.is_empty() {
        results.extend(run.ordinary(&Cores::paired(&granted)?, &ordinary)?);
    }
    if !workers.is_empty() {
        match Cores::scaling(&granted) {
            Some(cores) => results.extend(run.workers(&cores, &workers)?),
            None => run.note(&format!(
                "two workers against one: not visible on {} cores; Redis and the load need two of their own",
                granted.len()
            )),
        }
    }
    run.report(granted.len(), results)
}

/// By port of a store: the size of its values, and whether they are those of the multi-key operations.
type Filled = BTreeMap<u16, (usize, bool)>;

struct Run<'a> {
    options: &'a Options,
    programs: Programs,
    notes: Vec<String>,
    files_limit: u64,
}

impl Run<'_> {
    fn ordinary(&mut self, cores: &Cores, cases: &[Case]) -> anyhow::Result<Vec<CaseResult>> {
        cores::pin_self(&cores.load)?;
        let site = Site::open(cores, &self.programs)?;
        let mut wanted = self.wanted()?;
        if wanted.iter().any(|program| matches!(program, Program::Undermoon { .. })) {
            let more = cases.iter().filter_map(|case| more_of(case.audience));
            more.for_each(|program| {
                if !wanted.contains(&program) {
                    wanted.push(program);
                }
            });
        }
        let mut targets = self.start(&site, &wanted);
        for external in &self.options.targets {
            targets.push(site.adopt(external, self.options.backend_pid)?);
        }
        ensure!(!targets.is_empty(), "no target could be started: {}", self.notes.join("; "));
        Ok(self.cases(&site, &targets, cases))
    }

    fn workers(&mut self, cores: &Cores, cases: &[Case]) -> anyhow::Result<Vec<CaseResult>> {
        if !self.wanted()?.iter().any(|program| matches!(program, Program::Undermoon { .. })) {
            return Ok(Vec::new());
        }
        cores::pin_self(&cores.load)?;
        let site = Site::open(cores, &self.programs)?;
        let program = |workers| Program::Undermoon { workers, batching: true };
        let targets = self.start(&site, &[program(1), program(2)]);
        Ok(self.cases(&site, &targets, cases))
    }

    fn wanted(&self) -> anyhow::Result<Vec<Program>> {
        let program = |name: &String| match name.as_str() {
            "nutcracker" => Ok(Program::Nutcracker),
            "undermoon" => Ok(Program::Undermoon { workers: 1, batching: true }),
            "redis" => Ok(Program::Redis),
            _ => bail!("--start knows nutcracker, undermoon and redis, not {name:?}"),
        };
        self.options.start.iter().filter(|name| !name.is_empty()).map(program).collect()
    }

    fn start(&mut self, site: &Site, programs: &[Program]) -> Vec<Target> {
        let mut targets = Vec::new();
        for program in programs {
            match site.start(*program) {
                Ok(target) => targets.push(target),
                Err(error) => self.note(&format!("{} is left out: {error:#}", program.name())),
            }
        }
        targets
    }

    fn cases(&mut self, site: &Site, targets: &[Target], cases: &[Case]) -> Vec<CaseResult> {
        let mut filled = BTreeMap::new();
        let mut results = Vec::new();
        for (index, case) in cases.iter().enumerate() {
            eprintln!("[{}/{}] {}", index + 1, cases.len(), case.title());
            let suits = |target: &&Target| suits(case.audience, target.program);
            let suitable: Vec<&Target> = targets.iter().filter(suits).collect();
            let mut rounds = Rounds { run: self, site, case, results: Vec::new() };
            match case.load {
                Load::Idle { few, many } => rounds.idle(&suitable, few, many),
                Load::Closed { .. } | Load::Open { .. } => rounds.traffic(&suitable, &mut filled),
            }
            let targets = rounds.results;
            results.push(CaseResult { name: case.name(), title: case.title(), targets });
        }
        results
    }

    fn driver<'a>(&'a self, cores: &'a Cores) -> Driver<'a> {
        let keys = if self.options.quick { KEYS_QUICK } else { KEYS };
        Driver { program: &self.programs.redis_benchmark, cores: &cores.load, keys }
    }

    fn seconds(&self) -> f64 {
        if self.options.quick { SECONDS_QUICK } else { self.options.seconds }
    }

    fn rounds(&self) -> u32 {
        if self.options.quick { 1 } else { self.options.rounds }
    }

    fn note(&mut self, text: &str) {
        eprintln!("note: {text}");
        // What follows may be lines of a log, which do not belong into a report.
        self.notes.extend(text.lines().next().map(str::to_owned));
    }

    /// The command that repeats this run anywhere: without the names of files, which are of this machine.
    fn command(&self) -> String {
        let cases: String = self.options.cases.iter().map(|text| format!(" --case {text}")).collect();
        format!("bench --rounds {} --seconds {}{cases}", self.rounds(), self.seconds())
    }

    fn report(self, cores: usize, cases: Vec<CaseResult>) -> anyhow::Result<Report> {
        let (rounds, seconds) = (self.rounds(), self.seconds());
        let mut programs: Vec<(&str, &Path)> = vec![("Redis", &self.programs.redis_server)];
        programs.push(("redis-benchmark", &self.programs.redis_benchmark));
        programs.extend(self.programs.nutcracker.as_deref().map(|file| ("twemproxy", file)));
        programs.extend(self.programs.undermoon.as_deref().map(|file| ("Undermoon", file)));
        Ok(Report {
            date: machine::today()?,
            command: self.command(),
            machine: Machine::look(cores, &programs),
            rounds,
            seconds,
            quick: self.options.quick,
            verdicts: goals::judge(&cases),
            notes: self.notes,
            cases,
        })
    }
}

/// What a case needs beside this proxy with its defaults.
fn more_of(audience: Audience) -> Option<Program> {
    match audience {
        Audience::Everyone | Audience::Workers => None,
        Audience::Policies => Some(Program::Undermoon { workers: 1, batching: false }),
        Audience::Forwarding => Some(Program::Forwarding),
        Audience::Unread => Some(Program::Unread),
    }
}

/// Whether a case is for such a target. What someone else started takes part in all that is for everyone.
fn suits(audience: Audience, program: Option<Program>) -> bool {
    let ours = matches!(program, Some(Program::Undermoon { batching: true, .. }));
    let everyone = ours || matches!(program, None | Some(Program::Nutcracker | Program::Redis));
    let special = program.is_some() && program == more_of(audience);
    match audience {
        Audience::Everyone | Audience::Workers => everyone,
        Audience::Policies => everyone || special,
        Audience::Forwarding | Audience::Unread => ours || special,
    }
}

/// The rounds of one case.
struct Rounds<'r, 'o> {
    run: &'r mut Run<'o>,
    site: &'r Site,
    case: &'r Case,
    results: Vec<TargetResult>,
}

impl Rounds<'_, '_> {
    fn division(&self) -> Division {
        if self.run.options.quick { Division::WHOLE } else { self.case.division() }
    }

    fn traffic(&mut self, targets: &[&Target], filled: &mut Filled) {
        let mut counts: Vec<Option<u64>> = Vec::new();
        for target in targets {
            let prepared = self.prepare(target, filled);
            self.results.push(TargetResult {
                name: target.name.clone(),
                traffic: Vec::new(),
                idle: Vec::new(),
            });
            counts.push(self.or_note(&target.name, prepared));
        }
        for round in 0..self.run.rounds() * self.division().rounds {
            for (index, target) in targets.iter().enumerate() {
                let Some(requests) = counts[index] else { continue };
                let measured = self.measure(target, requests, u64::from(round));
                match self.or_note(&target.name, measured) {
                    Some(sample) => self.results[index].traffic.push(sample),
                    None => counts[index] = None,
                }
            }
        }
        if self.case.operation == Operation::Set {
            // redis-benchmark has written its own values over those that answers are compared with.
            filled.clear();
        }
        // A target that failed half-way would be compared over other rounds than the rest.
        let mut kept = counts.iter();
        self.results.retain(|_| kept.next().is_some_and(Option::is_some));
    }

    /// Fills the store, checks an answer, and finds out how many requests make one measurement.
    fn prepare(&self, target: &Target, filled: &mut Filled) -> anyhow::Result<u64> {
        let driver = self.run.driver(self.site.cores());
        let store = target.store_port.unwrap_or(target.port);
        let many_keys = data::request(self.case).len() > 3;
        let content = (self.case.value_bytes, many_keys);
        if filled.get(&store) != Some(&content) {
            data::fill(store, self.case, driver.keys)?;
            filled.insert(store, content);
        }
        data::check(target.port, self.case)?;
        let seconds = self.run.seconds() * self.division().seconds;
        match self.case.load {
            Load::Closed { connections, pipeline } => {
                let turn = connections as u64 * pipeline as u64;
                let large = self.case.value_bytes >= LARGE_BYTES;
                let least =
                    if large { PROBE_REQUESTS_LARGE } else { PROBE_REQUESTS_MIN.max(turn * PROBE_TURNS) };
                let probe = driver.drive(&target.load(self.case), target.port, least, 0)?;
                let fitting = (probe.per_second * seconds) as u64;
                Ok(fitting.max(least).next_multiple_of(pipeline as u64))
            }
            Load::Open { per_second, .. } => {
                Ok((f64::from(per_second) * seconds * OPEN_LONGER).ceil() as u64)
            }
            Load::Idle { .. } => bail!("idle connections make no requests"),
        }
    }

    fn measure(&self, target: &Target, requests: u64, seed: u64) -> anyhow::Result<Traffic> {
        let driver = self.run.driver(self.site.cores());
        let served = target.store_port.map(Served::ask).transpose()?;
        let pids: Vec<u32> = [target.pid].into_iter().chain(target.next_pid).collect();
        let before = Reading::take(&pids, target.backend_pid)?;
        let outcome: Outcome = driver.drive(&target.load(self.case), target.port, requests, seed)?;
        let used = Reading::take(&pids, target.backend_pid)?.since(&before);
        if let (Some(port), Some(earlier)) = (target.store_port, served) {
            Served::ask(port)?.prove(&earlier, requests)?;
        }
        Ok(Traffic {
            requests,
            process_us: used.process_us / requests as f64,
            backend_us: target.backend_pid.map(|_| used.backend_us / requests as f64),
            per_second: outcome.per_second,
            p50_ms: outcome.p50_ms,
            p99_ms: outcome.p99_ms,
            resident_kib: resident_kib(target.pid)?,
            other: used.other,
        })
    }

    fn idle(&mut self, targets: &[&Target], few: usize, many: usize) {
        let limit = idle::check_files_limit(self.run.files_limit, many);
        if self.or_note("all", limit).is_none() {
            return;
        }
        for target in targets {
            // Only a process that can be restarted can show what it grows by.
            let Some(program) = target.program else { continue };
            let measure = || -> anyhow::Result<Vec<Idle>> {
                let one = |_| self.idle_once(program, few, many);
                (0..self.run.rounds()).map(one).collect()
            };
            let measured = measure();
            if let Some(idle) = self.or_note(&target.name, measured) {
                self.results.push(TargetResult { name: target.name.clone(), traffic: Vec::new(), idle });
            }
        }
    }

    fn idle_once(&self, program: Program, few: usize, many: usize) -> anyhow::Result<Idle> {
        let target = self.site.start(program)?;
        let one_key = 1;
        data::fill(target.store_port.context("its store")?, self.case, one_key)?;
        idle::measure(&target, few, many)
    }

    fn or_note<T>(&mut self, name: &str, result: anyhow::Result<T>) -> Option<T> {
        result.map_err(|error| self.run.note(&format!("{}, {name}: {error:#}", self.case.title()))).ok()
    }
}
