//! Ports that no other test of this machine uses at the same time.
//!
//! Asking the kernel for port 0 is not enough: the port is free again before the server binds it, and two proxies
//! that listen with SO_REUSEPORT would share one port without an error. So a port is reserved by a file lock for
//! as long as its [`Port`] lives, and lies below the kernel's ephemeral range.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};

/// First port handed out.
const FIRST: u16 = 20_000;
/// How many ports there are to hand out; they end below 32768, where Linux's ephemeral ports begin.
const COUNT: u16 = 12_000;

/// A reserved port of 127.0.0.1, given back when dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Reserves a port on which nothing listens.
    ///
    /// # Errors
    /// When the lock directory cannot be written or no port is left.
    pub fn reserve() -> Result<Self> {
        // Processes begin at different places, so that they seldom meet.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let directory = lock_directory()?;
        let start = std::process::id().wrapping_mul(7919);
        for _ in 0..COUNT {
            let step = NEXT.fetch_add(1, Ordering::Relaxed);
            let offset = start.wrapping_add(step) % u32::from(COUNT);
            let number = FIRST + u16::try_from(offset).context("an offset below COUNT fits")?;
            if let Some(port) = Self::try_reserve(&directory, number)? {
                return Ok(port);
            }
        }
        bail!("no port is free between {FIRST} and {}", FIRST + COUNT);
    }

    /// Reserves two ports of which one is so far above the other, the lower first.
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve).
    pub fn reserve_pair(offset: u16) -> Result<[Self; 2]> {
        let directory = lock_directory()?;
        for _ in 0..COUNT {
            let lower = Self::reserve()?;
            let Some(number) = lower.number.checked_add(offset).filter(|number| *number < FIRST + COUNT)
            else {
                continue;
            };
            if let Some(upper) = Self::try_reserve(&directory, number)? {
                return Ok([lower, upper]);
            }
        }
        bail!("no two free ports between {FIRST} and {} are {offset} apart", FIRST + COUNT);
    }

    /// The port's number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    fn try_reserve(directory: &std::path::Path, number: u16) -> Result<Option<Self>> {
        let path = directory.join(number.to_string());
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("opening the port lock {}", path.display()))?;
        if lock.try_lock().is_err() {
            return Ok(None);
        }
        // The lock is ours; somebody outside the tests may still listen there.
        Ok(TcpListener::bind(("127.0.0.1", number)).is_ok().then_some(Self { number, _lock: lock }))
    }
}

fn lock_directory() -> Result<PathBuf> {
    let directory = std::env::temp_dir().join("undermoon-test-ports");
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("creating the port lock directory {}", directory.display()))?;
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_port_is_not_given_twice() {
        let ports: Vec<Port> = (0..50).map(|_| Port::reserve().unwrap()).collect();
        let directory = lock_directory().unwrap();
        for port in &ports {
            assert!(Port::try_reserve(&directory, port.number()).unwrap().is_none());
        }
        let number = ports[0].number();
        drop(ports);
        assert!(Port::try_reserve(&directory, number).unwrap().is_some());
    }

    #[test]
    fn a_pair_is_so_far_apart() {
        let [lower, upper] = Port::reserve_pair(5).unwrap();
        assert_eq!(upper.number(), lower.number() + 5);
        assert!(Port::try_reserve(&lock_directory().unwrap(), upper.number()).unwrap().is_none());
    }

    #[test]
    fn a_port_with_a_listener_is_not_given() {
        let port = Port::reserve().unwrap();
        let number = port.number();
        let _listener = TcpListener::bind(("127.0.0.1", number)).unwrap();
        drop(port);
        assert!(Port::try_reserve(&lock_directory().unwrap(), number).unwrap().is_none());
    }
}
