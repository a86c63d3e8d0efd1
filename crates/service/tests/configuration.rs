//! Configuration as an operator meets it: good and bad files, the environment, and what each message says.

use service::config::{
    Bytes, ConfigError, Configuration, Count, Loaded, Microseconds, Milliseconds, Origin, Secret,
    Settings as _, load,
};
use std::ffi::OsString;
use std::io::Write as _;
use std::net::SocketAddr;

service::choice! {
    /// A word out of three.
    pub enum Colour {
        /// Red.
        Red = "red",
        /// Green.
        Green = "green",
        /// Light blue.
        LightBlue = "light-blue",
    }
}

service::settings! {
    /// A configuration with one setting of each kind.
    pub struct Example {
        /// Where to listen.
        pub address: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 5299)),
        /// How many.
        /// A second line.
        pub thread_number: Count<1, 64> = Count::of(2),
        /// A wait.
        pub timeout: Milliseconds<0, 60_000> = Milliseconds::of(3000),
        /// A threshold that may be off.
        pub slower_than: Microseconds<-1, 1_000_000> = Microseconds::of(20),
        /// A size.
        pub size: Bytes<1024, 1_048_576> = Bytes::of(4096),
        /// A switch.
        pub enabled: bool = false,
        /// A word.
        pub colour: Colour = Colour::Red,
        /// A secret.
        pub password: Option<Secret> = None,
        /// A list.
        pub peers: Vec<SocketAddr> = Vec::new(),
    }
}

impl Configuration for Example {
    fn contradictions(&self) -> Vec<(&'static str, String)> {
        if self.enabled && self.thread_number.get() == 64 {
            vec![("thread_number", "64 threads cannot be enabled".to_owned())]
        } else {
            Vec::new()
        }
    }
}

fn read(file: Option<&str>, environment: &[(&str, &str)]) -> Result<Loaded<Example>, ConfigError> {
    let environment = environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    match file {
        None => load(None, environment),
        Some(text) => {
            let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
            file.write_all(text.as_bytes()).expect("a temporary file");
            load(Some(file.path()), environment).map_err(|error| {
                // Messages name the file; the tables below call it FILE.
                let text = error.to_string().replace(&file.path().display().to_string(), "FILE");
                ConfigError { problems: vec![said(text)] }
            })
        }
    }
}

/// A problem that prints as exactly `text`.
fn said(text: String) -> service::config::Problem {
    service::config::Problem::Contradiction { key: "said", reason: text }
}

fn refusal(file: Option<&str>, environment: &[(&str, &str)]) -> String {
    let text = read(file, environment).expect_err("must be refused").to_string();
    text.replace("bad configuration: `said`: ", "")
}

#[test]
fn good_values() {
    fn check(file: Option<&str>, environment: &[(&str, &str)], change: fn(&mut Example)) {
        let mut expected = Example::default();
        change(&mut expected);
        let loaded =
            read(file, environment).unwrap_or_else(|error| panic!("{file:?} {environment:?}: {error}"));
        assert_eq!(loaded.settings, expected, "{file:?} {environment:?}");
        assert_eq!(loaded.warnings, Vec::<String>::new());
    }
    check(None, &[], |_| ());
    check(Some(""), &[], |_| ());
    check(Some("thread_number = 8"), &[], |c| c.thread_number = Count::of(8));
    check(Some("thread_number = 8"), &[("UNDERMOON_THREAD_NUMBER", "9")], |c| c.thread_number = Count::of(9));
    check(Some("slower_than = -1"), &[], |c| c.slower_than = Microseconds::of(-1));
    check(None, &[("UNDERMOON_ENABLED", "true")], |c| c.enabled = true);
    check(None, &[("UNDERMOON_COLOUR", "light-blue")], |c| c.colour = Colour::LightBlue);
    check(None, &[("UNDERMOON_ADDRESS", "[::1]:1")], |c| c.address = "[::1]:1".parse().unwrap());
    check(Some("password = 'x'"), &[], |c| c.password = Some(Secret::new("x")));
    check(Some("password = 'x'"), &[("UNDERMOON_PASSWORD", "")], |_| ());
    let two = |c: &mut Example| c.peers = vec!["1.1.1.1:1".parse().unwrap(), "2.2.2.2:2".parse().unwrap()];
    check(Some("peers = ['1.1.1.1:1', '2.2.2.2:2']"), &[], two);
    check(None, &[("UNDERMOON_PEERS", "1.1.1.1:1, 2.2.2.2:2")], two);
    check(Some("peers = ['1.1.1.1:1']"), &[("UNDERMOON_PEERS", "")], |_| ());
    check(None, &[("PATH", "/bin"), ("UNDERMOON_BIN", "x"), ("UNDERMOON_SERVICE_HOST", "x")], |_| ());
}

