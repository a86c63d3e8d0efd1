//! Measures this proxy, other proxies and plain Redis side by side.
