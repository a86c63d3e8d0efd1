//! The documents and the program say the same.

use control::config::BrokerConfig;
use control::coordinator::CoordinatorConfig;
use proxy::config::ProxyConfig;
use service::config::{Configuration, Settings};
use std::path::{Path, PathBuf};

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

/// That a section of docs/configuration.md has exactly the rows of `S`.
fn check_settings<S: Configuration>(heading: &str) {
    let text = document("docs/configuration.md");
    let mut sections = text.split("\n## ");
    let section = sections.find(|section| section.starts_with(heading)).expect("a section on the role");
    let found: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
    let wanted = rows::<S>();
    assert_eq!(found, wanted, "docs/configuration.md should have these rows:\n{}\n", wanted.join("\n"));
}

#[test]
fn every_setting_of_the_proxy_is_documented() {
    check_settings::<ProxyConfig>("Proxy");
}

#[test]
fn every_setting_of_the_broker_is_documented() {
    check_settings::<BrokerConfig>("Broker");
}

#[test]
fn every_setting_of_the_coordinator_is_documented() {
    check_settings::<CoordinatorConfig>("Coordinator");
}

/// Every Markdown file that belongs to the project, from the repository's root down.
fn markdown_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a folder's entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        // What is hidden, built or fetched is not ours to check.
        if name.starts_with('.') || name == "target" || name == "node_modules" {
            continue;
        }
        if path.is_dir() {
            markdown_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// The targets of Markdown links, `[text](target)`, outside of code.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        // Every second piece between backquotes is code.
        for prose in line.split('`').step_by(2) {
            let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
            found.extend(targets.map(|(target, _)| target.to_owned()));
        }
    }
    found
}

/// The anchor that a heading gets, as code hosts make it: lower case, hyphens for spaces, no punctuation.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// Why a link from `file` leads nowhere, if so.
fn broken(file: &Path, link: &str) -> Option<String> {
    if link.starts_with("https://") || link.starts_with("http://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let folder = file.parent().expect("a file is in a folder");
    let target = if path.is_empty() { file.to_owned() } else { folder.join(path) };
    if !target.exists() {
        return Some(format!("{}: {link}: no such file", file.display()));
    }
    if anchor.is_empty() {
        return None;
    }
    let text = std::fs::read_to_string(&target).unwrap_or_default();
    let found = anchors(&text).iter().any(|known| known == anchor);
    (!found).then(|| format!("{}: {link}: no such heading", file.display()))
}

#[test]
fn links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    markdown_files(&root, &mut files);
    assert!(files.len() >= 5, "too few documents were found: {files:?}");
    let read = |file: &PathBuf| std::fs::read_to_string(file).expect("a document in UTF-8");
    let faults: Vec<String> = files
        .iter()
        .flat_map(|file| links(&read(file)).into_iter().filter_map(|link| broken(file, &link)))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_link_checker_finds_faults() {
    fn check(link: &str, expected: Option<&str>) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        let found = broken(&file, link);
        assert_eq!(found.as_deref().map(|text| text.rsplit(": ").next().unwrap()), expected, "{link}");
    }
    check("configuration.md", None);
    check("configuration.md#proxy", None);
    check("#proxy", None);
    check("https://redis.io", None);
    check("configuration.md#gateway-in-a-dream", Some("no such heading"));
    check("missing.md", Some("no such file"));
    let text = "a [b](c.md) `[not](x)` and [d](e)\n```\n[not](y)\n```\n[f](g#h)";
    assert_eq!(links(text), ["c.md", "e", "g#h"]);
}

/// Every file that the map names exists.
#[test]
fn the_map_names_files_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = document("ARCHITECTURE.md");
    let paths = text.split('`').filter(|piece| piece.starts_with("crates/") && !piece.contains('\n'));
    let missing: Vec<&str> = paths.filter(|path| !root.join(path).exists()).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names what is not there: {missing:?}");
}

