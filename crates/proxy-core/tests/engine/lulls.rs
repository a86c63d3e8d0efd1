//! Sessions that are held, that read slowly, or whose node hangs: who is let go on first, who is given up, and who is not.

use proxy_core::engine::Policy;

use crate::views::ONE;
use crate::world::World;

#[test]
fn without_a_password_everybody_is_let_in() {
    let mut world = World::with_settings(Some(ONE), Policy::default(), |settings| {
        settings.password = proxy_core::settings::Secret::new(b"pw");
    });
    let (seen, client) = world.dialogue(b"get a\r\n");
    assert!(seen.starts_with("-NOAUTH"), "{seen}");
    world.settings.password = None;
    world.share();
    assert_eq!(world.says(client, b"get a\r\nping\r\n"), "$-1\r\n+PONG\r\n");
    let large = format!("set a {}\r\nget b\r\n", "x".repeat(60_000));
    assert_eq!(world.says(client, large.as_bytes()), "+OK\r\n$-1\r\n");
    let words: [&[u8]; 3] = [b"SET", b"a", &[b'x'; 100_000]];
    let mut request = Vec::new();
    resp::encode::request(&mut request, &words);
    assert_eq!(world.says(client, &request), "+OK\r\n", "and may send as much as others");
    world.settings.password = proxy_core::settings::Secret::new(b"other");
    world.share();
    let seen = world.says(client, b"get a\r\n");
    assert!(seen.starts_with("-NOAUTH"), "{seen}");
}
