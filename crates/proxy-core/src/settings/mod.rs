//! The settings of a running proxy, and how CONFIG GET and CONFIG SET see them.
//!
//! Reading them from a file or the environment is the shell's work; this holds what was read, typed, and
//! changes what may change while the proxy runs. A change is applied by one thread to its copy, which then
//! replaces that of every worker.

mod change;
mod fields;
mod parameters;
mod password;

pub use self::change::Change;
pub use self::fields::{LogLevel, NodesVersion, Settings};
pub use self::password::Password;
use crate::errors;
use crate::glob::{Case, Pattern};

/// A setting as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its name in CONFIG.
    pub name: &'static str,
    /// Its value; `***` for a secret that is set.
    pub value: String,
    /// Whether CONFIG SET takes it.
    pub is_changeable: bool,
}

/// Why CONFIG SET changed nothing. `Display` is Redis's error text, with its code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// No setting has that name.
    #[error("{}", errors::unknown_setting(.0))]
    Unknown(String),
    /// The setting cannot take that value, or cannot change at run time.
    #[error("{}", errors::setting_refused(name, reason))]
    Refused {
        /// The setting.
        name: String,
        /// What is wrong, and what is accepted.
        reason: String,
    },
}

impl Settings {
    /// The settings whose names match `pattern` (a glob, in any case), as CONFIG GET shows them.
    pub fn get(&self, pattern: &[u8]) -> Vec<(String, String)> {
        self.get_any(&[pattern])
    }

    /// Like [`Settings::get`] for several patterns; a setting that several match is listed once. As in Redis, one
    /// that was asked for without wildcards is named as the asker wrote it.
    pub fn get_any(&self, patterns: &[&[u8]]) -> Vec<(String, String)> {
        let read: Vec<Pattern> =
            patterns.iter().map(|pattern| Pattern::new(pattern, Case::Ignored)).collect();
        let shown_name = |name: &str| {
            let place = read.iter().position(|pattern| pattern.matches(name.as_bytes()))?;
            let pattern = patterns[place];
            let exact = pattern.eq_ignore_ascii_case(name.as_bytes());
            let shown = if exact { pattern } else { name.as_bytes() };
            Some(String::from_utf8_lossy(shown).into_owned())
        };
        let shown = |row: &parameters::Parameter| Some((shown_name(row.name)?, (row.read)(self)));
        parameters::ALL.iter().filter_map(shown).collect()
    }

    /// Every setting, its value as CONFIG GET shows it but for secrets.
    pub fn shown(&self) -> impl Iterator<Item = Shown> {
        parameters::ALL.iter().map(|row| {
            let value = (row.read)(self);
            let hides = row.is_secret && !value.is_empty();
            let value = if hides { "***".to_owned() } else { value };
            Shown { name: row.name, value, is_changeable: row.write.is_some() }
        })
    }

