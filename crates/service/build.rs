//! Tells the crate which commit it is built from, where that can be known.
//!
//! `UNDERMOON_COMMIT` in the build's environment wins (packagers build from an archive without git). Without
//! either, the commit is "unknown": a build never fails for want of it.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=UNDERMOON_COMMIT");
    println!("cargo:rerun-if-changed=build.rs");
    let commit = match std::env::var("UNDERMOON_COMMIT") {
        Ok(commit) if !commit.is_empty() => commit,
        _ => commit_from_git().unwrap_or_else(|| "unknown".to_owned()),
    };
    println!("cargo:rustc-env=UNDERMOON_BUILD_COMMIT={commit}");
}

fn commit_from_git() -> Option<String> {
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    // HEAD changes on a checkout; the file of the branch it names changes on a commit. Either may live outside
    // this checkout's own `.git` (worktrees), so git is asked where they are.
    let mut watched = vec!["HEAD".to_owned(), "packed-refs".to_owned()];
    watched.extend(git(&["symbolic-ref", "-q", "HEAD"]));
    for name in watched {
        if let Some(path) = git(&["rev-parse", "--path-format=absolute", "--git-path", &name])
            && std::path::Path::new(&path).exists()
        {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    Some(commit)
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}
