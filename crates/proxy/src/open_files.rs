//! What the limit of open files leaves for clients, so that a proxy never runs out of descriptors by them.
//!
//! The kernel gives out the lowest descriptor that is free. So a connection whose descriptor is below a line has not taken
//! what is above it, whatever the other descriptors are for: no count of them is needed, and no count can be wrong.
//!
//! ```text
//!  0                                          line                  limit
//!  ├── files, listeners, nodes, clients ───────┼── no clients ────────┤
//!  ├── maxclients at most ───────────┤         │                      │
//!                                    └──── reserve: half below, half above the line
//! ```

use service::open_files::limit;

/// Descriptors that are kept for other things than clients where the limit is high enough: connections to nodes and other
/// proxies, the control port, HTTP, large requests.
const RESERVE_MAX: u64 = 1024;
/// The part of a lower limit that is kept for them.
const RESERVE_PART: u64 = 4;
/// The part of the reserve that connections for large requests may take.
const UPLOADS_PART: u64 = 4;

/// Which part of a limit is kept.
fn reserve(limit: u64) -> u64 {
    (limit / RESERVE_PART).min(RESERVE_MAX)
}

/// How many clients may be connected at the limit of this moment; `None` where nothing limits them.
pub(crate) fn clients_max() -> Option<u32> {
    limit().map(clients_at)
}

fn clients_at(limit: u64) -> u32 {
    u32::try_from((limit - reserve(limit)).max(1)).unwrap_or(u32::MAX)
}

/// Whether a client's connection with this descriptor leaves enough for everything else at the limit of this moment.
/// Asked of the kernel each time, because the limit of a running process may be changed from outside (`prlimit`).
pub(crate) fn is_for_clients(descriptor: i32) -> bool {
    limit().is_none_or(|limit| is_below_line(descriptor, limit))
}

fn is_below_line(descriptor: i32, limit: u64) -> bool {
    u64::try_from(descriptor).is_ok_and(|number| number < limit - reserve(limit) / 2)
}

/// How many connections for large requests all workers may have together at the limit of this moment.
pub(crate) fn uploads_max() -> u64 {
    limit().map_or(RESERVE_MAX, reserve) / UPLOADS_PART
}

/// `maxclients`, lowered to what the limit of open files allows; the log says so.
pub(crate) fn fit(maxclients: u32) -> u32 {
    service::open_files::raise();
    match clients_max() {
        Some(max) if max < maxclients => {
            tracing::warn!(
                wanted = maxclients,
                maxclients = max,
                open_files = limit(),
                "maxclients is lowered to what the limit of open files allows: raise `ulimit -n`"
            );
            max
        }
        _ => maxclients,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_leaves_a_reserve() {
        for (limit, clients, first_refused) in [
            (0, 1, 0),
            (1, 1, 1),
            (64, 48, 56),
            (256, 192, 224),
            (1024, 768, 896),
            (4096, 3072, 3584),
            (65_536, 64_512, 65_024),
            (1 << 40, u32::MAX, i32::MAX),
        ] {
            assert_eq!(clients_at(limit), clients, "{limit}");
            assert!(!is_below_line(first_refused, limit) || first_refused == i32::MAX, "{limit}");
            assert!(first_refused == 0 || is_below_line(first_refused - 1, limit), "{limit}");
        }
        assert!(!is_below_line(-1, 1024));
    }
}
