//! Giving a proxy what it should have: its roles, then its view; and having it emptied.

use std::time::Duration;

use model::{Address, Epoch, SetCluster, SetRepl};
use resp::Value;

use super::link::{Link, LinkError, ProxyAccess, within};

/// What the error reply of a proxy that has something newer, or the same, begins with.
const OLD_EPOCH: &str = "OLD_EPOCH";

/// How proxies are talked to.
#[derive(Clone, Debug)]
pub(crate) struct Pusher {
    /// How they are reached.
    pub(crate) access: ProxyAccess,
    /// How long all of it may take.
    pub(crate) limit: Duration,
    /// Whether views are compressed.
    pub(crate) compress: bool,
}

impl Pusher {
    /// Sends the roles, and when they are accepted the view. That the proxy has either already, or something
    /// newer, is no failure: another coordinator was first.
    pub(crate) async fn push(
        &self,
        proxy: &Address,
        roles: &SetRepl,
        view: &SetCluster,
    ) -> Result<(), LinkError> {
        let deadline = within(self.limit);
        let mut link = Link::connect_as(&self.access, proxy, deadline).await?;
        for (word, arguments) in
            [("SETREPL", roles.to_args(self.compress)), ("SETCLUSTER", view.to_args(self.compress))]
        {
            let mut words: Vec<&[u8]> = vec![b"UMCTL", word.as_bytes()];
            words.extend(arguments.iter().map(String::as_bytes));
            match link.ask(&words, deadline, |_| Ok(())).await {
                Err(LinkError::Refused(error)) if error.starts_with(OLD_EPOCH) => {}
                outcome => outcome?,
            }
        }
        Ok(())
    }

    /// Has the proxy empty its nodes, which it does only while the empty view of that epoch is what it has.
    pub(crate) async fn clean(&self, proxy: &Address, epoch: Epoch) -> Result<(), LinkError> {
        let deadline = within(self.limit);
        let mut link = Link::connect_as(&self.access, proxy, deadline).await?;
        let epoch = epoch.to_string();
        let done = |value: &Value<'_>| match value {
            Value::Simple(b"OK") => Ok(()),
            _ => Err(LinkError::Unexpected("OK")),
        };
        link.ask(&[b"UMCTL", b"CLEAN", epoch.as_bytes()], deadline, done).await
    }
}
