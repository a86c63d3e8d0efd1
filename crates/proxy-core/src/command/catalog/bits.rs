//! Named sets of bits: command flags and key flags, as the words that `COMMAND` uses for them.

/// Declares a set whose members have a constant and the word that Redis uses for it; the order of the
/// members is the order in which they are listed.
macro_rules! bitset {
    ($(#[$doc:meta])* $name:ident($repr:ty) { $($(#[$member_doc:meta])* $member:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
        pub struct $name($repr);

        impl $name {
            bitset!(@members $repr, 0, $($(#[$member_doc])* $member,)+);

            const WORDS: &'static [($name, &'static str)] = &[$(($name::$member, $word)),+];

            /// The set with no member.
            pub const EMPTY: $name = $name(0);

            /// Whether every member of `other` is in this set.
            #[inline]
            pub const fn contains(self, other: $name) -> bool {
                self.0 & other.0 == other.0
            }

            /// Whether any member of `other` is in this set.
            #[inline]
            pub const fn intersects(self, other: $name) -> bool {
                self.0 & other.0 != 0
            }

            /// Both sets together.
            #[must_use]
            pub const fn union(self, other: $name) -> $name {
                $name(self.0 | other.0)
            }

            /// This set without the members of `other`.
            #[must_use]
            pub const fn without(self, other: $name) -> $name {
                $name(self.0 & !other.0)
            }

            /// The set of one member, by Redis's word for it.
            pub fn from_word(word: &str) -> Option<$name> {
                Self::WORDS.iter().find(|(_, known)| *known == word).map(|(member, _)| *member)
            }

            /// The set of all words that are known; the others are left out.
            pub fn from_words<'a>(words: impl Iterator<Item = &'a str>) -> $name {
                words.filter_map(Self::from_word).fold(Self::EMPTY, Self::union)
            }

            /// Redis's words for the members, in Redis's order.
            pub fn words(self) -> impl Iterator<Item = &'static str> + Clone {
                Self::WORDS.iter().filter(move |(member, _)| self.contains(*member)).map(|(_, word)| *word)
            }
        }
    };
    (@members $repr:ty, $bit:expr, $(#[$doc:meta])* $member:ident, $($rest:tt)*) => {
        $(#[$doc])*
        pub const $member: Self = Self(1 as $repr << $bit);
        bitset!(@members $repr, $bit + 1, $($rest)*);
    };
    (@members $repr:ty, $bit:expr,) => {};
}

pub(super) use bitset;
