//! The checker finds the circles that are planted, and takes nothing else for one.

use crate::circles_of;
use std::path::Path;

/// A crate of a few files: their paths below `src`, and their text.
type Files<'a> = &'a [(&'a str, &'a str)];

/// The circles of the crate, one string each: its files, with the names that tie them.
fn found(files: Files<'_>) -> Result<Vec<String>, String> {
    let read = |path: &Path| {
        let file = files.iter().find(|(name, _)| Path::new(name) == path);
        file.map(|(_, text)| (*text).to_owned())
    };
    let circles = circles_of(Path::new("lib.rs"), &read)?;
    let arrows = |text: String| text.lines().skip(1).map(str::trim).collect::<Vec<_>>().join("; ");
    Ok(circles.into_iter().map(|circle| arrows(circle.to_string())).collect())
}

#[test]
fn planted_circles_are_found() {
    #[track_caller]
    fn check(what: &str, files: Files<'_>, expected: &str) {
        assert_eq!(found(files), Ok(vec![expected.to_owned()]), "{what}");
    }
    check(
        "two siblings, by groups and renames",
        &[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use super::b::{self, inner::{Two as Other}}; pub struct One; fn f(_: Other) {}"),
            ("b.rs", "pub mod inner; use super::a::One; type Alias = One;"),
            ("b/inner.rs", "use crate::b::Alias; pub struct Two;"),
        ],
        "a.rs -> b/inner.rs: Two; b/inner.rs -> b.rs: Alias; b.rs -> a.rs: One",
    );
    check(
        "a child that uses what its parent defines, and the parent what the child does",
        &[
            ("lib.rs", "mod room;"),
            ("room/mod.rs", "mod part; const LIMIT: u32 = 1; fn f() { part::g() }"),
            ("room/part.rs", "use super::LIMIT; pub fn g() {}"),
        ],
        "room/mod.rs -> room/part.rs: g; room/part.rs -> room/mod.rs: LIMIT",
    );
    check(
        "through what the parent re-exports",
        &[
            ("lib.rs", "mod a; mod room;"),
            ("a.rs", "use crate::room::Deep; pub fn one() {}"),
            ("room/mod.rs", "mod inner; pub use inner::*;"),
            ("room/inner.rs", "pub struct Deep; fn f() { crate::a::one(); }"),
        ],
        "a.rs -> room/inner.rs: Deep; room/inner.rs -> a.rs: one",
    );
    check(
        "by paths in types, in the arguments of a macro, and in an import inside of a function",
        &[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "pub struct One(Vec<crate::b::Two>);"),
            ("b.rs", "pub struct Two; fn f() { assert!(g(1, crate::c::Three::new()), \"{}\", x); }"),
            ("c.rs", "pub struct Three; fn f() { use super::a; a::One(Vec::new()); let _: super::a::One; }"),
        ],
        "a.rs -> b.rs: Two; b.rs -> c.rs: Three; c.rs -> a.rs: One",
    );
    check(
        "by a glob, whose names are used without a path",
        &[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::*; fn f(_: Two) {} pub struct One;"),
            ("b.rs", "pub struct Two(super::a::One);"),
        ],
        "a.rs -> b.rs: Two; b.rs -> a.rs: One",
    );
}

#[test]
fn what_is_no_circle_is_none() {
    #[track_caller]
    fn check(what: &str, files: Files<'_>) {
        assert_eq!(found(files), Ok(vec![]), "{what}");
    }
    check(
        "siblings that find each other's lower layer through their parent",
        &[
            ("lib.rs", "mod room;"),
            ("room/mod.rs", "mod low; mod high; pub use high::High; pub use low::Low;"),
            ("room/low.rs", "pub struct Low;"),
            ("room/high.rs", "use super::Low; pub struct High(Low);"),
        ],
    );
    check(
        "unit tests",
        &[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::Two; #[cfg(test)] mod tests { use crate::b::Two; } pub struct One;"),
            (
                "b.rs",
                "pub struct Two; #[cfg(test)] mod tests; #[cfg(test)] use super::a::One;
                 impl Two { #[cfg(test)] fn f() { crate::a::One; } }",
            ),
        ],
    );
    check(
        "who may see an item, documentation, and names that only look alike",
        &[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::Two; pub struct One; pub fn name(_: Two) {}"),
            (
                "b.rs",
                "/// See [`crate::a::One`].
                 pub(in crate::a) struct Two { name: u32 }
                 impl Two { fn f(&self) -> u32 { println!(\"{}\", self.a.name); self.name } }",
            ),
        ],
    );
    check(
        "other crates",
        &[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::Two; use b::Other; use ::a::One; pub struct One;"),
            ("b.rs", "use a::One; pub struct Two;"),
        ],
    );
}

#[test]
fn what_cannot_be_read_is_said() {
    assert_eq!(found(&[("lib.rs", "mod a;")]), Err("lib.rs: no file for `mod a`".to_owned()));
    assert!(found(&[("lib.rs", "fn (")]).is_err_and(|error| error.starts_with("lib.rs: ")));
}
