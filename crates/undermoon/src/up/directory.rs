//! Where the processes of `up` keep their data and logs.

use super::layout::Shape;
use crate::failure::Failure;
use crate::sweep;
use anyhow::{Context as _, anyhow};
use std::path::{Path, PathBuf};
use std::process::Child;

/// The file that marks a directory as made by `up`, and says for what shape.
const MARKER: &str = "undermoon-up.toml";

/// A directory that is removed at the end, or one that stays.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Removes the directory when this process ends; none when it stays.
    sweeper: Option<Child>,
    /// Whether it is meant to be used again by a later start.
    lasting: bool,
}

impl Directory {
    /// Makes or opens the directory: a new temporary one when `given` is none.
    pub(crate) fn prepare(given: Option<&Path>, keep: bool, shape: Shape) -> Result<Self, Failure> {
        if let Some(path) = given {
            open(path, shape)?;
            // Servers run in folders of their own, where a relative path would lead elsewhere.
            let path = path.canonicalize().with_context(|| format!("cannot find {}", path.display()))?;
            return Ok(Directory { path, sweeper: None, lasting: true });
        }
        let made = tempfile::Builder::new().prefix("undermoon-").tempdir();
        let path = made.context("cannot create a temporary directory")?.keep();
        let sweeper = if keep { None } else { Some(sweep::start(&path)?) };
        Ok(Directory { path, sweeper, lasting: false })
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether data should be written so that a later start finds it.
    pub(crate) fn is_lasting(&self) -> bool {
        self.lasting
    }

    /// Whether the directory will still be there afterwards.
    pub(crate) fn stays(&self) -> bool {
        self.sweeper.is_none()
    }

    /// A folder inside, made if it is missing.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf, Failure> {
        let folder = self.path.join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(folder)
    }

    /// Removes the directory if it is not to stay. To be called when nothing writes there any more.
    pub(crate) fn finish(mut self) {
        if let Some(mut sweeper) = self.sweeper.take() {
            drop(sweeper.stdin.take());
            // What it could not remove it has said itself, on standard error.
            let _ = sweeper.wait();
        }
    }
}

/// Takes a directory into use: a missing or empty one, or one that was made for the same shape. Another shape would
/// find each key behind the wrong slots.
fn open(path: &Path, shape: Shape) -> Result<(), Failure> {
    let shown = path.display();
    let wanted = format!("shards = {}\nreplicated = {}\n", shape.shards, shape.replicated);
    std::fs::create_dir_all(path).with_context(|| format!("cannot create {shown}"))?;
    let marker = path.join(MARKER);
    match std::fs::read_to_string(&marker) {
        Ok(found) if found == wanted => Ok(()),
        Ok(found) => {
            let found = found.trim().replace('\n', ", ");
            Err(anyhow!("{shown} holds a cluster of another shape ({found}): use it, or another directory")
                .into())
        }
        Err(_) => {
            let mut entries = std::fs::read_dir(path).with_context(|| format!("cannot read {shown}"))?;
            if entries.next().is_some() {
                return Err(anyhow!("{shown} is not empty and was not made by `undermoon up`").into());
            }
            Ok(std::fs::write(&marker, wanted)
                .with_context(|| format!("cannot write {}", marker.display()))?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Shape, open};

    #[test]
    fn only_a_fitting_directory_is_used() {
        fn check(prepare: fn(&std::path::Path), expected: Result<(), &str>) {
            let directory = tempfile::tempdir().unwrap();
            prepare(directory.path());
            let result = open(directory.path(), Shape { shards: 3, replicated: true });
            match (result, expected) {
                (Ok(()), Ok(())) => (),
                (Err(failure), Err(wanted)) => {
                    let text = failure.error.to_string();
                    assert!(text.contains(wanted), "{text}");
                }
                (result, expected) => panic!("{result:?} instead of {expected:?}"),
            }
        }
        check(|_| (), Ok(()));
        check(|path| std::fs::remove_dir(path).unwrap(), Ok(()));
        check(|path| open(path, Shape { shards: 3, replicated: true }).unwrap(), Ok(()));
        check(
            |path| open(path, Shape { shards: 2, replicated: true }).unwrap(),
            Err("holds a cluster of another shape (shards = 2, replicated = true)"),
        );
        check(|path| std::fs::write(path.join("thesis.tex"), "").unwrap(), Err("is not empty"));
    }
}
