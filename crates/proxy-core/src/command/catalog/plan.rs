//! How a command's keys are found: the short form of its key specifications that routing works with.

use super::flags::Flags;
use super::spec::{BeginSearch, FindKeys, KeySpec};

/// How the keys of a command are found among its arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyPlan {
    /// It has none.
    None,
    /// Exactly one, at argument 1: the fast path.
    First,
    /// From `first` to `last` (negative: counted from the end) in steps of `step`.
    Range {
        /// The first key's argument.
        first: u32,
        /// The last key's argument.
        last: i32,
        /// Every how many arguments there is a key; at least 1.
        step: u32,
    },
    /// By the command's key specifications.
    Specs,
    /// By a rule of its own.
    Custom(CustomKeys),
}

/// Commands whose specifications are incomplete, or wrong for some arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CustomKeys {
    /// SORT and SORT_RO: argument 1, the last STORE, and the patterns of BY and GET.
    Sort,
    /// MIGRATE: argument 3, or all after KEYS where that is empty.
    Migrate,
    /// GEORADIUS and GEORADIUSBYMEMBER: argument 1 and the last of STORE and STOREDIST.
    GeoRadius,
    /// XREAD and XREADGROUP: the first half of what follows STREAMS, which may also be the name of a group.
    StreamRead,
}

/// First, last and step as `COMMAND` lists them: the form before key specifications.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LegacyRange {
    /// The first key's argument, 0 where there is none.
    pub first: i32,
    /// The last key's argument, negative where counted from the end.
    pub last: i32,
    /// Every how many arguments there is a key.
    pub step: i32,
}

/// The commands with a rule of their own.
const CUSTOM: &[(&str, CustomKeys)] = &[
    ("sort", CustomKeys::Sort),
    ("sort_ro", CustomKeys::Sort),
    ("migrate", CustomKeys::Migrate),
    ("georadius", CustomKeys::GeoRadius),
    ("georadiusbymember", CustomKeys::GeoRadius),
    ("xread", CustomKeys::StreamRead),
    ("xreadgroup", CustomKeys::StreamRead),
];

impl KeyPlan {
    /// The plan of a command that was described so.
    pub(super) fn of(name: &str, flags: Flags, legacy: LegacyRange, specs: &[KeySpec]) -> KeyPlan {
        if let Some((_, custom)) = CUSTOM.iter().find(|(known, _)| *known == name) {
            return KeyPlan::Custom(*custom);
        }
        if flags.contains(Flags::MOVABLEKEYS) {
            return if specs.is_empty() { KeyPlan::None } else { KeyPlan::Specs };
        }
        if specs.iter().any(|spec| !is_plain(spec)) {
            return KeyPlan::Specs;
        }
        legacy.plan()
    }
}

impl LegacyRange {
    fn plan(self) -> KeyPlan {
        let (Ok(first), Ok(step)) = (u32::try_from(self.first), u32::try_from(self.step)) else {
            return KeyPlan::None;
        };
        match (first, self.last, step) {
            (0, _, _) | (_, _, 0) => KeyPlan::None,
            (1, 1, 1) => KeyPlan::First,
            (first, last, step) => KeyPlan::Range { first, last, step },
        }
    }
}

/// Whether first, last and step can stand for this specification.
pub(super) fn is_plain(spec: &KeySpec) -> bool {
    matches!((&spec.begin, spec.find), (BeginSearch::Index(_), FindKeys::Range { limit: 0 | 1, .. }))
}
