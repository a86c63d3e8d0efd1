//! `undermoon ctl events`: what has changed, in words.

use std::time::Duration;

use api::ClientError;
use api::v4::Event;
use model::ClusterName;
use serde::Serialize;

use super::context::Context;
use super::error::CtlError;
use super::output::{Format, Show, print, put};

/// How many events are asked for at a time: as many as the broker gives.
const PAGE: usize = 1000;

/// The pause between two looks for new events.
const FOLLOW_PAUSE: Duration = Duration::from_millis(500);

/// Show what has changed, oldest first
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only the events of this cluster
    #[arg(long)]
    cluster: Option<ClusterName>,
    /// Only the events after this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: u64,
    /// Only the last COUNT events
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 50)]
    last: usize,
    /// Go on with new events as they come, until Ctrl-C
    #[arg(short, long, visible_alias = "follow")]
    watch: bool,
}

/// Events.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Events(Vec<Event>);

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CtlError> {
    let mut cursor = arguments.after;
    let mut events = Vec::new();
    loop {
        let page = context.client.events(cursor, PAGE).await?;
        if page.events.is_empty() {
            break;
        }
        cursor = page.next;
        events.extend(page.events.into_iter().filter(|event| arguments.wants(event)));
        events.drain(..events.len().saturating_sub(arguments.last));
    }
    if !arguments.watch {
        return print(context.format, &Events(events));
    }
    loop {
        show_new(context.format, events)?;
        tokio::time::sleep(FOLLOW_PAUSE).await;
        events = match context.client.events(cursor, PAGE).await {
            Ok(page) => {
                if page.missed > 0 {
                    eprintln!("undermoon: {} events in between are no longer kept", page.missed);
                }
                cursor = page.next;
                page.events.into_iter().filter(|event| arguments.wants(event)).collect()
            }
            Err(error @ (ClientError::Unreachable { .. } | ClientError::BadAnswer { .. })) => {
                eprintln!("undermoon: {error}");
                Vec::new()
            }
            Err(error) => return Err(error.into()),
        };
    }
}

impl Arguments {
    fn wants(&self, event: &Event) -> bool {
        self.cluster.is_none() || self.cluster == event.cluster
    }
}

/// Prints what has come since, if anything has.
fn show_new(format: Format, events: Vec<Event>) -> Result<(), CtlError> {
    match format {
        Format::Table if events.is_empty() => Ok(()),
        Format::Table => put(&Events(events).text()),
        Format::Json => events.iter().try_for_each(|event| {
            let line = serde_json::to_string(event);
            put(&(line.map_err(|error| CtlError::failed(error.to_string(), ""))? + "\n"))
        }),
    }
}

impl Show for Events {
    fn text(&self) -> String {
        let line = |event: &Event| {
            // What nobody explained is told by its kind.
            let words = if event.words.is_empty() { event.kind.clone() } else { event.words.join("; ") };
            let by = event.by.as_ref().map_or_else(String::new, |by| format!("  (by {by})"));
            format!("{}  {}  {words}{by}\n", event.number, moment(event.at_ms))
        };
        self.0.iter().map(line).collect()
    }
}

/// A time in UTC, such as `2026-11-22 09:31:07.250Z`.
fn moment(at_ms: u64) -> String {
    const DAY_S: u64 = 86_400;
    let (seconds, ms) = (at_ms / 1000, at_ms % 1000);
    let (year, month, day) = date(seconds / DAY_S);
    let second = seconds % DAY_S;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Year, month and day of a number of days since 1970-01-01, in the Gregorian calendar.
fn date(days: u64) -> (u64, u64, u64) {
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    // 400 years have 146097 days, always.
    let (mut year, mut left) = (1970 + days / 146_097 * 400, days % 146_097);
    while left >= 365 + u64::from(is_leap(year)) {
        left -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
}

#[cfg(test)]
mod tests {
    use super::moment;

    /// Expected values are those of `date -u -d @SECONDS`.
    #[test]
    fn moments() {
        for (at_ms, expected) in [
            (0, "1970-01-01 00:00:00.000Z"),
            (951_782_400_000, "2000-02-29 00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29 23:59:59.999Z"),
            (1_709_251_200_000, "2024-03-01 00:00:00.000Z"),
            (1_795_339_867_250, "2026-11-22 09:31:07.250Z"),
            (4_107_542_400_000, "2100-03-01 00:00:00.000Z"),
            (4_102_444_799_000, "2099-12-31 23:59:59.000Z"),
        ] {
            assert_eq!(moment(at_ms), expected);
        }
    }
}
