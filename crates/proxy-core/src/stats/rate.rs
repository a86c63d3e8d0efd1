//! Rates from two readings of growing numbers.

/// What INFO calls `instantaneous_…`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// Requests in a second.
    pub ops_per_s: u64,
    /// Bytes in a second from clients.
    pub bytes_in_per_s: u64,
    /// Bytes in a second to clients.
    pub bytes_out_per_s: u64,
}

/// Averages over the time between the last readings. Who owns it reads at a steady pace, about once a second.
#[derive(Debug, Clone, Copy, Default)]
pub struct RateMeter {
    last: Option<(u64, [u64; 3])>,
    rates: Rates,
}

impl RateMeter {
    /// Takes a reading of requests, bytes in and bytes out at `now_ms`.
    pub fn observe(&mut self, now_ms: u64, reading: [u64; 3]) {
        if let Some((then_ms, before)) = self.last {
            let elapsed_ms = now_ms.saturating_sub(then_ms);
            if elapsed_ms == 0 {
                return;
            }
            let [ops_per_s, bytes_in_per_s, bytes_out_per_s] = std::array::from_fn(|index| {
                // Less than before after CONFIG RESETSTAT: what there is came since.
                let grown = reading[index].checked_sub(before[index]).unwrap_or(reading[index]);
                grown.saturating_mul(1000) / elapsed_ms
            });
            self.rates = Rates { ops_per_s, bytes_in_per_s, bytes_out_per_s };
        }
        self.last = Some((now_ms, reading));
    }

    /// The rates between the last two readings; zero before the second.
    pub fn rates(&self) -> Rates {
        self.rates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_between_readings() {
        let mut meter = RateMeter::default();
        for (now_ms, requests, expected) in
            [(1000, 50, 0), (1500, 100, 100), (1500, 900, 100), (2500, 100, 0), (3500, 40, 40)]
        {
            meter.observe(now_ms, [requests, 0, 0]);
            assert_eq!(meter.rates().ops_per_s, expected, "{now_ms}");
        }
    }
}
