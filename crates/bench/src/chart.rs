//! The chart of CPU per request as SVG: for each case a group of bars, the proxy's own part and that of the
//! Redis behind it. Each group has its own scale, since the cases differ a thousandfold; the figures stand
//! beside the bars. It must never draw what was not measured.

use std::fmt::Write as _;

use crate::report::{CaseResult, Report, Traffic};

const WIDTH: f64 = 860.0;
const MARGIN: f64 = 16.0;
const NAME_WIDTH: f64 = 150.0;
const FIGURE_WIDTH: f64 = 190.0;
const BAR_HEIGHT: f64 = 12.0;
const BAR_STEP: f64 = 16.0;
const GROUP_HEAD: f64 = 20.0;
const GROUP_GAP: f64 = 10.0;
const HEAD: f64 = 56.0;
/// Colours that can be told apart with any eyesight, for the targets in their order.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
/// How strongly the part of the Redis behind a proxy is drawn.
const BACKEND_OPACITY: f64 = 0.35;

/// Draws all cases with traffic; `None` where there is none.
#[must_use]
pub fn cpu(report: &Report) -> Option<String> {
    let groups: Vec<Group<'_>> = report.cases.iter().filter_map(Group::of).collect();
    if groups.is_empty() {
        return None;
    }
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in groups.iter().flat_map(|group| &group.bars) {
        if !names.contains(name) {
            names.push(name);
        }
    }
    let height = HEAD + groups.iter().map(Group::height).sum::<f64>() + MARGIN;
    let mut drawing = Drawing { svg: String::new(), y: HEAD };
    for group in &groups {
        drawing.group(group, &names);
    }
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"11\" fill=\"#222\">\n\
         <title>CPU per request</title>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"{MARGIN}\" y=\"22\" font-size=\"15\" font-weight=\"bold\">CPU per request, µs</text>\n\
         <text x=\"{MARGIN}\" y=\"40\" fill=\"#666\">strong: the process itself; pale: the Redis behind it. \
         Shorter is better. Each group has its own scale. {} rounds, {}.</text>\n{}</svg>\n",
        report.rounds,
        escape(&report.date),
        drawing.svg
    ))
}

struct Group<'a> {
    title: &'a str,
    bars: Vec<(&'a str, Traffic)>,
}

impl<'a> Group<'a> {
    fn of(case: &'a CaseResult) -> Option<Group<'a>> {
        let bar = |target: &'a crate::report::TargetResult| {
            Some((target.name.as_str(), Traffic::median(&target.traffic)?))
        };
        let bars: Vec<_> = case.targets.iter().filter_map(bar).collect();
        (!bars.is_empty()).then_some(Group { title: &case.title, bars })
    }

    fn height(&self) -> f64 {
        GROUP_HEAD + self.bars.len() as f64 * BAR_STEP + GROUP_GAP
    }
}

struct Drawing {
    svg: String,
    y: f64,
}

impl Drawing {
    fn group(&mut self, group: &Group<'_>, names: &[&str]) {
        let room = WIDTH - 2.0 * MARGIN - NAME_WIDTH - FIGURE_WIDTH;
        let longest = group.bars.iter().map(|(_, bar)| bar.both_us()).fold(f64::MIN_POSITIVE, f64::max);
        let scale = room / longest;
        self.text(MARGIN, self.y + 13.0, group.title, " font-weight=\"bold\"");
        let mut y = self.y + GROUP_HEAD;
        for (name, bar) in &group.bars {
            let place = names.iter().position(|known| known == name).unwrap_or(0);
            let colour = COLOURS[place % COLOURS.len()];
            let left = MARGIN + NAME_WIDTH;
            let own = bar.process_us * scale;
            let backend = bar.backend_us.unwrap_or(0.0) * scale;
            self.text(MARGIN + 8.0, y + 10.0, name, "");
            self.bar((left, y), own, colour, 1.0);
            if backend > 0.0 {
                self.bar((left + own, y), backend, colour, BACKEND_OPACITY);
            }
            let figure = match bar.backend_us {
                Some(backend_us) => format!("{} + {}", short(bar.process_us), short(backend_us)),
                None => short(bar.process_us),
            };
            self.text(left + own + backend + 6.0, y + 10.0, &figure, "");
            y += BAR_STEP;
        }
        self.y += group.height();
    }

    fn bar(&mut self, (x, y): (f64, f64), width: f64, colour: &str, opacity: f64) {
        // Writing to a string cannot fail.
        let _ = writeln!(
            self.svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR_HEIGHT}\" fill=\"{colour}\" \
             fill-opacity=\"{opacity}\"/>"
        );
    }

    fn text(&mut self, x: f64, y: f64, text: &str, style: &str) {
        let _ = writeln!(self.svg, "<text x=\"{x:.1}\" y=\"{y:.1}\"{style}>{}</text>", escape(text));
    }
}

/// Three digits, however large.
fn short(us: f64) -> String {
    match us {
        _ if us >= 100.0 => format!("{us:.0}"),
        _ if us >= 10.0 => format!("{us:.1}"),
        _ => format!("{us:.2}"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docs::tests::report;

    #[test]
    fn bars_are_in_proportion() {
        let svg = cpu(&report()).unwrap();
        let widths: Vec<f64> = svg
            .lines()
            .filter(|line| line.contains("fill-opacity"))
            .map(|line| line.split("width=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
            .collect();
        // Of nutcracker, its Redis, ours, its Redis: 10 + 5 µs fill the room, 7 + 4 are a part of it.
        let room = WIDTH - 2.0 * MARGIN - NAME_WIDTH - FIGURE_WIDTH;
        for (width, share) in widths.iter().zip([10.0 / 15.0, 5.0 / 15.0, 7.0 / 15.0, 4.0 / 15.0]) {
            assert!((width - room * share).abs() < 0.1, "{widths:?}");
        }
        assert_eq!(widths.len(), 4);
        assert!(svg.contains("7.00 + 4.00") && svg.contains("a &lt;case&gt;"));
    }

    #[test]
    fn nothing_measured_draws_nothing() {
        let empty = Report { cases: Vec::new(), ..report() };
        assert_eq!(cpu(&empty), None);
    }
}