#[test]
fn bad_files() {
    fn check(file: &str, expected: &str) {
        assert_eq!(refusal(Some(file), &[]), format!("bad configuration: FILE: {expected}"), "{file}");
    }
    check("thread_numbr = 1", "unknown setting `thread_numbr`, did you mean `thread_number`?");
    check("Address = '1.1.1.1:1'", "unknown setting `Address`, did you mean `address`?");
    check(
        "zebra = 1",
        "unknown setting `zebra`; the settings are: address, thread_number, timeout, slower_than, size, enabled, \
         colour, password, peers",
    );
    check(
        "[proxy]\nx = 1",
        "unknown setting `proxy`; the settings are: address, thread_number, timeout, slower_than, \
         size, enabled, colour, password, peers",
    );
    check("thread_number = 0", "`thread_number` = 0 is below 1; accepted: a whole number from 1 to 64");
    check("thread_number = 65", "`thread_number` = 65 is above 64; accepted: a whole number from 1 to 64");
    check(
        "thread_number = '2'",
        "`thread_number` = \"2\" is a string where something else is expected; accepted: a whole number from 1 to 64",
    );
    check(
        "timeout = 1.5",
        "`timeout` = 1.5 is a float where something else is expected; accepted: a whole number from 0 to 60000 \
         milliseconds",
    );
    check("size = 1", "`size` = 1 is below 1024; accepted: a whole number from 1024 to 1048576 bytes");
    check(
        "enabled = 1",
        "`enabled` = 1 is an integer where something else is expected; accepted: true or false",
    );
    check(
        "colour = 'gren'",
        "`colour` = \"gren\" is not a known word, did you mean `green`?; accepted: red, green, light-blue",
    );
    check("colour = 'mauve'", "`colour` = \"mauve\" is not a known word; accepted: red, green, light-blue");
    check(
        "address = 'localhost'",
        "`address` = \"localhost\" is not an IP address and a port; accepted: an IP address and a port, as \
         127.0.0.1:5299 or [::1]:5299",
    );
    check(
        "password = 7",
        "`password` = *** is an integer where something else is expected; accepted: a text; empty for none",
    );
    check("size = 2048\nsize = 4096", "line 2: duplicate key");
}

#[test]
fn a_syntax_error_does_not_show_a_secret() {
    let text = refusal(Some("size = 2048\npassword = \"hunter2"), &[]);
    assert!(text.starts_with("bad configuration: FILE: line 2: "), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn bad_environment() {
    fn check(name: &str, value: &str, expected: &str) {
        assert_eq!(refusal(None, &[(name, value)]), format!("bad configuration: {name}: {expected}"));
    }
    check(
        "UNDERMOON_THREAD_NUMBER",
        "two",
        "`thread_number` = \"two\" is not a whole number; accepted: a whole number from 1 to 64",
    );
    check(
        "UNDERMOON_ENABLED",
        "yes",
        "`enabled` = \"yes\" is neither true nor false; accepted: true or false",
    );
    check(
        "UNDERMOON_PEERS",
        "1.1.1.1:1,nowhere",
        "`peers` = \"1.1.1.1:1,nowhere\" is not an IP address and a port; accepted: a list, each an IP address and a \
         port, as 127.0.0.1:5299 or [::1]:5299",
    );
}

#[test]
fn every_problem_is_shown_at_once() {
    let environment = [("UNDERMOON_SIZE", "big")];
    let text = refusal(Some("enabled = 3\nthread_number = 99"), &environment);
    assert_eq!(text.lines().next(), Some("bad configuration, 3 problems:"), "{text}");
    for wanted in ["`enabled`", "`thread_number`", "`size`"] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
}

#[test]
fn contradictions_are_judged_last() {
    let both = "enabled = true\nthread_number = 64";
    assert_eq!(refusal(Some(both), &[]), "bad configuration: `thread_number`: 64 threads cannot be enabled");
    assert!(!refusal(Some(both), &[("UNDERMOON_SIZE", "big")]).contains("cannot be enabled"));
}

#[test]
fn a_missing_file_is_named() {
    let path = std::path::Path::new("/nonexistent/proxy.toml");
    let error = load::<Example>(Some(path), []).unwrap_err().to_string();
    assert_eq!(error, "bad configuration: /nonexistent/proxy.toml: No such file or directory (os error 2)");
}

#[test]
fn a_misspelled_variable_is_a_warning() {
    let loaded = read(None, &[("UNDERMOON_TIMEUOT", "1")]).unwrap();
    assert_eq!(loaded.warnings, ["UNDERMOON_TIMEUOT is not used: did you mean UNDERMOON_TIMEOUT?"]);
}

#[test]
fn the_dump_names_origins_and_masks_secrets() {
    let loaded = read(Some("size = 2048\npassword = 'hunter2'"), &[("UNDERMOON_COLOUR", "green")]).unwrap();
    let text = loaded.to_text();
    for wanted in [
        "size = 2048  # file\n",
        "colour = \"green\"  # environment, UNDERMOON_COLOUR\n",
        "enabled = false  # default\n",
        "password = \"***\"  # file\n",
    ] {
        assert!(text.contains(wanted), "{wanted} in\n{text}");
    }
    assert!(!text.contains("hunter2") && !format!("{loaded:?}").contains("hunter2"));
    assert_eq!(loaded.origins.iter().filter(|origin| **origin == Origin::File).count(), 2);
}

#[test]
fn the_declaration_is_the_documentation() {
    let field = &Example::FIELDS[1];
    assert_eq!((field.name, field.meaning), ("thread_number", "How many. A second line."));
}

proptest::proptest! {
    /// Whatever a file holds, reading it ends in a configuration or a message.
    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        let _ = read(Some(&text), &[("UNDERMOON_PEERS", &text)]);
    }
}
