//! Looking at one server that is spoken to encrypted. Only the client crate can do that, so less is learnt than in plain words.

use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};
use zookeeper_client as zk;

use super::server::{HUGE, ROUND_TRIPS, contact, in_time};
use super::{Contact, ServerReport, SessionBounds};
use crate::store::OpenOptions;
use crate::store::zookeeper::diagnosis::{self, Finding};
use crate::store::zookeeper::{ZooKeeper, tls};

/// A session that was asked for to look at a server, and has nothing that others could miss when it expires.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a server that gave no session is asked whether it speaks without encryption: if it does, it answers at once.
const PLAIN_PATIENCE: Duration = Duration::from_secs(1);

pub(super) async fn look_at(store: &ZooKeeper, server: &str, options: &OpenOptions) -> ServerReport {
    let deadline = Instant::now() + options.connect_timeout;
    let mut report = ServerReport::new(server);
    // The client does not tell why it cannot connect. What has nothing to do with encryption shows without it.
    match in_time(deadline, diagnosis::reach(server, || deadline)).await {
        Ok(Ok(_)) => {}
        Ok(Err(finding)) => {
            report.contact = contact(finding);
            return report;
        }
        Err(_) => return report,
    }
    let (longest, asked) = tokio::join!(
        timeout_at(deadline, open(store, server, HUGE)),
        timeout_at(deadline, open(store, server, options.session_timeout)),
    );
    let client = match longest {
        Ok(Ok(client)) => client,
        Ok(Err(zk::Error::AuthFailed)) => {
            report.contact = Contact::ZooKeeper;
            report.session = Err("it refuses these credentials, or that there are none".to_owned());
            return report;
        }
        failed => {
            report.contact = Contact::NotSecured;
            let plain = timeout(PLAIN_PATIENCE, diagnosis::look(server)).await;
            let is_plain = matches!(plain, Ok(Finding::ZooKeeper(_)));
            report.session = Err(match (is_plain, failed) {
                (true, _) => "it is a ZooKeeper server without TLS".to_owned(),
                (false, Ok(_)) => "it ended the connection".to_owned(),
                (false, Err(_)) => "no answer in time".to_owned(),
            });
            return report;
        }
    };
    report.contact = Contact::ZooKeeper;
    report.session = Ok(SessionBounds { shortest: None, longest: client.session_timeout() });
    report.granted = asked.ok().and_then(Result::ok).map(|client| client.session_timeout());
    for _ in 0..ROUND_TRIPS {
        let sent = Instant::now();
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

/// Closed when it is dropped. Tries once; with the credentials, without which some servers serve nobody.
async fn open(store: &ZooKeeper, server: &str, session_timeout: Duration) -> Result<zk::Client, zk::Error> {
    let mut connector = zk::Client::connector().with_session_timeout(session_timeout).with_fail_eagerly();
    for (scheme, secret) in &store.credentials {
        connector = connector.with_auth(scheme, secret);
    }
    tls::connect(connector, store.tls.as_ref(), &format!("{}{server}", tls::SCHEME)).await
}
