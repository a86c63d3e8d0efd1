//! Maps of numbers (MEMORY STATS, LATENCY HISTOGRAM) added field by field.
//!
//! In RESP2 a map is an array of keys and values in turn, and a ratio is a bulk string.

use super::parts::{Mismatch, integer_of};
use resp::{Protocol, Value, encode};

/// Integer fields of MEMORY STATS that are no amounts: averaged, not added.
const AVERAGES: &[&[u8]] = &[b"keys.bytes-per-key"];

/// Adds the values of several primaries that stand at the same place.
pub(super) fn sum(parts: &[Value<'_>], protocol: Protocol, out: &mut Vec<u8>) -> Result<(), Mismatch> {
    let parts: Vec<&Value<'_>> = parts.iter().collect();
    sum_values(b"", &parts, protocol, out)
}

/// A map's entries, in its order.
type Entries<'v, 'a> = Vec<(&'v Value<'a>, &'v Value<'a>)>;

fn sum_values(
    field: &[u8],
    values: &[&Value<'_>],
    protocol: Protocol,
    out: &mut Vec<u8>,
) -> Result<(), Mismatch> {
    match values.first().ok_or(Mismatch)? {
        Value::Integer(_) => {
            let numbers = values.iter().map(|value| integer_of(value)).collect::<Result<Vec<i64>, _>>()?;
            let total = numbers.iter().fold(0, |sum: i64, number| sum.saturating_add(*number));
            let average = AVERAGES.contains(&field);
            encode::integer(out, if average { total / numbers.len() as i64 } else { total });
        }
        Value::Bulk(_) | Value::Double(_) => {
            let ratios = values.iter().map(|value| ratio_of(value)).collect::<Result<Vec<f64>, _>>()?;
            let average = ratios.iter().sum::<f64>() / ratios.len() as f64;
            match values[0] {
                Value::Double(_) => encode::double(out, protocol, average),
                _ => encode::bulk(out, average.to_string().as_bytes()),
            }
        }
        Value::Map(_) | Value::Array(_) => {
            let maps: Vec<Entries<'_, '_>> =
                values.iter().map(|value| entries(value)).collect::<Result<_, _>>()?;
            let is_histogram =
                maps.iter().flatten().next().is_some_and(|(key, _)| matches!(key, Value::Integer(_)));
            if is_histogram { sum_cumulative(&maps, protocol, out)? } else { sum_maps(&maps, protocol, out)? }
        }
        _ => return Err(Mismatch),
    }
    Ok(())
}

/// Every key that any map has, in the order of its first appearance.
fn sum_maps(maps: &[Entries<'_, '_>], protocol: Protocol, out: &mut Vec<u8>) -> Result<(), Mismatch> {
    let mut keys: Vec<&Value<'_>> = Vec::new();
    let mut groups: Vec<Vec<&Value<'_>>> = Vec::new();
    for (key, value) in maps.iter().flatten() {
        match keys.iter().position(|known| known == key) {
            Some(at) => groups[at].push(value),
            None => {
                keys.push(key);
                groups.push(vec![value]);
            }
        }
    }
    encode::map(out, protocol, keys.len());
    for (key, group) in keys.iter().zip(&groups) {
        let field = match key {
            Value::Bulk(field) | Value::Simple(field) => *field,
            _ => return Err(Mismatch),
        };
        encode::bulk(out, field);
        sum_values(field, group, protocol, out)?;
    }
    Ok(())
}

/// Histograms from a bound to the number of calls up to it: at every bound that any of them has, each
/// counts with what it had reached by then.
fn sum_cumulative(maps: &[Entries<'_, '_>], protocol: Protocol, out: &mut Vec<u8>) -> Result<(), Mismatch> {
    let mut histograms: Vec<Vec<(i64, i64)>> = Vec::with_capacity(maps.len());
    for map in maps {
        let steps = map.iter().map(|(bound, count)| Ok((integer_of(bound)?, integer_of(count)?)));
        histograms.push(steps.collect::<Result<_, _>>()?);
    }
    let mut bounds: Vec<i64> = histograms.iter().flatten().map(|(bound, _)| *bound).collect();
    bounds.sort_unstable();
    bounds.dedup();
    encode::map(out, protocol, bounds.len());
    for bound in bounds {
        let reached = |steps: &Vec<(i64, i64)>| {
            steps.iter().filter(|(step, _)| *step <= bound).map(|(_, count)| *count).max().unwrap_or(0)
        };
        encode::integer(out, bound);
        encode::integer(out, histograms.iter().map(reached).sum());
    }
    Ok(())
}

fn entries<'v, 'a>(value: &'v Value<'a>) -> Result<Entries<'v, 'a>, Mismatch> {
    match value {
        Value::Map(entries) => Ok(entries.iter().map(|(key, value)| (key, value)).collect()),
        Value::Array(flat) if flat.len().is_multiple_of(2) => {
            Ok(flat.chunks_exact(2).map(|pair| (&pair[0], &pair[1])).collect())
        }
        _ => Err(Mismatch),
    }
}

fn ratio_of(value: &Value<'_>) -> Result<f64, Mismatch> {
    match value {
        Value::Bulk(text) | Value::Double(text) => {
            str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(Mismatch)
        }
        _ => Err(Mismatch),
    }
}
