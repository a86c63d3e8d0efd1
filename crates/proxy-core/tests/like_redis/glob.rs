//! Patterns, against what KEYS of a real server makes of them.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use proxy_core::glob::{Case, Pattern};
use testkit::connection::Connection;
use testkit::redis_server::{RedisOptions, RedisServer};

#[test]
fn as_keys_matches() {
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let connection = std::cell::RefCell::new(Connection::open(redis.address()).unwrap());
    let cases = (r"[ab\-\^\*\?\[\]\\]{0,10}", r"[ab\-\^\]\\]{1,8}");
    let config = ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&cases, |(pattern, text)| {
        let mut connection = connection.borrow_mut();
        connection.call(&[b"set", text.as_bytes(), b"1"]).unwrap();
        let found = connection.call(&[b"keys", pattern.as_bytes()]).unwrap();
        connection.call(&[b"del", text.as_bytes()]).unwrap();
        let expected = found.bytes() != b"*0\r\n";
        prop_assert_eq!(Pattern::new(pattern.as_bytes(), Case::Exact).matches(text.as_bytes()), expected);
        Ok(())
    });
    outcome.unwrap();
}
