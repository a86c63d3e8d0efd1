//! The answer to a probe, good and bad.

use super::*;
use crate::epoch::Epoch;

/// A reply written down: words are bulk strings, numbers integers, brackets arrays.
fn reply(text: &str) -> Vec<u8> {
    fn list(words: &mut std::str::SplitWhitespace<'_>, out: &mut Vec<u8>) {
        let (mut items, mut count) = (Vec::new(), 0);
        loop {
            match words.next() {
                None | Some("]") => break,
                Some("[") => list(words, &mut items),
                Some("-") => encode::bulk(&mut items, b""),
                Some(word) => match word.parse() {
                    Ok(number) => encode::integer(&mut items, number),
                    Err(_) => encode::bulk(&mut items, word.as_bytes()),
                },
            }
            count += 1;
        }
        encode::array(out, count);
        out.extend_from_slice(&items);
    }
    let mut out = Vec::new();
    list(&mut text.split_whitespace(), &mut out);
    out
}

fn read(text: &str) -> Result<HealthAnswer, String> {
    let bytes = reply(text);
    let (value, _) = resp::parse_value(&bytes).unwrap().unwrap();
    HealthAnswer::read(&value).map_err(|error| error.to_string())
}

const UP: &str = "address 10.0.0.1:6379 state up for_ms 0 restarted 0 role master primary - link none \
                  link_for_ms 0 offset 42 replicated 0 attached 1";

#[test]
fn whole_answers() {
    let text = format!(
        "token t1 epoch 7 roles_epoch 6 lease_longest_ms 400 future [ 1 ] nodes [ [ {UP} ] ] finished [ ]"
    );
    let answer = read(&text).unwrap();
    assert_eq!(answer.token, b"t1");
    assert_eq!((answer.health.view_epoch, answer.health.roles_epoch), (Epoch(7), Epoch(6)));
    let node = &answer.health.nodes[0];
    assert_eq!((node.state, node.role, node.offset), (NodeState::Up, Role::Primary, 42));
    assert_eq!((node.primary.clone(), node.link, node.restarted), (None, None, false));
    assert_eq!((node.replicated, node.attached, node.role_epoch), (false, true, None));
    let newer = text.replace("attached 1", "attached 1 role_epoch 5");
    assert_eq!(read(&newer).unwrap().health.nodes[0].role_epoch, Some(Epoch(5)));
}

#[test]
fn states_of_nodes() {
    let with = |from: &str, to: &str| {
        let node = UP.replace(from, to);
        read(&format!("token t epoch 1 roles_epoch 1 lease_longest_ms 0 nodes [ [ {node} ] ] finished [ ]"))
            .map(|answer| answer.health.nodes[0].clone())
    };
    assert_eq!(
        with("state up for_ms 0", "state down for_ms 9").unwrap().state,
        NodeState::Down { for_ms: 9 }
    );
    for (process, state) in [
        ("works", NodeState::Busy { for_ms: 9 }),
        ("unseen", NodeState::Unseen { for_ms: 9 }),
        ("rests", NodeState::Down { for_ms: 9 }),
    ] {
        let said = format!("state down for_ms 9 process {process}");
        assert_eq!(with("state up for_ms 0", &said).unwrap().state, state);
    }
    assert_eq!(with("state up", "state loading").unwrap().state, NodeState::Loading);
    assert!(with("restarted 0", "restarted 1").unwrap().restarted);
    let replica = with("role master primary - link none", "role replica primary a:1 link syncing").unwrap();
    assert_eq!((replica.role, replica.link), (Role::Replica, Some(LinkState::Syncing)));
    assert_eq!(replica.primary, Some("a:1".parse().unwrap()));
    let broken = with("link none link_for_ms 0", "link down link_for_ms 5").unwrap();
    assert_eq!(broken.link, Some(LinkState::Down { for_ms: 5 }));
    for (from, to, missing) in [
        ("state up", "state odd", "a known state"),
        ("role master", "role slave", "a known role"),
        ("link none", "link lost", "a known link"),
        ("offset 42", "offset -1", "offset"),
        ("address 10.0.0.1:6379", "address nowhere", "address"),
    ] {
        assert_eq!(with(from, to), Err(format!("the answer lacks {missing}")), "{to}");
    }
}

