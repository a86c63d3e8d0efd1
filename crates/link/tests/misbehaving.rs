//! A link to real sockets whose other ends misbehave: they are silent, slow, gone, endless, or no servers at all.
#![allow(clippy::unwrap_used, reason = "a test stops where its own preparation fails")]

use std::future::pending;
use std::time::Duration;

use link::{Link, LinkError, Places, within};
use model::Address;
use resp::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Enough for whatever is answered, and never waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// For what is never answered.
const BRIEF: Duration = Duration::from_millis(50);

/// A link to a server that does `serve` with its only connection. The server goes on until it is dropped.
async fn link_to<F>(serve: impl FnOnce(TcpStream) -> F + Send + 'static) -> (Link, JoinHandle<()>)
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::new("127.0.0.1", listener.local_addr().unwrap().port()).unwrap();
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream).await;
    });
    (Link::connect(&address, None, within(PATIENCE)).await.unwrap(), served)
}

/// A server that takes one request of any kind, sends these pieces one after the other, and goes on or closes.
async fn sends(mut stream: TcpStream, pieces: &'static [&'static [u8]], then_closes: bool) {
    let asked = stream.read(&mut [0; 1024]).await.unwrap();
    assert!(asked > 0, "nothing was asked");
    stream.set_nodelay(true).unwrap();
    for piece in pieces {
        stream.write_all(piece).await.unwrap();
        // So that each piece is likely to be read by itself.
        tokio::task::yield_now().await;
    }
    if !then_closes {
        pending::<()>().await;
    }
}

/// What a server that sends these pieces is taken to have answered.
async fn answer(
    pieces: &'static [&'static [u8]],
    then_closes: bool,
    limit: Duration,
) -> Result<String, LinkError> {
    let (mut link, _served) = link_to(move |stream| sends(stream, pieces, then_closes)).await;
    link.ask(&[b"INFO"], within(limit)).await?.text()
}

#[tokio::test]
async fn answers_are_told_from_all_that_is_none() {
    assert_eq!(answer(&[b"$5\r\nhello\r\n"], false, PATIENCE).await.unwrap(), "hello");
    assert_eq!(answer(&[b"$", b"5\r", b"\nhe", b"llo\r\n"], true, PATIENCE).await.unwrap(), "hello");
    assert_eq!(answer(&[b"=9\r\ntxt:hello\r\n"], false, PATIENCE).await.unwrap(), "hello");
    let refused = answer(&[b"-NOAUTH say AUTH\r\n"], false, PATIENCE).await;
    assert!(matches!(&refused, Err(LinkError::Refused(text)) if text == "NOAUTH say AUTH"), "{refused:?}");
    let refused = answer(&[b"!9\r\nNO why not\r\n"], false, PATIENCE).await;
    assert!(matches!(&refused, Err(LinkError::Malformed { .. })), "{refused:?}");
    let refused = answer(&[b"!10\r\nNO why not\r\n"], false, PATIENCE).await;
    assert!(matches!(&refused, Err(LinkError::Refused(text)) if text == "NO why not"), "{refused:?}");
    let other = answer(&[b":4\r\n"], false, PATIENCE).await;
    assert!(matches!(other, Err(LinkError::Unexpected("a text"))), "{other:?}");
    let silent = answer(&[], false, BRIEF).await;
    assert!(matches!(silent, Err(LinkError::TimedOut(limit)) if limit <= BRIEF), "{silent:?}");
    let unfinished = answer(&[b"$5\r\nhel"], false, BRIEF).await;
    assert!(matches!(unfinished, Err(LinkError::TimedOut(_))), "{unfinished:?}");
    let closed = answer(&[], true, PATIENCE).await;
    assert!(matches!(closed, Err(LinkError::Closed { .. })), "{closed:?}");
    let cut = answer(&[b"*2\r\n$5\r\nhello\r\n"], true, PATIENCE).await;
    assert!(matches!(cut, Err(LinkError::Closed { .. })), "{cut:?}");
    let garbage = answer(&[b"HTTP/1.1 400 Bad Request\r\n\r\n"], false, PATIENCE).await;
    assert!(matches!(garbage, Err(LinkError::Malformed { .. })), "{garbage:?}");
}

