//! Looking at one server that is spoken to encrypted. Only the client crate can do that, so less is learnt than in plain words.

use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};
use zookeeper_client as zk;

use super::server::{HUGE, ROUND_TRIPS};
use super::{Contact, ServerReport, SessionBounds};
use crate::store::zookeeper::{ZooKeeper, tls};

/// A session that was asked for to look at a server, and has nothing that others could miss when it expires.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn look_at(store: &ZooKeeper, server: &str, limit: Duration) -> ServerReport {
    let deadline = Instant::now() + limit;
    let mut report = ServerReport::new(server);
    report.contact = Contact::NotSecured;
    let client = match timeout(limit, open(store, server, HUGE)).await {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => {
            report.session = Err(error.to_string());
            return report;
        }
        Err(_) => {
            report.session = Err("no answer in time".to_owned());
            return report;
        }
    };
    report.contact = Contact::ZooKeeper;
    report.session = Ok(SessionBounds { shortest: None, longest: client.session_timeout() });
    for _ in 0..ROUND_TRIPS {
        let sent = Instant::now();
        // Some servers refuse everything to those without credentials; the answer comes as quickly.
        match timeout_at(deadline, client.check_stat("/")).await {
            Ok(Ok(_) | Err(zk::Error::NoAuth)) => report.round_trips.push(sent.elapsed()),
            _ => break,
        }
    }
    report.round_trips.sort_unstable();
    report
}

/// Whether the server knows a node, once it has caught up with its leader.
pub(super) async fn sees(store: &ZooKeeper, server: &str, path: &str) -> Result<bool, zk::Error> {
    let client = open(store, server, SESSION_TIMEOUT).await?;
    client.sync(path).await?;
    Ok(client.check_stat(path).await?.is_some())
}

/// Closed when it is dropped.
async fn open(store: &ZooKeeper, server: &str, session_timeout: Duration) -> Result<zk::Client, zk::Error> {
    let connector = zk::Client::connector().with_session_timeout(session_timeout);
    tls::connect(connector, store.tls.as_ref(), &format!("{}{server}", tls::SCHEME)).await
}
