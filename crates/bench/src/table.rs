//! The report as tables, for a terminal and for Markdown. It must never compute anything but medians.

use comfy_table::{CellAlignment, Table, TableStyle, presets};

use crate::report::{CaseResult, Idle, Report, Traffic};

/// The target to which the ratios refer; the first one where it did not run.
const REFERENCE: &str = "nutcracker";
/// The target that the summary is about.
const OURS: &str = "undermoon";
/// Use of the machine by others beyond which a row is to be distrusted, as a share of one core.
const OTHER_MAX: f64 = 0.10;
/// What stands where nothing was measured.
const ABSENT: &str = "–";

/// The whole report for a terminal.
#[must_use]
pub fn terminal(report: &Report) -> String {
    let mut text = String::new();
    for case in measured(report) {
        text.push_str(&format!("\n{}\n{}\n", case.title, case_table(case, presets::NOTHING)));
    }
    if !report.verdicts.is_empty() {
        text.push_str(&format!("\nGoals\n{}\n", verdict_table(report, presets::NOTHING)));
    }
    for note in &report.notes {
        text.push_str(&format!("\nnote: {note}"));
    }
    if report.quick {
        text.push_str("\nThis was a smoke run: the figures mean nothing.");
    }
    text
}

/// The report as Markdown, from its machine to its notes.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let machine = &report.machine;
    let mut text = format!(
        "Measured on {} with `{}`: {}, {} cores, {} MiB, Linux {}. Medians of {} rounds of {} s.\n\n",
        report.date,
        report.command,
        machine.processor,
        machine.cores,
        machine.memory_mib,
        machine.kernel,
        report.rounds,
        report.seconds,
    );
    for (name, version) in &machine.versions {
        text.push_str(&format!("- {name}: {version}\n"));
    }
    if !report.verdicts.is_empty() {
        text.push_str(&format!("\n### Goals\n\n{}\n", verdict_table(report, presets::ASCII_MARKDOWN)));
    }
    text.push_str("\n### Figures\n");
    for case in measured(report) {
        text.push_str(&format!("\n**{}**\n\n{}\n", case.title, case_table(case, presets::ASCII_MARKDOWN)));
    }
    if !report.notes.is_empty() {
        text.push_str("\n### Left out\n\n");
    }
    for note in &report.notes {
        text.push_str(&format!("- {note}\n"));
    }
    text
}

/// A few lines as Markdown for a document that links to the rest: this proxy beside the reference.
/// `None` where they did not run side by side.
#[must_use]
pub fn summary(report: &Report) -> Option<String> {
    let mut table = empty(
        presets::ASCII_MARKDOWN,
        &["work", "CPU µs, twemproxy", "CPU µs, Undermoon", "ratio", "with Redis", "throughput", "p99"],
    );
    for case in &report.cases {
        let (Some(ours), Some(reference)) = (case.middle(OURS), case.middle(REFERENCE)) else { continue };
        let ratio = |pick: fn(&Traffic) -> f64| format!("{:.2}", pick(&ours) / pick(&reference));
        table.add_row([
            case.title.clone(),
            format!("{:.2}", reference.process_us),
            format!("{:.2}", ours.process_us),
            ratio(|sample| sample.process_us),
            ratio(Traffic::both_us),
            ratio(|sample| sample.per_second),
            ratio(|sample| sample.p99_ms),
        ]);
    }
    let about = format!(
        "CPU of the proxy for each request; the last four columns are ratios to twemproxy in the same run ({}, {}, \
         {} cores).",
        report.date, report.machine.processor, report.machine.cores
    );
    (table.row_iter().next().is_some()).then(|| format!("{about}\n\n{table}"))
}

/// The cases in which at least one target was measured.
fn measured(report: &Report) -> impl Iterator<Item = &CaseResult> {
    report.cases.iter().filter(|case| !case.targets.is_empty())
}

