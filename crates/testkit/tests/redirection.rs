//! A plain client, which knows nothing of clusters, in front of a proxy that forwards (`active_redirection`).

use anyhow::{Result, ensure};
use testkit::cluster::{ClusterFixture, ClusterOptions};
use testkit::proxy::ProxyOptions;

fn forwarding(max_redirections: &str) -> Result<ClusterFixture> {
    let proxies =
        ProxyOptions::default().with("active_redirection", "true").with("max_redirections", max_redirections);
    ClusterFixture::start(&ClusterOptions { proxies: 3, proxy: proxies, ..ClusterOptions::default() })
}

#[test]
fn a_plain_client_sees_one_redis() -> Result<()> {
    let cluster = forwarding("4")?;
    let mut client = cluster.connect(0)?;
    for protocol in ["2", "3"] {
        client.say(&format!("HELLO {protocol}"))?;
        for db in ["0", "2"] {
            client.say(&format!("SELECT {db}"))?.expect_ok()?;
            for number in 0..300 {
                let (key, value) = (format!("key{number}"), format!("value-{protocol}-{db}-{number}"));
                client.say(&format!("SET {key} {value}"))?.expect_ok()?;
                let reply = client.say(&format!("GET {key}"))?;
                ensure!(reply.bytes() == format!("${}\r\n{value}\r\n", value.len()).as_bytes(), "{reply:?}");
            }
        }
    }
    // What is too large for one read, and what Redis refuses, come back all the same.
    let large = vec![b'x'; 1 << 20];
    for key in ["large-a", "large-b", "large-c", "large-d"] {
        client.call(&[b"SET", key.as_bytes(), &large])?.expect_ok()?;
        ensure!(client.say(&format!("STRLEN {key}"))?.integer()? == 1 << 20);
        let reply = client.say(&format!("LPUSH {key} x"))?;
        ensure!(reply.bytes().starts_with(b"-WRONGTYPE"), "{reply:?}");
    }
    Ok(())
}

#[test]
fn replies_keep_their_order_over_all_proxies() -> Result<()> {
    let cluster = forwarding("4")?;
    let mut client = cluster.connect(1)?;
    let (mut requests, mut expected) = (Vec::new(), Vec::new());
    for number in 0..2000 {
        let value = format!("{number:06}");
        resp::encode::request(&mut requests, &[b"SET", format!("key{number}").as_bytes(), value.as_bytes()]);
        resp::encode::request(&mut requests, &[b"GET", format!("key{number}").as_bytes()]);
        expected.push(b"+OK\r\n".to_vec());
        expected.push(format!("$6\r\n{value}\r\n").into_bytes());
    }
    client.send_raw(&requests)?;
    for (number, expected) in expected.iter().enumerate() {
        let reply = client.read()?;
        ensure!(reply.bytes() == expected, "reply {number}: {reply:?}");
    }
    Ok(())
}

#[test]
fn a_request_does_not_go_round_in_circles() -> Result<()> {
    let cluster = forwarding("4")?;
    let mut client = cluster.connect(0)?;
    let key =
        (0..).map(|number| format!("key{number}")).find(|key| cluster.owner(key.as_bytes()).ok() == Some(1));
    let key = key.expect("some key is on proxy 1");
    let reply = client.say(&format!("UMFORWARD 0 GET {key}"))?;
    ensure!(reply.bytes().starts_with(b"-"), "no hop was left: {reply:?}");
    let reply = client.say(&format!("UMFORWARD 1 GET {key}"))?;
    ensure!(reply.bytes() == b"$-1\r\n", "one hop is enough: {reply:?}");
    for nonsense in
        ["UMFORWARD 1 UMFORWARD 1 GET a", "UMFORWARD x GET a", "UMFORWARD 1 SELECT 3", "UMFORWARD 999 GET a"]
    {
        let reply = client.say(nonsense)?;
        ensure!(reply.bytes().starts_with(b"-ERR"), "{nonsense}: {reply:?}");
    }
    Ok(())
}
