//! Looking at one server by itself.

use std::io;
use std::time::Duration;

use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout, timeout_at};

use super::wire::Wire;
use super::words::Status;
use super::{Configuration, Contact, ServerReport, SessionBounds};
use crate::store::zookeeper::diagnosis::{self, Finding};

/// How many round trips are timed: the median of a few is enough to tell a metre from a continent.
pub(super) const ROUND_TRIPS: usize = 7;

/// What is asked for to learn the shortest session that is granted.
const TINY: Duration = Duration::from_millis(1);
/// The longest that can be asked for.
pub(super) const HUGE: Duration = Duration::from_millis(i32::MAX as u64);

/// How long a session's end is waited for, once everything is known.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

pub(super) async fn look_at(server: &str, limit: Duration) -> ServerReport {
    let deadline = Instant::now() + limit;
    let mut report = ServerReport::new(server);
    let asking = diagnosis::ask(server, "srvr", || deadline, diagnosis::is_other);
    let answer = match in_time(deadline, asking).await {
        Err(_) => Err(Finding::NoAnswer),
        Ok(Ok(answer)) => match diagnosis::judge(&answer) {
            Finding::ZooKeeper(words) => Ok((answer, words)),
            other => Err(other),
        },
        Ok(Err(finding)) => Err(finding),
    };
    let (answer, words) = match answer {
        Ok(answer) => answer,
        Err(finding) => {
            report.contact = contact(finding);
            return report;
        }
    };
    let status = Status::parse(&String::from_utf8_lossy(&answer));
    report.contact = Contact::ZooKeeper;
    report.tells_status = status.version.is_some();
    (report.version, report.mode, report.outstanding) =
        (status.version.map(printable), status.mode, status.outstanding);
    if words.contains("not currently serving requests") {
        report.session = Err(words);
        return report;
    }
    let target = diagnosis::target(server);
    let (configuration, long, short) = tokio::join!(
        timeout_at(deadline, diagnosis::ask(server, "conf", || deadline, |_| false)),
        timeout_at(deadline, long_session(&target)),
        timeout_at(deadline, short_session(&target)),
    );
    let configuration = configuration.ok().and_then(Result::ok);
    report.configuration = configuration.and_then(|answer| Configuration::parse(&String::from_utf8_lossy(&answer)));
    match long.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"))) {
        Ok(long) => {
            report.is_read_only = Some(long.is_read_only);
            report.round_trips = long.round_trips;
            let shortest = short.ok().and_then(Result::ok);
            report.session = Ok(SessionBounds { shortest, longest: long.granted });
        }
        Err(error) => {
            report.is_read_only = (error.kind() == io::ErrorKind::ReadOnlyFilesystem).then_some(true);
            report.session = Err(error.to_string());
        }
    }
    report
}

/// For what keeps the deadline itself, so that it can say at which step it was: only looking a name up may take longer.
pub(super) async fn in_time<T>(deadline: Instant, what: impl Future<Output = T>) -> Result<T, Elapsed> {
    timeout_at(deadline + CLOSE_PATIENCE, what).await
}

pub(super) fn contact(finding: Finding) -> Contact {
    match finding {
        Finding::NotResolved => Contact::UnknownHost,
        Finding::Refused(reason) => Contact::Refused(reason),
        Finding::NoAnswer => Contact::NoAnswer,
        Finding::Silent | Finding::ZooKeeper(_) | Finding::NotSecured | Finding::Unsecured => Contact::Silent,
        Finding::Closed => Contact::Closed,
        Finding::Other(detail) => Contact::NotZooKeeper(detail),
    }
}

/// Whether the server knows a node, once it has caught up with its leader.
pub(super) async fn sees(server: &str, path: &str) -> io::Result<bool> {
    let mut wire = Wire::open(&diagnosis::target(server), TINY).await?;
    wire.sync().await?;
    let seen = wire.exists(path).await?;
    close(wire).await;
    Ok(seen)
}

struct Long {
    granted: Duration,
    is_read_only: bool,
    round_trips: Vec<Duration>,
}

async fn long_session(target: &str) -> io::Result<Long> {
    let mut wire = Wire::open(target, HUGE).await?;
    let mut round_trips = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        let sent = Instant::now();
        let reply = wire.exists("/").await;
        match reply {
            Ok(_) => round_trips.push(sent.elapsed()),
            // Servers that serve nobody without credentials (`enforce.auth.enabled`) say so as quickly, and hang up.
            Err(error) if error.kind() == io::ErrorKind::Other => {
                round_trips.push(sent.elapsed());
                break;
            }
            Err(error) => return Err(error),
        }
    }
    round_trips.sort_unstable();
    let (granted, is_read_only) = (wire.timeout, wire.is_read_only);
    close(wire).await;
    Ok(Long { granted, is_read_only, round_trips })
}

async fn short_session(target: &str) -> io::Result<Duration> {
    let wire = Wire::open(target, TINY).await?;
    let granted = wire.timeout;
    close(wire).await;
    Ok(granted)
}

/// A session that cannot be closed expires, and has nothing that others could miss.
async fn close(wire: Wire) {
    let _ = timeout(CLOSE_PATIENCE, wire.close()).await;
}

fn printable(text: String) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}
