//! Integers become one: their sum, or the smallest.

use super::parts::{Mismatch, integer_of, value};
use resp::encode;

/// The sum; where it does not fit, the largest or smallest integer.
pub(super) fn sum(parts: &[Vec<u8>], out: &mut Vec<u8>) -> Result<(), Mismatch> {
    encode::integer(out, numbers(parts)?.into_iter().fold(0, i64::saturating_add));
    Ok(())
}

/// The smallest.
pub(super) fn min(parts: &[Vec<u8>], out: &mut Vec<u8>) -> Result<(), Mismatch> {
    encode::integer(out, numbers(parts)?.into_iter().min().ok_or(Mismatch)?);
    Ok(())
}

fn numbers(parts: &[Vec<u8>]) -> Result<Vec<i64>, Mismatch> {
    parts.iter().map(|part| integer_of(&value(part)?)).collect()
}
