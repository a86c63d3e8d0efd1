//! The `bench` command: runs the plan, prints the tables, writes the files that were asked for.
//! It must never leave a process behind.

use std::process::ExitCode;

use anyhow::Context as _;
use bench::options::Options;
use bench::report::{Judgement, Report};
use bench::{docs, plan, run, table};
use clap::Parser as _;

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    if options.list {
        for case in plan::filter(plan::cases(options.quick), &options.cases) {
            println!("{:32}{}", case.name(), case.title());
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(folder) = &options.docs {
        // Said before minutes of measuring, not after.
        docs::check_folder(folder)?;
    }
    let report = match &options.from {
        Some(file) => docs::read_json(file)?,
        None => run::run(&options)?,
    };
    println!("{}", table::terminal(&report));
    if let Some(file) = &options.json {
        docs::write_json(&report, file)?;
    }
    document(&options, &report)?;
    let missed = report.verdicts.iter().any(|verdict| verdict.result == Judgement::Missed);
    Ok(if options.strict && missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Writes into the documents that were named; a part of a run must not replace the whole that stands there.
fn document(options: &Options, report: &Report) -> anyhow::Result<()> {
    if !options.whole() {
        if options.docs.is_some() || options.summary.is_some() {
            eprintln!("note: the documents stay as they are, for this was not a whole run");
        }
        return Ok(());
    }
    if let Some(folder) = &options.docs {
        docs::write_all(report, folder).with_context(|| format!("writing to {}", folder.display()))?;
    }
    match &options.summary {
        Some(document) => docs::write_summary(report, document),
        None => Ok(()),
    }
}
