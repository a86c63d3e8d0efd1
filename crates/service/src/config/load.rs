//! Reading a configuration: default, then file, then environment.

use super::error::{ConfigError, Problem};
use super::field::{Configuration, Field};
use super::value::{BadValue, nearest};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What every environment variable of a setting begins with.
const ENVIRONMENT_PREFIX: &str = "UNDERMOON_";

/// The largest configuration file that is read, in bytes: anything longer is some other file by mistake.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Where a setting's value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The configuration file.
    File,
    /// The environment variable of its name.
    Environment,
}

/// A configuration that was read and found good.
#[derive(Debug)]
pub struct Loaded<S> {
    /// The settings.
    pub settings: S,
    /// Where each came from, in the order of `S::FIELDS`.
    pub origins: Vec<Origin>,
    /// Things that are probably mistakes, such as a misspelled environment variable. The environment is shared
    /// with other programs, so these are not errors.
    pub warnings: Vec<String>,
}

impl<S: Configuration> Loaded<S> {
    /// The whole configuration as TOML, each line with its origin; secrets are masked. Meant for people: to load
    /// it again, put the secrets back.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (field, origin) in S::FIELDS.iter().zip(&self.origins) {
            let origin = match origin {
                Origin::Default => "default".to_owned(),
                Origin::File => "file".to_owned(),
                Origin::Environment => format!("environment, {}", environment_name(field.name)),
            };
            let line = match (field.shown)(&self.settings) {
                Some(value) => format!("{} = {value}", field.name),
                None => format!("# {} is not set", field.name),
            };
            // Writing into a String cannot fail.
            let _ = writeln!(text, "{line}  # {origin}");
        }
        text
    }
}

/// The environment variable that overrides the setting `name`.
pub fn environment_name(name: &str) -> String {
    format!("{ENVIRONMENT_PREFIX}{}", name.to_uppercase())
}

/// Reads the configuration from `file`, if there is one, and from `environment`.
///
/// # Errors
/// Everything that is wrong, all at once: the file cannot be read or is not TOML, it has unknown keys, a value is
/// bad, values contradict each other.
pub fn load<S: Configuration>(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded<S>, ConfigError> {
    let mut reader = Reader {
        settings: S::default(),
        origins: vec![Origin::Default; S::FIELDS.len()],
        warnings: Vec::new(),
        problems: Vec::new(),
    };
    if let Some(path) = file {
        match read_table(path) {
            Ok(table) => reader.apply_table(path, &table),
            Err(problem) => reader.problems.push(problem),
        }
    }
    for (name, value) in environment {
        reader.apply_variable(&name, &value);
    }
    // Rules across settings are judged only on values that are good by themselves.
    if reader.problems.is_empty() {
        let contradictions = reader.settings.contradictions().into_iter();
        reader.problems.extend(contradictions.map(|(key, reason)| Problem::Contradiction { key, reason }));
    }
    if reader.problems.is_empty() {
        Ok(Loaded { settings: reader.settings, origins: reader.origins, warnings: reader.warnings })
    } else {
        Err(ConfigError { problems: reader.problems })
    }
}

fn read_table(path: &Path) -> Result<toml::Table, Problem> {
    let unreadable = |reason: String| Problem::Unreadable { path: path.to_owned(), reason };
    let length = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if length > FILE_BYTES_MAX {
        return Err(unreadable(format!(
            "{length} bytes are more than the {FILE_BYTES_MAX} of a configuration"
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    text.parse::<toml::Table>().map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
        Problem::Syntax {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            reason: error.message().to_owned(),
        }
    })
}

struct Reader<S> {
    settings: S,
    origins: Vec<Origin>,
    warnings: Vec<String>,
    problems: Vec<Problem>,
}

impl<S: Configuration> Reader<S> {
    fn apply_table(&mut self, path: &Path, table: &toml::Table) {
        for (key, value) in table {
            let Some(index) = S::FIELDS.iter().position(|field| field.name == key) else {
                self.problems.push(unknown_key::<S>(path.to_owned(), key));
                continue;
            };
            let field = &S::FIELDS[index];
            match (field.set_toml)(&mut self.settings, value) {
                Ok(()) => self.origins[index] = Origin::File,
                Err(bad) => {
                    let problem = bad_value(field, path.display().to_string(), value.to_string(), &bad);
                    self.problems.push(problem);
                }
            }
        }
    }

    fn apply_variable(&mut self, name: &OsString, value: &OsString) {
        let Some(name) = name.to_str() else { return };
        let Some(key) = name.strip_prefix(ENVIRONMENT_PREFIX) else { return };
        let key = key.to_lowercase();
        let Some(index) = S::FIELDS.iter().position(|field| environment_name(field.name) == name) else {
            if let Some(near) = nearest(&key, S::FIELDS.iter().map(|field| field.name)) {
                let near = environment_name(near);
                self.warnings.push(format!("{name} is not used: did you mean {near}?"));
            }
            return;
        };
        let field = &S::FIELDS[index];
        let result = match value.to_str() {
            Some(text) => (field.set_text)(&mut self.settings, text),
            None => Err(BadValue::new("not UTF-8")),
        };
        match result {
            Ok(()) => self.origins[index] = Origin::Environment,
            Err(bad) => {
                let problem = bad_value(field, name.to_owned(), format!("{value:?}"), &bad);
                self.problems.push(problem);
            }
        }
    }
}

fn unknown_key<S: Configuration>(path: PathBuf, key: &str) -> Problem {
    let accepted: Vec<&'static str> = S::FIELDS.iter().map(|field| field.name).collect();
    Problem::UnknownKey {
        path,
        key: key.to_owned(),
        nearest: nearest(key, accepted.iter().copied()),
        accepted,
    }
}

fn bad_value<S>(field: &Field<S>, origin: String, value: String, bad: &BadValue) -> Problem {
    Problem::BadValue {
        origin,
        key: field.name,
        value: if field.secret { "***".to_owned() } else { value },
        reason: bad.reason().to_owned(),
        accepted: (field.accepts)(),
    }
}
