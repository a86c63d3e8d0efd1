//! The line before an argument, which says how long it is.

use super::error::ProtocolError;
use super::limits::RequestLimits;
use crate::count::count;

/// The length in a line such as `$10`, without its line end.
///
/// # Errors
/// What Redis answers where the line is no such, or the length is beyond the limits.
pub fn bulk_length(line: &[u8], limits: &RequestLimits) -> Result<usize, ProtocolError> {
    let digits = match line.split_first() {
        Some((b'$', digits)) => digits,
        Some((&other, _)) => return Err(ProtocolError::ExpectedBulk(other)),
        None => return Err(ProtocolError::ExpectedBulk(b'\r')),
    };
    let len = count(digits).ok_or(ProtocolError::BulkLength)?;
    limits.check_bulk(len)?;
    Ok(usize::try_from(len).expect("a length within the limits"))
}
