//! LATENCY HISTORY: arrays of `[time, value]`, ordered by time.

use super::parts::{Mismatch, elements_of, integer_of};
use resp::{Value, encode};

/// Rows of a time and a latency, the oldest first.
pub(super) fn by_time(parts: &[Value<'_>], out: &mut Vec<u8>) -> Result<(), Mismatch> {
    let mut rows: Vec<(i64, i64)> = Vec::new();
    for part in parts {
        for row in elements_of(part)? {
            let [time, latency] = elements_of(row)? else { return Err(Mismatch) };
            rows.push((integer_of(time)?, integer_of(latency)?));
        }
    }
    rows.sort_by_key(|(time, _)| *time);
    encode::array(out, rows.len());
    for (time, latency) in rows {
        encode::array(out, 2);
        encode::integer(out, time);
        encode::integer(out, latency);
    }
    Ok(())
}
