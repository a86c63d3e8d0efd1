//! Whatever bytes come from either side, nothing panics, and nodes are sent nothing but whole requests.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proxy_core::engine::Policy;

use crate::views::BOTH;
use crate::world::World;

/// Requests and pieces of them, so that much of it is understood.
const WORDS: &[&[u8]] = &[
    b"*1\r\n$4\r\nPING\r\n",
    b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
    b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\nhello\r\n",
    b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$300000\r\n",
    b"*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n",
    b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n",
    b"*1\r\n$4\r\nQUIT\r\n",
    b"*1\r\n$6\r\nDBSIZE\r\n",
    b"*2\r\n$4\r\nSCAN\r\n$1\r\n0\r\n",
    b"mget a {a}b\r\n",
    b"umforward 1 get a\r\n",
    b"reset\r\n",
    b"client list\r\n",
    b"eval \"return 1\" 1 a\r\n",
    b"*3\r\n",
    b"$3\r\n",
    b"\r\n",
    b"*-1\r\n",
    b"*0\r\n",
    b"$-1\r\n",
];

/// Replies and pieces of them.
const REPLIES: &[&[u8]] = &[
    b"+OK\r\n",
    b"-ERR no\r\n",
    b":5\r\n",
    b"$5\r\nhello\r\n",
    b"$-1\r\n",
    b"*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n",
    b"$70000\r\n",
    b"$300000\r\n",
    b"*1000000\r\n",
    b"%1\r\n+a\r\n:1\r\n",
    b">2\r\n+message\r\n:1\r\n",
    b"|1\r\n+a\r\n:1\r\n",
    b"_\r\n",
    b"\r\n",
    b"$",
];

#[derive(Debug, Clone)]
enum Step {
    Client(usize, Vec<u8>),
    Node(usize, Vec<u8>),
    Flow,
    Time(u64),
}

fn bytes(words: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => vec(select(words), 1..4).prop_map(|words| words.concat()),
        2 => (select(words), 0usize..40).prop_map(|(word, cut)| word[..cut.min(word.len())].to_vec()),
        1 => vec(any::<u8>(), 1..30),
        1 => (1usize..70_000).prop_map(|len| vec![b'x'; len]),
    ]
}

fn client_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0usize..3, bytes(WORDS)).prop_map(|(client, bytes)| Step::Client(client, bytes)),
        3 => Just(Step::Flow),
        1 => (0u64..2_000_000).prop_map(Step::Time),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => client_step(),
        2 => (0usize..6, bytes(REPLIES)).prop_map(|(link, bytes)| Step::Node(link, bytes)),
    ]
}

fn accept(world: &mut World) -> usize {
    let client = world.accept();
    world.clients[client].log = Some(Vec::new());
    client
}

fn play(steps: &[Step]) {
    let mut world = World::new(BOTH, Policy::default());
    let mut clients: Vec<usize> = (0..3).map(|_| accept(&mut world)).collect();
    for step in steps {
        match step {
            Step::Client(client, bytes) => {
                if world.clients[clients[*client]].closed {
                    clients[*client] = accept(&mut world);
                }
                let client = clients[*client];
                world.clients[client].outgoing.extend_from_slice(bytes);
                world.client_sends(client, usize::MAX);
            }
            Step::Node(link, bytes) => {
                world.node_says(*link, bytes);
                world.node_sends(*link, usize::MAX);
            }
            Step::Flow => world.flow(),
            Step::Time(us) => {
                world.end_turn();
                world.pass(*us);
            }
        }
    }
    for _ in 0..10 {
        world.flow();
        world.pass(1_000_000);
    }
    for node in world.nodes.values() {
        let malformed = node.complaints.iter().find(|complaint| complaint.starts_with("no request"));
        assert_eq!(malformed, None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn from_clients(steps in vec(client_step(), 1..40)) {
        play(&steps);
    }

    #[test]
    fn from_both_sides(steps in vec(step(), 1..40)) {
        play(&steps);
    }
}
