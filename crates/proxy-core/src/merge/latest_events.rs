//! LATENCY LATEST: for each event, the latest time and the largest maximum.

use super::parts::{Mismatch, elements_of, integer_of};
use resp::{Value, encode};

/// Fields of an event in LATENCY LATEST: its name, its time, its latest and its largest latency; Valkey adds
/// the sum and the count.
const TIME: usize = 1;
const LATEST: usize = 2;
const LARGEST: usize = 3;

/// One event's numbers; the first stands for the name and is not used.
type Event<'a> = (&'a [u8], Vec<i64>);

/// For each event the time and latency of its latest occurrence, and the largest latency of all.
pub(super) fn latest_events(parts: &[Value<'_>], out: &mut Vec<u8>) -> Result<(), Mismatch> {
    let mut events: Vec<Event<'_>> = Vec::new();
    for part in parts {
        for row in elements_of(part)? {
            let event = event_of(row)?;
            match events.iter_mut().find(|known| known.0 == event.0) {
                Some(known) => join(&mut known.1, &event.1)?,
                None => events.push(event),
            }
        }
    }
    encode::array(out, events.len());
    for (name, numbers) in events {
        encode::array(out, numbers.len());
        encode::bulk(out, name);
        numbers.iter().skip(TIME).for_each(|number| encode::integer(out, *number));
    }
    Ok(())
}

fn event_of<'a>(row: &Value<'a>) -> Result<Event<'a>, Mismatch> {
    let [Value::Bulk(name), numbers @ ..] = elements_of(row)? else { return Err(Mismatch) };
    if numbers.len() < LARGEST {
        return Err(Mismatch);
    }
    let numbers = std::iter::once(Ok(0)).chain(numbers.iter().map(integer_of)).collect::<Result<_, _>>()?;
    Ok((*name, numbers))
}

fn join(known: &mut [i64], other: &[i64]) -> Result<(), Mismatch> {
    if known.len() != other.len() {
        return Err(Mismatch);
    }
    if other[TIME] > known[TIME] {
        known[TIME] = other[TIME];
        known[LATEST] = other[LATEST];
    }
    known[LARGEST] = known[LARGEST].max(other[LARGEST]);
    for (known, other) in known.iter_mut().zip(other).skip(LARGEST + 1) {
        *known = known.saturating_add(*other);
    }
    Ok(())
}
