//! The files of a run: its figures as JSON, the chart, and the sections of documents between their
//! markers. It must never touch the text outside the markers.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};

use crate::chart;
use crate::report::Report;
use crate::table;

/// The line before the section that is rewritten.
const BEGIN: &str = "<!-- bench: begin -->";
/// The line after it.
const END: &str = "<!-- bench: end -->";

/// Reads what [`write_json`] wrote.
///
/// # Errors
/// When the file is missing or not such a report.
pub fn read_json(file: &Path) -> anyhow::Result<Report> {
    let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} is not a report", file.display()))
}

/// Writes the report with all samples that it holds.
///
/// # Errors
/// When the file cannot be written.
pub fn write_json(report: &Report, file: &Path) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}

/// Whether [`write_all`] could write into `folder`.
///
/// # Errors
/// When there is no README.md in it with the markers.
pub fn check_folder(folder: &Path) -> anyhow::Result<()> {
    let document = folder.join("README.md");
    let text = fs::read_to_string(&document).with_context(|| format!("reading {}", document.display()))?;
    replaced(&text, "").map(drop).with_context(|| format!("the section of {}", document.display()))
}

/// Writes `latest.json` (a summary: the medians), `cpu.svg` and the section of `README.md` into `folder`.
///
/// # Errors
/// When README.md or its markers are missing, or a file cannot be written; a smoke run is refused.
pub fn write_all(report: &Report, folder: &Path) -> anyhow::Result<()> {
    ensure!(!report.quick, "a smoke run is not documented");
    let mut section = String::new();
    if let Some(svg) = chart::cpu(report) {
        fs::write(folder.join("cpu.svg"), svg)?;
        section.push_str("![CPU per request](cpu.svg)\n\n");
    }
    section.push_str(&table::markdown(report));
    replace_section(&folder.join("README.md"), &section)?;
    write_json(&report.summary(), &folder.join("latest.json"))
}

/// Writes the summary between the markers of a document.
///
/// # Errors
/// When there is nothing to compare, the document or its markers are missing, or for a smoke run.
pub fn write_summary(report: &Report, document: &Path) -> anyhow::Result<()> {
    ensure!(!report.quick, "a smoke run is not documented");
    let text = table::summary(report).context("twemproxy and Undermoon did not run side by side")?;
    replace_section(document, &text)
}

fn replace_section(document: &Path, section: &str) -> anyhow::Result<()> {
    let replace = || -> anyhow::Result<()> {
        let text = fs::read_to_string(document)?;
        Ok(fs::write(document, replaced(&text, section)?)?)
    };
    replace().with_context(|| format!("the section of {}", document.display()))
}

fn replaced(text: &str, section: &str) -> anyhow::Result<String> {
    let (before, rest) = text.split_once(BEGIN).with_context(|| format!("{BEGIN} is missing"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("{END} is missing"))?;
    Ok(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", section.trim_end()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::report::{CaseResult, Judgement, TargetResult, Traffic, Verdict};

    /// A report of one case with two proxies, for the tests of everything that shows reports.
    pub(crate) fn report() -> Report {
        let target = |name: &str, process_us: f64, backend_us: f64| TargetResult {
            name: name.to_owned(),
            traffic: [0.5, 1.0, 3.0]
                .map(|factor| Traffic {
                    requests: 1000,
                    process_us: process_us * factor,
                    backend_us: Some(backend_us * factor),
                    per_second: 90_000.0 * factor,
                    p50_ms: 0.5 * factor,
                    p99_ms: factor,
                    resident_kib: 2048,
                    other: 0.12,
                })
                .to_vec(),
            idle: Vec::new(),
        };
        let targets = vec![target("nutcracker", 10.0, 5.0), target("undermoon", 7.0, 4.0)];
        let verdict = |result| Verdict { what: "w".into(), measured: "m".into(), goal: "g".into(), result };
        Report {
            date: "2026-01-02".into(),
            command: "bench".into(),
            machine: Machine::default(),
            rounds: 3,
            seconds: 1.0,
            quick: false,
            notes: vec!["a note".into()],
            cases: vec![CaseResult { name: "a".into(), title: "a <case>".into(), targets }],
            verdicts: vec![verdict(Judgement::Met), verdict(Judgement::Missed)],
        }
    }

    #[test]
    fn only_the_section_is_replaced() {
        let cases = [
            (format!("a\n{BEGIN}\nold\n{END}\nb\n"), Some(format!("a\n{BEGIN}\n\nnew\n\n{END}\nb\n"))),
            (format!("{END}\n{BEGIN}"), None),
            ("nothing".to_owned(), None),
        ];
        for (text, expected) in cases {
            assert_eq!(replaced(&text, "new\n").ok(), expected, "{text}");
        }
    }

    #[test]
    fn files_of_a_run() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("README.md"), format!("head\n{BEGIN}\n{END}\n")).unwrap();
        write_all(&report(), folder.path()).unwrap();
        write_all(&report(), folder.path()).unwrap();
        let readme = fs::read_to_string(folder.path().join("README.md")).unwrap();
        assert_eq!(readme.matches("cpu.svg").count(), 1, "{readme}");
        assert!(readme.starts_with("head\n"));
        let latest = read_json(&folder.path().join("latest.json")).unwrap();
        assert!(latest.cases.iter().flat_map(|case| &case.targets).all(|target| target.traffic.len() == 1));
        assert_eq!(
            table::markdown(&latest),
            table::markdown(&report()),
            "the summary shows what the run did"
        );
        assert_eq!(table::summary(&latest), table::summary(&report()));
        write_summary(&report(), &folder.path().join("README.md")).unwrap();
        let readme = fs::read_to_string(folder.path().join("README.md")).unwrap();
        assert!(readme.contains("CPU µs, twemproxy") && !readme.contains("cpu.svg"), "{readme}");
        assert!(write_summary(&report(), &folder.path().join("missing.md")).is_err());
        assert!(write_all(&Report { quick: true, ..report() }, folder.path()).is_err());
    }
}
