//! How a coordinator reaches proxies and says who it is, and how it reads what they answer.

use link::{Link, LinkError, Places, Reply};
use model::{Address, HealthAnswer, HealthFault};
use service::config::Secret;
use tokio::time::Instant;

/// How a coordinator reaches proxies, and what it says who it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProxyAccess {
    /// The password of clients.
    pub(crate) password: Option<Secret>,
    /// The control password.
    pub(crate) control_password: Option<Secret>,
    /// How far the control port is above the one for clients; 0 where they are the same.
    pub(crate) control_port_offset: u16,
}

impl ProxyAccess {
    /// Where a proxy answers UMCTL, looked for until `deadline`.
    pub(crate) async fn places(&self, proxy: &Address, deadline: Instant) -> Result<Places, LinkError> {
        // The configuration says that the offset fits the ports of its proxies.
        let port = proxy.port().saturating_add(self.control_port_offset);
        Places::of(proxy.host(), port, deadline).await
    }

    /// Connects as a coordinator, until `deadline`.
    pub(crate) async fn connect(&self, proxy: &Address, deadline: Instant) -> Result<Link, LinkError> {
        self.connect_to(&self.places(proxy, deadline).await?, deadline).await
    }

    /// Connects as a coordinator, at places that were found before.
    pub(crate) async fn connect_to(&self, places: &Places, deadline: Instant) -> Result<Link, LinkError> {
        let mut link = Link::open(places, deadline).await?;
        self.introduce(&mut link, deadline).await?;
        Ok(link)
    }

    /// Says who it is.
    async fn introduce(&self, link: &mut Link, deadline: Instant) -> Result<(), LinkError> {
        let has_own_port = self.control_port_offset > 0;
        if !has_own_port && let Some(password) = &self.password {
            link.ask(&[b"AUTH", password.expose().as_bytes()], deadline).await?;
        }
        let fallback = self.password.as_ref().filter(|_| has_own_port);
        let Some(password) = self.control_password.as_ref().or(fallback) else { return Ok(()) };
        let words: [&[u8]; 3] = [b"UMCTL", b"AUTH", password.expose().as_bytes()];
        match link.ask(&words, deadline).await {
            // A proxy of an older version knows no control password.
            Err(LinkError::Refused(error)) if error.starts_with("ERR ") => Ok(()),
            outcome => outcome.map(drop),
        }
    }
}

/// Reads an answer to UMCTL HEALTH.
pub(crate) fn health(reply: &Reply) -> Result<HealthAnswer, LinkError> {
    HealthAnswer::read(&reply.value()?).map_err(|HealthFault(missing)| LinkError::Unexpected(missing))
}
