//! Arrays become one array.

use super::parts::Mismatch;
use resp::encode;

/// Joins arrays without looking into them: only their headers are read.
pub(super) fn concat(parts: &[Vec<u8>], out: &mut Vec<u8>) -> Result<(), Mismatch> {
    let bodies: Vec<(usize, &[u8])> = parts.iter().map(|part| array_body(part)).collect::<Result<_, _>>()?;
    encode::array(out, bodies.iter().map(|(count, _)| count).sum());
    bodies.iter().for_each(|(_, body)| out.extend_from_slice(body));
    Ok(())
}

/// The number of elements of an array and the bytes of the elements.
fn array_body(part: &[u8]) -> Result<(usize, &[u8]), Mismatch> {
    let rest = part.strip_prefix(b"*").ok_or(Mismatch)?;
    let end = memchr::memchr(b'\r', rest).ok_or(Mismatch)?;
    let count = str::from_utf8(&rest[..end]).ok().and_then(|digits| digits.parse().ok()).ok_or(Mismatch)?;
    Ok((count, rest.get(end + 2..).ok_or(Mismatch)?))
}
