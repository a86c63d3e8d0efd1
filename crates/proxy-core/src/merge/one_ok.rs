//! One success is enough: SCRIPT KILL and FUNCTION KILL, where the script runs on one of the primaries.

/// How Redis's answer to SCRIPT KILL and FUNCTION KILL begins where nothing runs.
const NOTHING_RUNS: &[u8] = b"-NOTBUSY";

/// The first success; else the first error that says more than "nothing runs here".
pub(super) fn one_ok(parts: &[Vec<u8>]) -> &[u8] {
    let success = parts.iter().find(|part| !resp::is_error(part));
    success.or_else(|| parts.iter().find(|part| !part.starts_with(NOTHING_RUNS))).unwrap_or(&parts[0])
}
