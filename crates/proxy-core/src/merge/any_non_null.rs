//! The first reply that is not null; null where all are.

/// The part that is the answer.
pub(super) fn any_non_null(parts: &[Vec<u8>]) -> &[u8] {
    parts.iter().find(|part| !is_null(part)).unwrap_or(&parts[0])
}

fn is_null(part: &[u8]) -> bool {
    matches!(part, b"$-1\r\n" | b"_\r\n" | b"*-1\r\n")
}
