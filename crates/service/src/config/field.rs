//! The declaration of a role's settings.

use super::value::BadValue;

/// One setting of the configuration `S`.
#[derive(Debug)]
pub struct Field<S: 'static> {
    /// The key in the file; in the environment it is `UNDERMOON_` and this in capitals.
    pub name: &'static str,
    /// What it means, from the field's own documentation.
    pub meaning: &'static str,
    /// Whether its value is never printed.
    pub secret: bool,
    /// The accepted values, in words.
    pub accepts: fn() -> String,
    /// Sets it from an environment variable.
    pub set_text: fn(&mut S, &str) -> Result<(), BadValue>,
    /// Sets it from the file.
    pub set_toml: fn(&mut S, &toml::Value) -> Result<(), BadValue>,
    /// Its value for printing; `None` when not set.
    pub shown: fn(&S) -> Option<toml::Value>,
}

/// A struct that was declared with [`settings!`](crate::settings).
pub trait Settings: Default + 'static {
    /// Every setting, in the order of the declaration.
    const FIELDS: &'static [Field<Self>];
}

/// The settings of a role together with the rules that span several of them.
pub trait Configuration: Settings {
    /// Refuses combinations that make no sense. Each entry names the setting to change and says why.
    fn contradictions(&self) -> Vec<(&'static str, String)>;
}

/// Declares a configuration struct: each field with its documentation, type ([`Setting`](super::Setting)) and
/// default. The documentation is also what `--help` and the documents say about the setting.
///
/// ```
/// service::settings! {
///     /// Settings of a lamp.
///     pub struct Lamp {
///         /// How bright it shines, in percent.
///         pub brightness: service::config::Count<0, 100> = service::config::Count::of(50),
///         /// Whether it is switched on.
///         pub lit: bool = false,
///     }
/// }
/// assert_eq!(Lamp::default().brightness.get(), 50);
/// ```
#[macro_export]
macro_rules! settings {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[doc = $doc:literal])+ pub $field:ident: $kind:ty = $default:expr),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name { $($(#[doc = $doc])+ pub $field: $kind),+ }

        impl Default for $name {
            fn default() -> Self {
                $name { $($field: $default),+ }
            }
        }

        impl $crate::config::Settings for $name {
            const FIELDS: &'static [$crate::config::Field<Self>] = &[$($crate::config::Field {
                name: stringify!($field),
                meaning: concat!($($doc),+).trim_ascii(),
                secret: <$kind as $crate::config::Setting>::SECRET,
                accepts: <$kind as $crate::config::Setting>::accepts,
                set_text: |settings, text| {
                    settings.$field = <$kind as $crate::config::Setting>::from_text(text)?;
                    Ok(())
                },
                set_toml: |settings, value| {
                    settings.$field = <$kind as $crate::config::Setting>::from_toml(value)?;
                    Ok(())
                },
                shown: |settings| $crate::config::Setting::shown(&settings.$field),
            }),+];
        }
    };
}