#[tokio::test]
async fn a_slow_answer_is_waited_for_until_the_deadline_and_no_longer() {
    let drips = async |mut stream: TcpStream| {
        loop {
            // Ends with the link.
            if stream.write_all(b"*1\r\n").await.is_err() {
                return;
            }
            tokio::time::sleep(BRIEF / 10).await;
        }
    };
    let (mut link, _served) = link_to(drips).await;
    let outcome = tokio::time::timeout(PATIENCE, link.ask(&[b"INFO"], within(BRIEF))).await;
    assert!(matches!(outcome, Ok(Err(LinkError::TimedOut(_)))), "each byte is no new time: {outcome:?}");
}

#[tokio::test]
async fn an_endless_answer_is_not_kept() {
    async fn pours(mut stream: TcpStream, bulk: bool) {
        let start: &[u8] = if bulk { b"$100000000\r\n" } else { b"*100000000\r\n" };
        let _ = stream.write_all(start).await;
        while stream.write_all(&b":1\r\n".repeat(1024)).await.is_ok() {}
    }
    for bulk in [true, false] {
        let (link, served) = link_to(move |stream| pours(stream, bulk)).await;
        let mut link = link.with_reply_bytes_max(100_000);
        let outcome = link.ask(&[b"INFO"], within(PATIENCE)).await;
        assert!(matches!(outcome, Err(LinkError::TooLong { bytes_max: 100_000, .. })), "{outcome:?}");
        drop(link);
        tokio::time::timeout(PATIENCE, served).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn no_more_is_sent_than_a_server_takes() {
    let (mut link, _served) = link_to(|stream| async move {
        let _stream = stream;
        pending::<()>().await;
    })
    .await;
    let large = vec![b'x'; 64 * 1024 * 1024];
    let outcome = link.ask(&[b"ECHO", &large], within(BRIEF)).await;
    assert!(matches!(outcome, Err(LinkError::TimedOut(_))), "{outcome:?}");
}

/// Each question is answered by its own number, but the first one late.
#[tokio::test]
async fn a_late_reply_answers_no_other_question() {
    let (asked_again, wait) = tokio::sync::oneshot::channel::<()>();
    let (mut link, served) = link_to(|mut stream| async move {
        let mut request = [0; 1024];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        wait.await.unwrap();
        stream.write_all(b":1\r\n").await.unwrap();
        assert_eq!(stream.read(&mut request).await.unwrap(), 0, "another question was sent");
    })
    .await;
    let first = link.ask(&[b"ONE"], within(BRIEF)).await;
    assert!(matches!(first, Err(LinkError::TimedOut(_))), "{first:?}");
    asked_again.send(()).unwrap();
    for _ in 0..2 {
        let second = link.ask(&[b"TWO"], within(PATIENCE)).await;
        assert!(matches!(second, Err(LinkError::OutOfStep { .. })), "{second:?}");
    }
    drop(link);
    served.await.unwrap();
}

/// As a `timeout` around it does.
#[tokio::test]
async fn a_question_that_was_given_up_leaves_no_answer_to_another() {
    let (mut link, _served) = link_to(|stream| sends(stream, &[b"+late\r\n"], false)).await;
    {
        let mut asking = std::pin::pin!(link.ask(&[b"ONE"], within(PATIENCE)));
        // Sent, and not waited for.
        let polled = std::future::poll_fn(|context| std::task::Poll::Ready(asking.as_mut().poll(context)));
        assert!(polled.await.is_pending());
    }
    let second = link.ask(&[b"TWO"], within(PATIENCE)).await;
    assert!(matches!(second, Err(LinkError::OutOfStep { .. })), "{second:?}");
}

#[tokio::test]
async fn what_nobody_asked_for_answers_nothing() {
    let (mut link, _served) = link_to(|stream| sends(stream, &[b"+first\r\n+second\r\n"], false)).await;
    assert_eq!(link.ask(&[b"ONE"], within(PATIENCE)).await.unwrap().text().unwrap(), "first");
    let second = link.ask(&[b"TWO"], within(PATIENCE)).await;
    assert!(matches!(second, Err(LinkError::OutOfStep { .. })), "{second:?}");

    let (mut link, _served) = link_to(|mut stream| async move {
        stream.write_all(b"+unasked\r\n").await.unwrap();
        pending::<()>().await;
    })
    .await;
    let broken = tokio::time::timeout(PATIENCE, link.broken()).await.unwrap();
    assert!(matches!(broken, LinkError::OutOfStep { .. }), "{broken:?}");
    let asked = link.ask(&[b"ONE"], within(PATIENCE)).await;
    assert!(matches!(asked, Err(LinkError::OutOfStep { .. })), "{asked:?}");
}

#[tokio::test]
async fn the_end_of_a_server_is_noticed_between_two_questions() {
    let (mut link, served) = link_to(|stream| sends(stream, &[b"+OK\r\n"], true)).await;
    assert_eq!(link.ask(&[b"ONE"], within(PATIENCE)).await.unwrap().text().unwrap(), "OK");
    served.await.unwrap();
    let broken = tokio::time::timeout(PATIENCE, link.broken()).await.unwrap();
    assert!(matches!(broken, LinkError::Closed { .. }), "{broken:?}");
}

#[tokio::test]
async fn a_link_goes_on_after_a_refusal() {
    let (mut link, _served) = link_to(|mut stream| async move {
        for reply in [&b"-ERR no\r\n"[..], b"*1\r\n:7\r\n"] {
            assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
            stream.write_all(reply).await.unwrap();
        }
        pending::<()>().await;
    })
    .await;
    assert!(matches!(link.ask(&[b"ONE"], within(PATIENCE)).await, Err(LinkError::Refused(_))));
    let reply = link.ask(&[b"TWO"], within(PATIENCE)).await.unwrap();
    assert_eq!(reply.value().unwrap(), Value::Array(vec![Value::Integer(7)]));
    assert!(link.is_near());
}

#[tokio::test]
async fn a_reply_that_is_too_deep_is_no_panic() {
    let (mut link, _served) = link_to(|mut stream| async move {
        for _ in 0..2 {
            assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
            stream.write_all(&b"*1\r\n".repeat(1000)).await.unwrap();
            stream.write_all(b":1\r\n").await.unwrap();
        }
        pending::<()>().await;
    })
    .await;
    for _ in 0..2 {
        let reply = link.ask(&[b"COMMAND"], within(PATIENCE)).await.unwrap();
        assert!(matches!(reply.value(), Err(LinkError::TooDeep)));
    }
}

#[tokio::test]
async fn a_wrong_password_is_a_refusal() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::new("127.0.0.1", listener.local_addr().unwrap().port()).unwrap();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let length = stream.read(&mut request).await.unwrap();
        stream.write_all(b"-WRONGPASS invalid\r\n").await.unwrap();
        request[..length].to_vec()
    });
    let outcome = Link::connect(&address, Some(b"guess"), within(PATIENCE)).await;
    assert!(matches!(&outcome, Err(LinkError::Refused(text)) if text == "WRONGPASS invalid"), "{outcome:?}");
    assert!(!outcome.unwrap_err().to_string().contains("guess"));
    assert_eq!(served.await.unwrap(), b"*2\r\n$4\r\nAUTH\r\n$5\r\nguess\r\n");
}

/// What failed and where stands in the text; whether it tells anything of the server is told apart.
#[tokio::test]
async fn where_nobody_listens_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let gone = Address::new("127.0.0.1", port).unwrap();
    let error = Link::connect(&gone, None, within(PATIENCE)).await.unwrap_err();
    assert!(matches!(error, LinkError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().starts_with(&format!("no connection to 127.0.0.1:{port}: ")), "{error}");
    assert!(!error.says_nothing());

    // Longer than a label may be, so that no resolver needs to be asked.
    let name = "x".repeat(64);
    let error = Places::of(&name, 1, within(PATIENCE)).await.unwrap_err();
    assert!(matches!(error, LinkError::Unresolved { .. }), "{error:?}");
    assert!(error.to_string().contains(&name), "{error}");
    assert!(error.says_nothing());
}
