//! The documents and the program say the same.

use proxy::config::ProxyConfig;
use service::config::{Configuration, Settings};

fn document(path: &str) -> String {
    let path = format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The rows that docs/configuration.md must have for the settings of `S`, exactly.
fn rows<S: Configuration>() -> Vec<String> {
    let defaults = S::default();
    let row = |field: &service::config::Field<S>| {
        let default =
            (field.shown)(&defaults).map_or_else(|| "not set".to_owned(), |value| format!("`{value}`"));
        format!("| `{}` | {default} | {} | {} |", field.name, (field.accepts)(), field.meaning)
    };
    <S as Settings>::FIELDS.iter().map(row).collect()
}

#[test]
fn every_setting_of_the_proxy_is_documented() {
    let text = document("docs/configuration.md");
    let section =
        text.split("\n## ").find(|section| section.starts_with("Proxy")).expect("a section on the proxy");
    let found: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
    let wanted = rows::<ProxyConfig>();
    assert_eq!(found, wanted, "docs/configuration.md should have these rows:\n{}\n", wanted.join("\n"));
}
