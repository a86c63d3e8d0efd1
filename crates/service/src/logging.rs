//! Logs: where they go, in what form, and how much.
//!
//! Logs go to standard error, because standard output belongs to what a command answers. Nothing on the path of a
//! request may log above `debug`.

use crate::config::{BadValue, Setting, nearest};
use std::fmt;
use std::io::IsTerminal as _;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, reload};

/// The levels, from silent to most talkative.
const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

crate::choice! {
    /// The form of log lines.
    pub enum LogFormat {
        /// For people: time, level, place, message, fields.
        Human = "human",
        /// For programs: one JSON object on each line.
        Json = "json",
    }
}

/// How much is logged: a level for everything, and levels of their own for some modules, as
/// `info,proxy=debug,proxy::admin=warn`.
#[derive(Clone, PartialEq)]
pub struct LogLevel {
    text: String,
    targets: Targets,
}

impl LogLevel {
    /// The level at which a process starts when nobody says otherwise.
    pub fn info() -> Self {
        LogLevel { text: "info".to_owned(), targets: Targets::new().with_default(LevelFilter::INFO) }
    }
}

impl fmt::Debug for LogLevel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "LogLevel({})", self.text)
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Setting for LogLevel {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        // Parsed here and not by `Targets`, which would take a misspelled level for a module's name and then log
        // everything of it.
        let mut targets = Targets::new();
        for directive in text.split(',').map(str::trim) {
            targets = match directive.split_once('=') {
                Some((target, level)) => targets.with_target(target.trim(), level_of(level)?),
                None => targets.with_default(level_of(directive)?),
            };
        }
        Ok(LogLevel { text: text.trim().to_owned(), targets })
    }

    fn accepts() -> String {
        "off, error, warn, info, debug, trace; or such a level for each module, as info,proxy=debug"
            .to_owned()
    }

    fn shown(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.text.clone()))
    }
}

fn level_of(word: &str) -> Result<LevelFilter, BadValue> {
    let word = word.trim().to_lowercase();
    let known = LEVELS.iter().find(|(name, _)| *name == word).map(|(_, level)| *level);
    known.ok_or_else(|| BadValue::unknown_word(nearest(&word, LEVELS.iter().map(|(name, _)| *name))))
}

/// Changes the level of a running process.
#[derive(Clone, Debug)]
pub struct LogControl {
    filter: reload::Handle<Targets, Registry>,
}

impl LogControl {
    /// From now on logs at this level.
    ///
    /// # Errors
    /// When the process no longer has the subscriber that [`start`] made.
    pub fn set_level(&self, level: &LogLevel) -> Result<(), LoggingError> {
        self.filter.reload(level.targets.clone()).map_err(|error| LoggingError::Gone(error.to_string()))
    }
}

/// Why logging could not be started or changed.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The process has a log already: a fault of the program.
    #[error("logging was started twice: {0}")]
    Started(String),
    /// The log is no longer there: the process is ending.
    #[error("the log is gone: {0}")]
    Gone(String),
}

/// Starts logging for the whole process, once.
///
/// # Errors
/// [`LoggingError::Started`] when it was started before.
pub fn start(level: &LogLevel, format: LogFormat) -> Result<LogControl, LoggingError> {
    let (filter, handle) = reload::Layer::new(level.targets.clone());
    Registry::default()
        .with(filter)
        .with(lines(format))
        .try_init()
        .map_err(|error| LoggingError::Started(error.to_string()))?;
    Ok(LogControl { filter: handle })
}

fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Human => {
            let coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            layer.with_ansi(coloured).boxed()
        }
        LogFormat::Json => layer.json().flatten_event(true).with_current_span(false).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use super::{LogLevel, Setting as _};
    use tracing::Level;

    #[test]
    fn levels() {
        /// The level text, and whether proxy at debug, proxy at info and model at warn are logged; or the reason
        /// of the refusal.
        fn check(text: &str, expected: Result<[bool; 3], &str>) {
            let seen = LogLevel::from_text(text).map(|level| {
                [("proxy", Level::DEBUG), ("proxy", Level::INFO), ("model", Level::WARN)]
                    .map(|(target, level_of_line)| level.targets.would_enable(target, &level_of_line))
            });
            assert_eq!(
                seen.as_ref().map_err(super::BadValue::reason),
                expected.as_ref().map_err(|e| *e),
                "{text}"
            );
        }
        check("info", Ok([false, true, true]));
        check("OFF", Ok([false, false, false]));
        check("debug", Ok([true, true, true]));
        check("off,proxy=debug", Ok([true, true, false]));
        check("warn, proxy = off", Ok([false, false, true]));
        check("ifno", Err("not a known word, did you mean `info`?"));
        check("info,proxy=debgu", Err("not a known word, did you mean `debug`?"));
        check("verbose", Err("not a known word"));
        check("", Err("not a known word"));
    }
}
