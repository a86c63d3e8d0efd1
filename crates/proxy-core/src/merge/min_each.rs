//! Arrays of integers of one length: the smallest at each place.

use super::parts::{Mismatch, elements_of, integer_of};
use resp::{Value, encode};

/// The array of the smallest integers.
pub(super) fn min_each(parts: &[Value<'_>], out: &mut Vec<u8>) -> Result<(), Mismatch> {
    let rows: Vec<&[Value<'_>]> = parts.iter().map(elements_of).collect::<Result<_, _>>()?;
    let len = rows[0].len();
    if rows.iter().any(|row| row.len() != len) {
        return Err(Mismatch);
    }
    encode::array(out, len);
    for column in 0..len {
        let column = rows.iter().map(|row| integer_of(&row[column])).collect::<Result<Vec<_>, _>>()?;
        encode::integer(out, column.into_iter().min().ok_or(Mismatch)?);
    }
    Ok(())
}
