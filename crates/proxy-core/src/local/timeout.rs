//! Timeouts in arguments, in ms.

use crate::{decimal, errors};

/// How long, ms; else the error.
pub(super) fn duration_ms(given: &[u8], now_ms: u64) -> Result<u64, &'static str> {
    let duration_ms = decimal::parse(given).ok_or(errors::TIMEOUT_NOT_INTEGER)?;
    let duration_ms = u64::try_from(duration_ms).map_err(|_| errors::TIMEOUT_NEGATIVE)?;
    let end_ms = now_ms.checked_add(duration_ms).filter(|end_ms| i64::try_from(*end_ms).is_ok());
    end_ms.map(|_| duration_ms).ok_or(errors::TIMEOUT_OUT_OF_RANGE)
}
