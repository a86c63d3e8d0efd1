//! No circle between the files of a crate: imports point one way.
//!
//! It reads the sources as text and needs no compiler. Method calls are not imports: which file's `impl` block a
//! method is in does not count.

mod arrows;
mod circles;
mod modules;
mod planted;
mod sources;

use circles::{Circle, circles};
use sources::{ReadFile, Sources};
use std::path::{Path, PathBuf};

/// The circles of the crate with this root file.
fn circles_of(root: &Path, read: ReadFile<'_>) -> Result<Vec<Circle>, String> {
    Ok(circles(&arrows::arrows(&Sources::read(root, read)?)))
}

/// The root files of a crate: its library and its binaries.
fn roots(folder: &Path) -> Vec<PathBuf> {
    let binaries = std::fs::read_dir(folder.join("src/bin")).into_iter().flatten();
    let binaries = binaries.map(|entry| entry.expect("a binary's entry").path());
    let files = ["src/lib.rs", "src/main.rs"].map(|file| folder.join(file));
    files.into_iter().chain(binaries).filter(|path| path.is_file()).collect()
}

#[test]
fn imports_point_one_way() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the crates");
    let mut names: Vec<_> = std::fs::read_dir(&crates)
        .expect("the crates")
        .map(|entry| entry.expect("a crate").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    let mut faults = Vec::new();
    for name in &names {
        let folder = crates.join(name);
        for root in roots(&folder) {
            let root = root.strip_prefix(&crates).expect("inside").to_owned();
            let read = |path: &Path| std::fs::read_to_string(crates.join(path)).ok();
            let circles = circles_of(&root, &read).unwrap_or_else(|error| panic!("{error}"));
            faults.extend(circles.iter().map(ToString::to_string));
        }
    }
    assert!(faults.is_empty(), "move what both sides need to a file of its own:\n{}", faults.join("\n"));
}
