//! Settings that are one word out of a few.

/// Declares an enum whose values are words: `choice! { pub enum Format { Human = "human", Json = "json" } }`.
///
/// It can be used as the type of a setting, printed, and parsed; a near miss is answered with "did you mean".
#[macro_export]
macro_rules! choice {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$item_meta:meta])* $item:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$item_meta])* $item),+ }

        impl $name {
            /// Every value with its word, in the order of the declaration.
            pub const ALL: &'static [(&'static str, $name)] = &[$(($word, $name::$item)),+];

            /// The word for this value.
            pub fn word(self) -> &'static str {
                match self { $($name::$item => $word),+ }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                formatter.write_str(self.word())
            }
        }

        impl $crate::config::Setting for $name {
            fn from_text(text: &str) -> Result<Self, $crate::config::BadValue> {
                let words = $name::ALL;
                words.iter().find(|(word, _)| *word == text.trim()).map(|(_, value)| *value).ok_or_else(|| {
                    let near = $crate::config::nearest(text.trim(), words.iter().map(|(word, _)| *word));
                    $crate::config::BadValue::unknown_word(near)
                })
            }

            fn accepts() -> String {
                let words: Vec<&str> = $name::ALL.iter().map(|(word, _)| *word).collect();
                words.join(", ")
            }

            fn shown(&self) -> Option<$crate::config::TomlValue> {
                Some($crate::config::TomlValue::String(self.word().to_owned()))
            }
        }
    };
}
