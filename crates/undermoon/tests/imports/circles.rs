//! Circles among arrows: sets of files each of which needs all others.

use crate::arrows::Arrows;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

/// A largest set of files that all reach each other, with the arrows between them.
pub(crate) struct Circle {
    /// The arrows whose both ends are in the circle.
    pub(crate) arrows: Arrows,
}

impl Display for Circle {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} files use each other in a circle:", self.arrows.len())?;
        for (from, targets) in &self.arrows {
            for (to, names) in targets {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                write!(formatter, "\n  {} -> {}: {}", from.display(), to.display(), names.join(", "))?;
            }
        }
        Ok(())
    }
}

/// All circles, in the order of their files.
pub(crate) fn circles(arrows: &Arrows) -> Vec<Circle> {
    let reached: BTreeMap<&Path, BTreeSet<&Path>> =
        arrows.keys().map(|file| (file.as_path(), reach(arrows, file))).collect();
    let mut found = Vec::new();
    let mut seen: BTreeSet<&Path> = BTreeSet::new();
    for (file, ahead) in &reached {
        if seen.contains(file) || !ahead.contains(file) {
            continue;
        }
        let back = |other: &&Path| reached.get(other).is_some_and(|reached| reached.contains(file));
        let members: BTreeSet<&Path> = ahead.iter().copied().filter(back).collect();
        seen.extend(&members);
        found.push(Circle { arrows: between(arrows, &members) });
    }
    found
}

/// Every file that can be reached from `file` by at least one arrow.
fn reach<'a>(arrows: &'a Arrows, file: &Path) -> BTreeSet<&'a Path> {
    let next = |file: &Path| arrows.get(file).into_iter().flat_map(|targets| targets.keys());
    let mut reached: BTreeSet<&Path> = BTreeSet::new();
    let mut open: Vec<&Path> = next(file).map(PathBuf::as_path).collect();
    while let Some(file) = open.pop() {
        if reached.insert(file) {
            open.extend(next(file).map(PathBuf::as_path));
        }
    }
    reached
}

fn between(arrows: &Arrows, members: &BTreeSet<&Path>) -> Arrows {
    let inside = |(from, targets): (&PathBuf, &BTreeMap<PathBuf, BTreeSet<String>>)| {
        let targets = targets.iter().filter(|(to, _)| members.contains(to.as_path()));
        (from.clone(), targets.map(|(to, names)| (to.clone(), names.clone())).collect())
    };
    arrows.iter().filter(|(from, _)| members.contains(from.as_path())).map(inside).collect()
}
