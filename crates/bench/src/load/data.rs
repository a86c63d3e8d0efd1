//! The keys and values that the cases use, and the proof that they were really served.
//! It must never run inside a measurement.

use anyhow::{Context as _, bail, ensure};

use crate::plan::{Case, LARGE_BYTES, MULTI_KEYS, Operation};
use crate::wire::{Connection, Reply, encode};

/// Commands that are sent before their replies are read while a store is filled.
const FILL_BATCH: usize = 256;
/// The key of the large value.
const LARGE_KEY: &[u8] = b"bench:large";
/// Room that the values of one filling batch may take: both ends buffer a part of it.
const FILL_BATCH_BYTES: usize = 64 << 10;

/// The value of that many bytes that [`fill`] stores; redis-benchmark's SET writes others of the same size.
#[must_use]
pub fn value(bytes: usize) -> Vec<u8> {
    vec![b'x'; bytes]
}

/// The key of that number as redis-benchmark names it.
#[must_use]
pub fn key(number: u32) -> Vec<u8> {
    format!("key:{number:012}").into_bytes()
}

/// One request of the case, word by word; its keys exist once [`fill`] was called.
#[must_use]
pub fn request(case: &Case) -> Vec<Vec<u8>> {
    let many = (0..MULTI_KEYS).map(|number| format!("{{bench}}:{number}").into_bytes());
    let value = value(case.value_bytes);
    match case.operation {
        Operation::Get if case.value_bytes >= LARGE_BYTES => vec![b"GET".to_vec(), LARGE_KEY.to_vec()],
        Operation::Get => vec![b"GET".to_vec(), key(0)],
        Operation::Set => vec![b"SET".to_vec(), key(0), value],
        Operation::Mget => [b"MGET".to_vec()].into_iter().chain(many).collect(),
        Operation::Mset => {
            [b"MSET".to_vec()].into_iter().chain(many.flat_map(|key| [key, value.clone()])).collect()
        }
    }
}

/// Stores every key that the case reads, so that no GET misses.
///
/// # Errors
/// When the server refuses one.
pub fn fill(port: u16, case: &Case, keys: u32) -> anyhow::Result<()> {
    let value = value(case.value_bytes);
    let names: Vec<Vec<u8>> = match case.operation {
        Operation::Get if case.value_bytes >= LARGE_BYTES => vec![LARGE_KEY.to_vec()],
        Operation::Get | Operation::Set => (0..keys).map(key).collect(),
        Operation::Mget | Operation::Mset => {
            (0..MULTI_KEYS).map(|number| format!("{{bench}}:{number}").into_bytes()).collect()
        }
    };
    let mut connection = Connection::open(port)?;
    let batch = (FILL_BATCH_BYTES / case.value_bytes).clamp(1, FILL_BATCH);
    for some in names.chunks(batch) {
        let bytes: Vec<u8> = some.iter().flat_map(|key| encode(&[b"SET", key, &value])).collect();
        connection.send(&bytes)?;
        for _ in some {
            let reply = connection.reply()?;
            ensure!(reply == Reply::Simple("OK".to_owned()), "SET answered {reply:?}");
        }
    }
    Ok(())
}

/// Makes one request of the case and fails unless the answer is the right one. redis-benchmark does not
/// look at answers, and a server that refuses everything is fast.
///
/// # Errors
/// When the answer is wrong.
pub fn check(port: u16, case: &Case) -> anyhow::Result<()> {
    let words = request(case);
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    let value = Reply::Bulk(Some(value(case.value_bytes)));
    let expected = match case.operation {
        Operation::Get => value,
        Operation::Set | Operation::Mset => Reply::Simple("OK".to_owned()),
        Operation::Mget => Reply::Array(vec![value; MULTI_KEYS]),
    };
    let reply = Connection::open(port)?.call(&words)?;
    if reply != expected {
        let start: String = format!("{reply:?}").chars().take(120).collect();
        bail!("{} answered {start}", String::from_utf8_lossy(words[0]));
    }
    Ok(())
}

/// How many commands a Redis has served, and how many of its answers were errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    commands: u64,
    errors: u64,
}

impl Served {
    /// Asks a Redis (INFO stats: `total_commands_processed`, `total_error_replies`, the latter since 6.2).
    ///
    /// # Errors
    /// When it does not answer as Redis does.
    pub fn ask(port: u16) -> anyhow::Result<Served> {
        let reply = Connection::open(port)?.call(&[b"INFO", b"stats"])?;
        let Reply::Bulk(Some(bytes)) = reply else { bail!("INFO answered {reply:?}") };
        let text = String::from_utf8_lossy(&bytes);
        let number = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        Ok(Served {
            commands: number("total_commands_processed:").context("total_commands_processed")?,
            errors: number("total_error_replies:").unwrap_or(0),
        })
    }

    /// Fails unless at least `requests` commands were served since `earlier`, none with an error. This is
    /// what shows that a proxy did not answer by itself.
    ///
    /// # Errors
    /// When there were fewer, or errors.
    pub fn prove(&self, earlier: &Served, requests: u64) -> anyhow::Result<()> {
        let served = self.commands - earlier.commands;
        ensure!(served >= requests, "Redis served {served} commands of {requests} requests");
        let errors = self.errors - earlier.errors;
        ensure!(errors == 0, "Redis answered {errors} times with an error");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn served_commands_are_proved() {
        let before = Served { commands: 100, errors: 1 };
        let cases = [
            (Served { commands: 200, errors: 1 }, true),
            (Served { commands: 199, errors: 1 }, false),
            (Served { commands: 300, errors: 2 }, false),
        ];
        for (after, proved) in cases {
            assert_eq!(after.prove(&before, 100).is_ok(), proved, "{after:?}");
        }
    }

    #[test]
    fn requests_have_the_words_of_their_operation() {
        let cases = crate::plan::cases(false);
        for case in cases {
            let words = request(&case);
            let expected = match case.operation {
                Operation::Get => 2,
                Operation::Set => 3,
                Operation::Mget => 1 + MULTI_KEYS,
                Operation::Mset => 1 + 2 * MULTI_KEYS,
            };
            assert_eq!(words.len(), expected, "{}", case.name());
        }
    }
}