fn case_table(case: &CaseResult, style: TableStyle) -> Table {
    if case.targets.iter().any(|target| !target.idle.is_empty()) {
        return idle_table(case, style);
    }
    let mut table = empty(
        style,
        &[
            "target",
            "CPU µs",
            "ratio",
            "Redis µs",
            "both",
            "ratio",
            "requests/s",
            "p50 ms",
            "p99 ms",
            "RSS MiB",
            "other",
        ],
    );
    let first = || case.targets.first().and_then(|target| Traffic::median(&target.traffic));
    let reference = case.middle(REFERENCE).or_else(first);
    for target in &case.targets {
        let Some(middle) = Traffic::median(&target.traffic) else { continue };
        let ratio = |pick: fn(&Traffic) -> f64| {
            reference
                .as_ref()
                .map_or(ABSENT.to_owned(), |reference| format!("{:.2}", pick(&middle) / pick(reference)))
        };
        let doubt = if middle.other > OTHER_MAX { " !" } else { "" };
        table.add_row([
            target.name.clone(),
            format!("{:.2}", middle.process_us),
            ratio(|sample| sample.process_us),
            middle.backend_us.map_or(ABSENT.to_owned(), |backend| format!("{backend:.2}")),
            format!("{:.2}", middle.both_us()),
            ratio(Traffic::both_us),
            format!("{:.0}", middle.per_second),
            format!("{:.3}", middle.p50_ms),
            format!("{:.3}", middle.p99_ms),
            format!("{:.1}", middle.resident_kib as f64 / 1024.0),
            format!("{:.0}%{doubt}", middle.other * 100.0),
        ]);
    }
    table
}

fn idle_table(case: &CaseResult, style: TableStyle) -> Table {
    let mut table = empty(style, &["target", "bytes each", "RSS MiB before", "RSS MiB after"]);
    for target in &case.targets {
        let Some(middle) = Idle::middle(&target.idle) else { continue };
        let mib = |kib: u64| format!("{:.1}", kib as f64 / 1024.0);
        let each = format!("{:.0}", middle.bytes_each());
        table.add_row([target.name.clone(), each, mib(middle.few_kib), mib(middle.many_kib)]);
    }
    table
}

fn verdict_table(report: &Report, style: TableStyle) -> Table {
    let mut table = empty(style, &["goal", "measured", "asked for", "result"]);
    for verdict in &report.verdicts {
        table.add_row([&verdict.what, &verdict.measured, &verdict.goal, verdict.result.word()]);
    }
    table
}

fn empty(style: TableStyle, header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(style).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docs::tests::report;

    #[test]
    fn tables_hold_medians_and_ratios() {
        for text in [terminal(&report()), markdown(&report())] {
            let line = text.lines().find(|line| line.contains("undermoon") && line.contains("7.00")).unwrap();
            let columns: Vec<&str> = line.split([' ', '|']).filter(|word| !word.is_empty()).collect();
            assert_eq!(
                columns,
                [
                    "undermoon",
                    "7.00",
                    "0.70",
                    "4.00",
                    "11.00",
                    "0.73",
                    "90000",
                    "0.500",
                    "1.000",
                    "2.0",
                    "12%",
                    "!"
                ]
            );
            assert!(text.contains("a note"), "{text}");
            assert!(text.contains("missed") && text.contains("met"), "{text}");
        }
    }

    #[test]
    fn the_summary_compares_or_is_absent() {
        let text = summary(&report()).unwrap();
        let last = text.lines().last().unwrap();
        let columns: Vec<&str> = last.split('|').map(str::trim).filter(|word| !word.is_empty()).collect();
        assert_eq!(columns, ["a <case>", "10.00", "7.00", "0.70", "0.73", "1.00", "1.00"]);
        let mut alone = report();
        alone.cases[0].targets.remove(0);
        assert_eq!(summary(&alone), None);
    }

    #[test]
    fn without_the_reference_ratios_refer_to_the_first() {
        let mut alone = report();
        alone.cases[0].targets.remove(0);
        alone.cases.push(CaseResult { name: "b".into(), title: "nobody ran".into(), targets: Vec::new() });
        let text = terminal(&alone);
        assert!(text.contains("7.00   1.00"), "{text}");
        assert!(!text.contains("nobody ran"), "{text}");
    }
}