#[test]
fn imports_and_faults() {
    let import = "cluster mydb slots 0-9,12-12 epoch 3 source_proxy a:1 source_node a:2 target_proxy b:1 \
                  target_node b:2";
    let answer = read(&format!(
        "token t epoch 1 roles_epoch 1 lease_longest_ms 0 nodes [ ] finished [ [ {import} ] ]"
    ))
    .unwrap();
    let done = &answer.health.finished[0];
    assert_eq!((done.ranges.count(), done.meta.epoch), (11, Epoch(3)));
    assert_eq!(done.meta.target_node, "b:2".parse().unwrap());
    let long = "t".repeat(TOKEN_BYTES_MAX + 1);
    for (text, missing) in [
        ("epoch 1 roles_epoch 1 lease_longest_ms 0 nodes [ ] finished [ ]".to_owned(), "token"),
        ("token t epoch one roles_epoch 1 lease_longest_ms 0 nodes [ ] finished [ ]".to_owned(), "epoch"),
        ("token t epoch 1 roles_epoch 1 lease_longest_ms 0 nodes 5 finished [ ]".to_owned(), "nodes"),
        ("token t epoch".to_owned(), "names and values"),
        (
            format!("token {long} epoch 1 roles_epoch 1 lease_longest_ms 0 nodes [ ] finished [ ]"),
            "a short token",
        ),
    ] {
        assert_eq!(read(&text), Err(format!("the answer lacks {missing}")), "{text}");
    }
}

#[test]
fn what_is_written_is_read() {
    let address = |text: &str| text.parse::<Address>().unwrap();
    let mut nodes = Vec::new();
    let silent = [NodeState::Busy { for_ms: 5 }, NodeState::Unseen { for_ms: 6 }];
    for state in [NodeState::Up, NodeState::Loading, NodeState::Down { for_ms: 7 }].into_iter().chain(silent)
    {
        for link in [None, Some(LinkState::Up), Some(LinkState::Syncing), Some(LinkState::Down { for_ms: 9 })]
        {
            nodes.push(NodeHealth {
                address: address("10.0.0.1:6379"),
                state,
                restarted: nodes.len() % 2 == 0,
                role: if link.is_some() { Role::Replica } else { Role::Primary },
                primary: link.map(|_| address("10.0.0.2:6380")),
                link,
                offset: 1 << 40,
                replicated: nodes.len() % 3 == 0,
                attached: nodes.len() % 4 == 0,
                role_epoch: (nodes.len() % 5 != 0).then_some(Epoch(12)),
                run_id: (nodes.len() % 2 != 0).then(|| "0a1b".parse().unwrap()),
                keys: (nodes.len() % 3 != 0).then_some(nodes.len() as u64),
                keeps_log: nodes.len() % 2 == 1,
            });
        }
    }
    let import = FinishedImport {
        cluster: "mydb".parse().unwrap(),
        ranges: ["0-9", "12-12"].iter().map(|range| range.parse::<SlotRange>().unwrap()).collect(),
        meta: MigrationMeta {
            epoch: Epoch(3),
            source_proxy: address("a:1"),
            source_node: address("a:2"),
            target_proxy: address("b:1"),
            target_node: address("b:2"),
        },
    };
    let health = ProxyHealth {
        run_id: Some("run".parse().unwrap()),
        view_epoch: Epoch(7),
        roles_epoch: Epoch(6),
        lease_longest_ms: 400,
        lease_ms: Some(350),
        attached_soon_for_ms: Some(1_350),
        nodes,
        finished: vec![import],
    };
    for health in [health, ProxyHealth::default()] {
        let answer = HealthAnswer { token: b"run-17".to_vec(), health };
        let mut reply = Vec::new();
        answer.write(&mut reply);
        let (value, used) = resp::parse_value(&reply).unwrap().unwrap();
        assert_eq!((HealthAnswer::read(&value), used), (Ok(answer), reply.len()));
    }
}
