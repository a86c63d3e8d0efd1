//! The list of a role's settings, as `--help` shows it.

use std::fmt::Write as _;

use service::config::{Settings, environment_name};

/// The introduction, and every setting with its environment variable, default, accepted values and meaning.
pub(crate) fn text<S: Settings>(introduction: &str) -> String {
    let mut text = format!(
        "{introduction}\n\nSettings (each name is the key in the TOML file, the variable in brackets wins over it):\n"
    );
    let defaults = S::default();
    for field in S::FIELDS {
        let default =
            (field.shown)(&defaults).map_or_else(|| "not set".to_owned(), |value| value.to_string());
        // Writing into a String cannot fail.
        let _ = write!(text, "\n  {} = {default}   [{}]\n", field.name, environment_name(field.name));
        let _ = writeln!(text, "      {}", field.meaning);
        let _ = writeln!(text, "      Accepted: {}.", (field.accepts)());
    }
    text
}
