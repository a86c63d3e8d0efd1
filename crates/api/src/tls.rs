//! The cryptography of this process's TLS connections.

/// Chooses ring for every TLS connection of this process. To be called before a client or a server with TLS is made;
/// calling it again changes nothing.
pub fn prepare() {
    // An error says that a provider was chosen before: it is the same one, or the process's own wish.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
