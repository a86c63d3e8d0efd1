//! The binary as a person or a supervisor meets it: what it prints, and the code it exits with.

use std::io::Write as _;
use std::process::{Command, Output};

/// Runs the binary with nothing of the test's own environment that it would read.
fn undermoon(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_undermoon"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("UNDERMOON_")) {
        command.env_remove(name);
    }
    command.args(arguments).envs(environment.iter().copied()).output().expect("the binary runs")
}

struct Expected<'a> {
    code: i32,
    stdout: &'a [&'a str],
    stderr: &'a [&'a str],
}

fn check(arguments: &[&str], environment: &[(&str, &str)], expected: &Expected<'_>) {
    let output = undermoon(arguments, environment);
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let context = format!("{arguments:?} {environment:?}\nstdout:\n{stdout}\nstderr:\n{stderr}");
    assert_eq!(output.status.code(), Some(expected.code), "{context}");
    for (text, wanted, name) in [(&stdout, expected.stdout, "stdout"), (&stderr, expected.stderr, "stderr")] {
        assert_eq!(wanted.is_empty(), text.is_empty(), "is there any {name}? {context}");
        for part in wanted {
            assert!(text.contains(part), "no {part:?} in {name}: {context}");
        }
    }
}

#[test]
fn help_and_version() {
    let good = |stdout| Expected { code: 0, stdout, stderr: &[] };
    check(
        &["--help"],
        &[],
        &good(&["Usage: undermoon <COMMAND>", "proxy", "completions", "Exit codes:", "78"]),
    );
    check(&["--version"], &[], &good(&["undermoon ", "debug"]));
    check(&["proxy", "-h"], &[], &good(&["Examples:", "UMCTL SETCLUSTER", "--check"]));
    let settings =
        ["UNDERMOON_BACKEND_TIMEOUT", "from 1 to 86400000 milliseconds", "cluster_nodes_version = \"v2\""];
    check(&["proxy", "--help"], &[], &good(&settings));
}

#[test]
fn the_broker_has_settings_too() {
    let good = |stdout| Expected { code: 0, stdout, stderr: &[] };
    check(&["broker", "-h"], &[], &good(&["Examples:", "openapi.json", "--check"]));
    check(&["broker", "--help"], &[], &good(&["UNDERMOON_ETCD_ENDPOINTS", "store = \"embedded\""]));
    let shown = ["store = \"embedded\"  # default", "write_token = \"***\"  # environment"];
    check(&["broker", "--check"], &[("UNDERMOON_WRITE_TOKEN", "x")], &good(&shown));
    let bad = Expected { code: 78, stdout: &[], stderr: &["etcd_endpoints"] };
    check(&["broker", "--check"], &[("UNDERMOON_STORE", "etcd")], &bad);
}

#[test]
fn wrong_command_lines() {
    let wrong = |stderr| Expected { code: 2, stdout: &[], stderr };
    check(&[], &[], &wrong(&["Usage:"]));
    check(&["prxoy"], &[], &wrong(&["unrecognized subcommand 'prxoy'", "'proxy'"]));
    check(&["proxy", "--chekc"], &[], &wrong(&["--check"]));
    check(&["proxy", "one.toml", "two.toml"], &[], &wrong(&["unexpected argument 'two.toml'"]));
    check(&["completions", "cobol"], &[], &wrong(&["invalid value 'cobol'", "bash"]));
}

#[test]
fn completions() {
    for (shell, wanted) in
        [("bash", "_undermoon()"), ("zsh", "#compdef undermoon"), ("fish", "complete -c undermoon")]
    {
        check(&["completions", shell], &[], &Expected { code: 0, stdout: &[wanted, "check"], stderr: &[] });
    }
}

fn configuration_file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(text.as_bytes()).expect("a written file");
    file
}

#[test]
fn good_configurations() {
    fn check_file(text: &str, environment: &[(&str, &str)], stdout: &[&str], stderr: &[&str]) {
        let file = configuration_file(text);
        let path = file.path().to_str().expect("a path in UTF-8");
        check(&["proxy", path, "--check"], environment, &Expected { code: 0, stdout, stderr });
    }
    check_file("", &[], &["address = \"127.0.0.1:5299\"  # default", "thread_number = 2  # default"], &[]);
    check_file(
        "thread_number = 3\npassword = 'hunter2'",
        &[("UNDERMOON_BACKEND_TIMEOUT", "500")],
        &[
            "thread_number = 3  # file",
            "password = \"***\"  # file",
            "backend_timeout = 500  # environment, UNDERMOON_BACKEND_TIMEOUT",
        ],
        &[],
    );
    check_file(
        "address = '0.0.0.0:5299'\nannounce_address = 'redis-1.example.org:5299'",
        &[],
        &["announce_address = \"redis-1.example.org:5299\"  # file"],
        &[],
    );
    check_file(
        "address = '127.0.0.1:0'\nannounce_address = 'redis-1.example.org:5299'\nbackend_conn_num = 4",
        &[],
        &["address = \"127.0.0.1:0\"  # file", "backend_conn_num = 4  # file"],
        &[],
    );
    check_file("", &[("UNDERMOON_ADRESS", "x")], &["# default"], &["did you mean UNDERMOON_ADDRESS?"]);
}

#[test]
fn bad_configurations() {
    fn check_file(text: &str, environment: &[(&str, &str)], stderr: &[&str]) {
        let file = configuration_file(text);
        let path = file.path().to_str().expect("a path in UTF-8");
        let expected = Expected { code: 78, stdout: &[], stderr };
        // Without `--check` a bad configuration ends the process the same way, before it serves anything.
        check(&["proxy", path, "--check"], environment, &expected);
        check(&["proxy", path], environment, &expected);
    }
    check_file("adress = 'x'", &[], &["unknown setting `adress`, did you mean `address`?"]);
    check_file("thread_number = 0", &[], &["`thread_number` = 0 is below 1"]);
    check_file("announce_address = 'x'", &[], &["\"x\" is without a port; accepted: host:port"]);
    check_file("log_level = 'ifno'", &[], &["did you mean `info`?"]);
    check_file("address = '0.0.0.0:5299'", &[], &["`announce_address`: ", "clients cannot connect to"]);
    check_file("address = '127.0.0.1:0'", &[], &["`address`: port 0", "set `announce_address`"]);
    check_file("backend_conn_num = 5", &[], &["`backend_conn_num` = 5 is above 4"]);
    check_file("admin_address = '127.0.0.1:5299'", &[], &["`admin_address`: the same as `address`"]);
    check_file(
        "",
        &[("UNDERMOON_CLUSTER_NODES_VERSION", "v3")],
        &["UNDERMOON_CLUSTER_NODES_VERSION", "v1, v2"],
    );
    check_file("databases = 0\nmaxclients = 0", &[], &["2 problems", "`databases`", "`maxclients`"]);
    let missing = Expected { code: 78, stdout: &[], stderr: &["/nonexistent.toml: No such file"] };
    check(&["proxy", "/nonexistent.toml", "--check"], &[], &missing);
}
