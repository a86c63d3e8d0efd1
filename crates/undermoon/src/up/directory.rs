//! Where the processes of `up` keep their data and logs.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Child;

use anyhow::{Context as _, anyhow};

use super::layout::Layout;
use crate::failure::Failure;
use crate::sweep;

/// The file that marks a directory as made by `up`, and says what is in it.
const LAYOUT_FILE: &str = "undermoon-up.toml";

/// A directory that is removed at the end, or one that stays.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Removes the directory when this process ends; `None` when the directory stays.
    sweeper: Option<Child>,
    /// Whether it is meant to be used again by a later start.
    lasting: bool,
}

impl Directory {
    /// Makes or opens the directory: a new temporary one when `given` is `None`.
    pub(crate) fn open(given: Option<&Path>, keep: bool) -> Result<Self, Failure> {
        if let Some(path) = given {
            check(path)?;
            // Servers run in folders of their own, where a relative path would lead elsewhere.
            let path = path.canonicalize().with_context(|| format!("cannot find {}", path.display()))?;
            return Ok(Directory { path, sweeper: None, lasting: true });
        }
        let made = tempfile::Builder::new().prefix("undermoon-").tempdir();
        let path = made.context("cannot create a temporary directory")?.keep();
        let sweeper = if keep { None } else { Some(sweep::start(&path)?) };
        Ok(Directory { path, sweeper, lasting: false })
    }

    /// The layout that an earlier start left here, if there was one.
    pub(crate) fn layout(&self) -> Result<Option<Layout>, Failure> {
        let file = self.path.join(LAYOUT_FILE);
        let Ok(text) = std::fs::read_to_string(&file) else { return Ok(None) };
        let layout: Layout = toml::from_str(&text).map_err(|error| {
            let file = file.display();
            anyhow!(
                "{file} was not written by this version of `undermoon up`, or was changed: {}",
                error.message()
            )
        })?;
        if let Some(port) =
            layout.ports().find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_err())
        {
            let path = self.path.display();
            let text = format!(
                "port {port}, which the cluster in {path} has, is in use: is that cluster running? Otherwise stop \
                 what uses the port (`ss -ltnp sport = :{port}` shows it)"
            );
            return Err(anyhow!(text).into());
        }
        Ok(Some(layout))
    }

    /// Notes what is here, for a later start.
    pub(crate) fn note(&self, layout: &Layout) -> Result<(), Failure> {
        let file = self.path.join(LAYOUT_FILE);
        let text = toml::to_string(layout).context("cannot write a layout down")?;
        Ok(std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?)
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
    pub(crate) fn folder(&self, name: &Path) -> Result<PathBuf, Failure> {
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

/// Takes a directory into use: a missing or empty one, or one that was made by `up`.
fn check(path: &Path) -> Result<(), Failure> {
    let shown = path.display();
    std::fs::create_dir_all(path).with_context(|| format!("cannot create {shown}"))?;
    if path.join(LAYOUT_FILE).exists() {
        return Ok(());
    }
    let mut entries = std::fs::read_dir(path).with_context(|| format!("cannot read {shown}"))?;
    if entries.next().is_some() {
        return Err(anyhow!("{shown} is not empty and was not made by `undermoon up`").into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::path::Path;

    use super::{Directory, LAYOUT_FILE};
    use crate::up::layout::{Layout, Shape};

    fn layout() -> Layout {
        Layout::new(Shape { clusters: 1, chunks: 1, spare: 0 }, 24_000).unwrap()
    }

    #[test]
    fn only_a_fitting_directory_is_used() {
        fn check(prepare: impl Fn(&Path), expected: Result<bool, &str>) {
            let directory = tempfile::tempdir().unwrap();
            prepare(directory.path());
            let found = Directory::open(Some(directory.path()), false).and_then(|opened| opened.layout());
            match (found, expected) {
                (Ok(found), Ok(wanted)) => assert_eq!(found.is_some(), wanted),
                (Err(failure), Err(wanted)) => {
                    let text = failure.error.to_string();
                    assert!(text.contains(wanted), "{text}");
                }
                (found, expected) => panic!("{found:?} instead of {expected:?}"),
            }
        }
        let note = |path: &Path, layout: &Layout| {
            Directory::open(Some(path), false).unwrap().note(layout).unwrap();
        };
        check(|_| (), Ok(false));
        check(|path| std::fs::remove_dir(path).unwrap(), Ok(false));
        check(|path| note(path, &layout()), Ok(true));
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        check(|path| note(path, &Layout { broker_port: port, ..layout() }), Err("is in use"));
        check(|path| std::fs::write(path.join(LAYOUT_FILE), "shards = 2\n").unwrap(), Err("this version"));
        check(|path| std::fs::write(path.join("thesis.tex"), "").unwrap(), Err("is not empty"));
    }
}
