//! `script_keys = "strict"`: scripts may use no keys but those that they declare, on each server.

use proxy::config::ScriptKeys;
use service::config::Secret;
use testkit::binary::ServerBinary;
use testkit::connection::Connection;
use testkit::redis_server::{RedisOptions, RedisServer};
use testkit::wait::{Deadline, wait_until};

use crate::fixture::{LIMIT, Proxy, ask, ask_until, redis, text};

fn eval(client: &mut Connection, words: &[&[u8]]) -> String {
    text(&client.call(words).unwrap())
}

fn strict(node: &RedisServer) -> Proxy {
    Proxy::serving(node, |config| config.script_keys = ScriptKeys::Strict)
}

#[test]
fn strict_scripts_use_declared_keys_only() {
    const SET: &[u8] = b"return redis.call('SET', ARGV[1], 'x')";
    for binary in ServerBinary::ALL {
        let node = RedisServer::start(RedisOptions::of(binary)).unwrap();
        let proxy = strict(&node);
        let (mut client, mut direct) = (proxy.connect(), node.connect().unwrap());
        ask_until(&mut client, "GET a", |reply| reply == "$-1");
        assert_eq!(ask(&mut client, "CONFIG GET script-keys"), "*2\r\n$11\r\nscript-keys\r\n$6\r\nstrict");
        for (declared, used, is_served) in [
            (&b"a"[..], &b"a"[..], true),
            (b"a", b"b", false),
            (b"{a}1", b"{a}2", false),
            (b"a*", b"a*", true),
            (b"a*", b"ab", false),
            (b"a?[b]\\", b"a?[b]\\", true),
            (b"[ab]", b"a", false),
            (b"two words\x00", b"two words\x00", true),
            (b"two words", b"two-words", false),
            (b"\xff\xfe", b"\xff\xfe", true),
        ] {
            let what = format!("{binary:?} {} {}", declared.escape_ascii(), used.escape_ascii());
            direct.say("FLUSHALL").unwrap();
            let reply = eval(&mut client, &[b"EVAL", SET, b"1", declared, used]);
            assert_eq!(reply == "OK", is_served, "{what}: {reply}");
            assert!(is_served || reply.starts_with("-ERR"), "{what}: {reply}");
            let exists = direct.call(&[b"EXISTS", used]).unwrap().integer().unwrap();
            assert_eq!(exists == 1, is_served, "{what}");
        }
        // Several keys, none, a read, and what has no keys.
        let keys: [&[u8]; 6] =
            [b"EVAL", b"return redis.call('MSET', KEYS[1], 1, KEYS[2], 2)", b"2", b"{t}1", b"{t}2", b"-"];
        assert_eq!(eval(&mut client, &keys), "OK");
        assert!(eval(&mut client, &[b"EVAL", SET, b"0", b"a"]).starts_with("-ERR"), "{binary:?}");
        assert!(
            eval(&mut client, &[b"EVAL_RO", b"return redis.call('GET', '{t}1')", b"0"]).starts_with("-ERR")
        );
        assert_eq!(eval(&mut client, &[b"EVAL", b"return 7", b"0"]), ":7");
        assert_eq!(
            eval(&mut client, &[b"EVAL", SET, b"nonsense", b"a"]),
            "-ERR value is not an integer or out of range"
        );
        // By its digest, and as a function.
        let digest = eval(&mut client, &[b"SCRIPT", b"LOAD", SET]);
        assert_eq!(eval(&mut client, &[b"EVALSHA", digest.as_bytes(), b"1", b"a", b"a"]), "OK");
        assert!(eval(&mut client, &[b"EVALSHA", digest.as_bytes(), b"1", b"a", b"b"]).starts_with("-ERR"));
        let library = b"#!lua name=lib\nredis.register_function('put', function(keys, args) return redis.call('SET', args[1], 'x') end)";
        assert_eq!(eval(&mut client, &[b"FUNCTION", b"LOAD", library]), "lib");
        assert_eq!(eval(&mut client, &[b"FCALL", b"put", b"1", b"a", b"a"]), "OK");
        assert!(eval(&mut client, &[b"FCALL", b"put", b"1", b"a", b"b"]).starts_with("-ERR"));
        // Another database and protocol, a large reply, and the session's order.
        assert!(client.say("HELLO 3").unwrap().error().is_none());
        assert_eq!(ask(&mut client, "SELECT 4"), "OK");
        client.send(&[b"SET", b"n", b"1"]).unwrap();
        client.send(&[b"EVAL", b"return redis.call('INCR', KEYS[1])", b"1", b"n"]).unwrap();
        client.send(&[b"INCR", b"n"]).unwrap();
        client.send(&[b"EVAL", b"return string.rep('x', 3000000)", b"0"]).unwrap();
        client.send(&[b"INCR", b"n"]).unwrap();
        client.read().unwrap().expect_ok().unwrap();
        assert_eq!([client.read().unwrap(), client.read().unwrap()].map(|reply| text(&reply)), [":2", ":3"]);
        assert_eq!(client.read().unwrap().text().unwrap().len(), 3_000_000);
        assert_eq!(text(&client.read().unwrap()), ":4");
        // Nothing of it is left at the node.
        wait_until(Deadline::within(LIMIT), "the node forgets the users", || {
            ask(&mut direct, "ACL USERS") == "*1\r\n$7\r\ndefault"
        })
        .unwrap();
    }
}

#[test]
fn a_strict_script_does_not_run_where_its_user_cannot_be_made() {
    let node = RedisServer::start(RedisOptions::default()).unwrap();
    let proxy = strict(&node);
    let (mut client, mut direct) = (proxy.connect(), node.connect().unwrap());
    ask_until(&mut client, "GET a", |reply| reply == "$-1");
    assert_eq!(ask(&mut direct, "ACL SETUSER default -acl"), "OK");
    let reply = eval(&mut client, &[b"EVAL", b"return redis.call('SET', KEYS[1], 1)", b"1", b"a"]);
    assert!(reply.starts_with("-ERR script_keys is strict") && reply.contains("NOPERM"), "{reply}");
    assert_eq!(ask(&mut client, "GET a"), "$-1");
}

#[test]
fn strict_scripts_of_many_clients() {
    let node = redis();
    assert_eq!(ask(&mut node.connect().unwrap(), "CONFIG SET requirepass hidden"), "OK");
    let proxy = Proxy::serving(&node, |config| {
        config.script_keys = ScriptKeys::Strict;
        config.backend_password = Some(Secret::new("hidden"));
    });
    ask_until(&mut proxy.connect(), "GET a", |reply| reply == "$-1");
    // More than there are connections for scripts at a time.
    let mut clients: Vec<Connection> = (0..400).map(|_| proxy.connect()).collect();
    for _ in 0..2 {
        for client in &mut clients {
            client.set_reply_limit(LIMIT).unwrap();
            client.send(&[b"EVAL", b"return redis.call('INCR', KEYS[1])", b"1", b"n"]).unwrap();
        }
        clients.iter_mut().for_each(|client| assert!(text(&client.read().unwrap()).starts_with(':')));
    }
    assert_eq!(ask(&mut clients[0], "GET n"), "800");
}
