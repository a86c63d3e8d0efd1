//! Plain Redis plays the requests one by one in the order that was found, and must answer what the sessions were told
//! and end with the same data.

use anyhow::{Result, ensure};

use super::record::{Key, Outcome, Record};
use crate::connection::Connection;

/// Plays the entries of `order` on a plain Redis that has none of the record's lists, and removes them again.
///
/// # Errors
/// When a reply or a final list differs.
pub fn replay(plain: &mut Connection, record: &Record, order: &[usize]) -> Result<()> {
    let mut database = None;
    for entry in order.iter().map(|index| &record.entries[*index]) {
        let Some(key) = entry.request.asked.key() else { continue };
        select(plain, &record.keys[key.0], &mut database)?;
        let args: Vec<&[u8]> = entry.request.args.iter().map(Vec::as_slice).collect();
        let right = plain.call(&args)?;
        if let Outcome::Answered(reply, _) = &entry.outcome {
            ensure!(*reply == right, "plain Redis answers {right:?} to {entry}");
        }
    }
    for (key, items) in record.keys.iter().zip(&record.finals) {
        select(plain, key, &mut database)?;
        let right = final_items(plain, key)?;
        ensure!(*items == right, "plain Redis ends with another list {}", key.name);
        plain.call(&[b"DEL", key.name.as_bytes()])?;
    }
    Ok(())
}

fn select(connection: &mut Connection, key: &Key, database: &mut Option<usize>) -> Result<()> {
    if *database != Some(key.database) {
        connection.say(&format!("SELECT {}", key.database))?.expect_ok()?;
        *database = Some(key.database);
    }
    Ok(())
}

/// All items of a list in the database that the connection has selected.
///
/// # Errors
/// When it is no list or nobody answers.
pub fn final_items(connection: &mut Connection, key: &Key) -> Result<Vec<Vec<u8>>> {
    let reply = connection.call(&[b"LRANGE", key.name.as_bytes(), b"0", b"-1"])?;
    let resp::Value::Array(items) = reply.value()? else { anyhow::bail!("{}: {reply:?}", key.name) };
    let bytes = |item: &resp::Value<'_>| match item {
        resp::Value::Bulk(bytes) => Ok(bytes.to_vec()),
        other => Err(anyhow::anyhow!("{}: {other:?}", key.name)),
    };
    items.iter().map(bytes).collect()
}