    /// Changes one setting.
    ///
    /// # Errors
    /// If there is no such setting, it cannot change at run time, or the value is not accepted.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<Change, SettingsError> {
        let changes = self.set_all(&[(name, value)])?;
        Ok(changes[0])
    }

    /// Changes several settings, or none if one of them is refused. One change for each pair.
    ///
    /// # Errors
    /// As [`Settings::set`]; also if a setting is named twice.
    pub fn set_all(&mut self, pairs: &[(&[u8], &[u8])]) -> Result<Vec<Change>, SettingsError> {
        let mut changed = self.clone();
        let mut touched = Vec::with_capacity(pairs.len());
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        for (name, _) in pairs {
            let parameter = parameters::find(name).ok_or_else(|| SettingsError::Unknown(text(name)))?;
            let refused =
                |reason: &str| SettingsError::Refused { name: text(name), reason: reason.to_owned() };
            let write = parameter.write.ok_or_else(|| refused("can't set immutable config"))?;
            if touched.iter().any(|(seen, _)| *seen == parameter.name) {
                return Err(refused("duplicate parameter"));
            }
            touched.push((parameter.name, write));
        }
        let mut changes = Vec::with_capacity(pairs.len());
        for ((_, write), (name, value)) in touched.iter().zip(pairs) {
            let change = write(&mut changed, value)
                .map_err(|reason| SettingsError::Refused { name: text(name), reason })?;
            changes.push(change);
        }
        *self = changed;
        Ok(changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new("127.0.0.1:5299".parse().unwrap())
    }

    #[test]
    fn shown_as_redis_shows_them() {
        for (pattern, expected) in [
            ("maxclients", "maxclients=10000"),
            ("MAXC*", "maxclients=10000"),
            ("save", "save="),
            ("appendonly", "appendonly=no"),
            ("timeout", "timeout=0"),
            ("loglevel", "loglevel=notice"),
            ("slowlog-*", "slowlog-max-len=1024 slowlog-log-slower-than=20000 slowlog-sample-rate=1"),
            ("nothing", ""),
        ] {
            let pairs = settings().get(pattern.as_bytes());
            let shown: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!(shown.join(" "), expected, "{pattern}");
        }
        for (patterns, shown) in [([b"p?rt".as_slice(), b"PORT"], "port"), ([b"PORT", b"port"], "PORT")] {
            assert_eq!(settings().get_any(&patterns), [(shown.to_owned(), "5299".to_owned())]);
        }
    }

    #[test]
    fn every_accepted_value_is_shown_again() {
        for (name, value, shown) in [
            ("maxclients", "3", "3"),
            ("TIMEOUT", "60", "60"),
            ("requirepass", "secret", "secret"),
            ("requirepass", "", ""),
            ("proto-max-bulk-len", "2mb", "2097152"),
            ("memory-max", "1g", "1000000000"),
            ("slowlog-log-slower-than", "-1", "-1"),
            ("active-redirection", "YES", "yes"),
            ("default-redirection-address", "10.0.0.1:5299", "10.0.0.1:5299"),
            ("default-redirection-address", "", ""),
            ("cluster-nodes-version", "v1", "v1"),
            ("loglevel", "verbose", "verbose"),
        ] {
            let mut settings = settings();
            settings.set(name.as_bytes(), value.as_bytes()).unwrap();
            assert_eq!(settings.get(name.as_bytes())[0].1, shown, "{name}");
        }
    }

    #[test]
    fn refused_values_say_what_is_accepted() {
        for (pairs, expected) in [
            (&["foo", "1"][..], "ERR Unknown option or number of arguments for CONFIG SET - 'foo'"),
            (
                &["timeout", "5", "foo", "1"],
                "ERR Unknown option or number of arguments for CONFIG SET - 'foo'",
            ),
            (&["databases", "3"], "databases') - can't set immutable config"),
            (&["maxclients", "x"], "maxclients') - argument couldn't be parsed into an integer"),
            (&["maxclients", "+1"], "maxclients') - argument couldn't be parsed into an integer"),
            (&["maxclients", "0"], "maxclients') - argument must be between 1 and 4294967295 inclusive"),
            (&["maxclients", "10", "MAXCLIENTS", "12"], "MAXCLIENTS') - duplicate parameter"),
            (&["timeout", "-1"], "timeout') - argument must be between 0 and 2147483647 inclusive"),
            (&["active-redirection", "maybe"], "active-redirection') - argument must be 'yes' or 'no'"),
            (&["max-redirections", "65"], "max-redirections') - argument must be between 1 and 64 inclusive"),
            (&["proto-max-bulk-len", "1xb"], "proto-max-bulk-len') - argument must be a memory value"),
            (&["proto-max-bulk-len", "9g"], "proto-max-bulk-len') - argument must be between"),
            (&["cluster-nodes-version", "v3"], "argument(s) must be one of the following: v1, v2"),
            (&["default-redirection-address", "x"], "argument must be host:port, or empty for none"),
        ] {
            let mut changed = settings();
            let pairs: Vec<(&[u8], &[u8])> =
                pairs.chunks(2).map(|pair| (pair[0].as_bytes(), pair[1].as_bytes())).collect();
            let error = changed.set_all(&pairs).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert_eq!(changed, settings(), "nothing may change");
        }
    }

    #[test]
    fn operators_see_no_secret() {
        let mut settings = settings();
        let of = |settings: &Settings, name: &str| {
            let shown = settings.shown().find(|shown| shown.name == name).unwrap();
            (shown.value, shown.is_changeable)
        };
        assert_eq!(of(&settings, "requirepass"), (String::new(), true));
        settings.set(b"requirepass", b"hunter2").unwrap();
        assert_eq!(of(&settings, "requirepass"), ("***".to_owned(), true));
        assert_eq!(of(&settings, "databases"), ("16".to_owned(), false));
    }

    #[test]
    fn the_password_is_not_printed() {
        let mut settings = settings();
        settings.set(b"requirepass", b"hunter2").unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
        let secret = settings.password.unwrap();
        assert!(secret.is(b"hunter2") && !secret.is(b"hunter") && !secret.is(b"Hunter2"));
    }
}