/// A crate as ARCHITECTURE.md's table shows it, or as its manifest does.
#[derive(PartialEq, Eq, Debug)]
struct Crate {
    name: String,
    /// The crates of this workspace that it is built from, in the order of their names.
    uses: Vec<String>,
}

/// The rows of the table of crates, each with its kind.
fn crates_of_the_map(text: &str) -> Vec<(Crate, String)> {
    let section =
        text.split("\n## ").find(|section| section.starts_with("Crates")).expect("a section on crates");
    let table = section.split("\n\n").find(|part| part.starts_with("| crate ")).expect("a table of crates");
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, kind, _, uses, _] = cells[..] else { panic!("not a row of four cells: {line}") };
        let mut uses: Vec<String> = uses.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        uses.sort();
        (Crate { name: name.trim_matches('`').to_owned(), uses }, kind.to_owned())
    };
    table.lines().skip(2).map(row).collect()
}

/// The crates under `crates/`, as their manifests say.
fn crates_of_cargo() -> Vec<Crate> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let names = std::fs::read_dir(&folder)
        .expect("the crates")
        .map(|entry| entry.expect("a crate").file_name().into_string().expect("a name in UTF-8"));
    let mut names: Vec<String> = names.collect();
    names.sort();
    let uses = |name: &str| {
        let manifest: toml::Table =
            document(&format!("crates/{name}/Cargo.toml")).parse().expect("a manifest");
        let libraries = manifest.get("dependencies").and_then(|table| table.as_table());
        let libraries = libraries.into_iter().flat_map(toml::Table::keys);
        libraries.filter(|library| names.contains(library)).cloned().collect()
    };
    names.iter().map(|name| Crate { name: name.clone(), uses: uses(name) }).collect()
}

#[test]
fn the_table_of_crates_says_what_cargo_does() {
    let mut shown: Vec<Crate> =
        crates_of_the_map(&document("ARCHITECTURE.md")).into_iter().map(|(row, _)| row).collect();
    shown.sort_by(|one, two| one.name.cmp(&two.name));
    assert_eq!(
        shown,
        crates_of_cargo(),
        "ARCHITECTURE.md's table of crates (left) and the manifests (right)"
    );
}

#[test]
fn a_row_of_the_table_is_read_as_it_stands() {
    let text = "# A\n\n## Crates\n\nText.\n\n| crate | kind | holds | uses of ours |\n|---|---|---|---|\n\
                | `b` | shell | `x`, y | `c`, `a` |\n| `a` | pure | z | |\n\n| other |\n";
    let row = |name: &str, uses: &[&str]| Crate {
        name: name.to_owned(),
        uses: uses.iter().map(|name| (*name).to_owned()).collect(),
    };
    let expected = vec![(row("b", &["a", "c"]), "shell".to_owned()), (row("a", &[]), "pure".to_owned())];
    assert_eq!(crates_of_the_map(text), expected);
}

/// A pure crate is built from pure crates only, and clippy keeps it from clocks, sockets and the like beside what
/// it asks of every crate.
#[test]
fn pure_crates_are_kept_pure() {
    let shown = crates_of_the_map(&document("ARCHITECTURE.md"));
    let pure: Vec<&Crate> = shown.iter().filter(|(_, kind)| kind == "pure").map(|(row, _)| row).collect();
    assert!(pure.len() >= 4, "too few pure crates: {pure:?}");
    let everywhere = document("clippy.toml");
    let bans = document("crates/resp/clippy.toml");
    for asked in everywhere.lines() {
        assert!(bans.lines().any(|line| line == asked), "crates/resp/clippy.toml lacks {asked}");
    }
    for row in &pure {
        let strange: Vec<_> =
            row.uses.iter().filter(|used| !pure.iter().any(|row| row.name == **used)).collect();
        assert!(strange.is_empty(), "{} is pure and uses {strange:?}", row.name);
        let file = format!("crates/{}/clippy.toml", row.name);
        assert_eq!(document(&file), bans, "{file} differs from crates/resp/clippy.toml");
    }
}
