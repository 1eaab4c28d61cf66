//! Saying what is wrong when no session can be opened: looks at each server of the connect string.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::PLAIN_SCHEME;
use super::tls::SCHEME;
use crate::error::Error;
use crate::path::check_components;
use crate::store::StoreError;

const LOOK_TIMEOUT: Duration = Duration::from_secs(1);
const SERVERS_MAX: usize = 9;
const DEFAULT_PORT: &str = "2181";

/// What may stand in front of a server.
const SCHEMES: [&str; 2] = [PLAIN_SCHEME, SCHEME];

/// The most that is read of an answer: words are short, and who sends without end is no ZooKeeper server.
const ANSWER_BYTES_MAX: u64 = 64 * 1_024;

/// How those begin who expected TLS and tell that they did not get it.
const TLS_ALERT: &[u8] = b"\x15\x03";

/// What was found at an address.
pub(super) enum Finding {
    NotResolved,
    Refused(String),
    NoAnswer,
    Silent,
    /// It was to be spoken to encrypted, and something listens there.
    NotSecured,
    /// It was to be spoken to encrypted, and speaks without.
    Unsecured,
    Closed,
    ZooKeeper(String),
    Other(String),
}

/// Refuses what cannot be a connect string, before anything is sent.
pub(super) fn check_connect_string(servers: &str) -> Result<(), Error> {
    check_servers(servers).map_err(|reason| Error::InvalidConfig {
        reason: format!("the connect string {servers:?} is malformed: {reason}; give host:port,host:port/root"),
    })
}

fn check_servers(servers: &str) -> Result<(), String> {
    if servers.trim().is_empty() {
        return Err("it is empty".into());
    }
    if servers.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("it has white space or control characters".into());
    }
    let mut remaining = servers.split(',').peekable();
    while let Some(server) = remaining.next() {
        let server = SCHEMES.iter().find_map(|scheme| server.strip_prefix(scheme)).unwrap_or(server);
        if server.contains("://") {
            return Err("a scheme is neither tcp:// nor tcp+tls://".into());
        }
        let (address, root) = server.split_once('/').unwrap_or((server, ""));
        if remaining.peek().is_some() && address.len() != server.len() {
            return Err("a root stands behind the last server only, and counts for all".into());
        }
        check_address(address)?;
        if !root.is_empty() {
            check_components(root).map_err(|reason| format!("its root is wrong: {reason}"))?;
        }
    }
    Ok(())
}

fn check_address(address: &str) -> Result<(), &'static str> {
    let port = port_of(address);
    let host = match port {
        Some(port) => &address[..address.len() - port.len() - 1],
        None => address,
    };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').ok_or("the bracket of an IPv6 address is not closed before its port")?,
        None if host.contains(':') => return Err("an IPv6 address is not in brackets, or a server has two ports"),
        None => host,
    };
    if name.is_empty() {
        return Err("a server has no host");
    }
    if name.contains(['[', ']']) {
        return Err("a bracket stands in a host's name");
    }
    // A sign is no part of a port, but of what parses as a number.
    let is_port = |port: &str| !port.starts_with('+') && port.parse::<u16>().is_ok_and(|number| number > 0);
    if !port.is_none_or(is_port) {
        return Err("a port is not a number from 1 to 65535");
    }
    Ok(())
}

/// The error for servers that gave no session.
pub(super) async fn unreachable(
    servers: &str,
    is_secured: impl Fn(&str) -> bool,
    waited: Duration,
    last_error: Option<StoreError>,
) -> Error {
    let findings = join_all(servers.split(',').take(SERVERS_MAX).map(async |server| {
        let address = address(server);
        let finding = timeout(3 * LOOK_TIMEOUT, look(address)).await.unwrap_or(Finding::NoAnswer);
        let finding = if is_secured(server) { secured(finding) } else { finding };
        (address.to_owned(), finding)
    }))
    .await;
    let any_zookeeper = findings.iter().any(|(_, finding)| matches!(finding, Finding::ZooKeeper(_)));
    if !any_zookeeper
        && let Some((server, Finding::Other(detail))) =
            findings.iter().find(|(_, finding)| matches!(finding, Finding::Other(_)))
    {
        return Error::NotZooKeeper { server: server.clone(), detail: detail.clone() };
    }
    let diagnosis =
        findings.iter().map(|(server, finding)| format!("{server}: {}", describe(finding))).collect::<Vec<_>>();
    Error::Unreachable { servers: servers.to_owned(), waited, diagnosis: diagnosis.join("; "), source: last_error }
}

fn describe(finding: &Finding) -> String {
    match finding {
        Finding::NotResolved => "the host name is unknown; check it".into(),
        Finding::Refused(reason) => format!("cannot connect ({reason}); is the server running, is the port right?"),
        Finding::NoAnswer => "no answer to a connection attempt; is a firewall in between?".into(),
        Finding::Silent | Finding::Closed => {
            "accepts connections but does not answer; does it expect TLS, or hang?".into()
        }
        Finding::NotSecured => {
            "accepts connections, but gave no encrypted one; is it the port for TLS, is its certificate from a known \
             authority and for this name, and does it accept this client's?"
                .into()
        }
        Finding::Unsecured => "is a ZooKeeper server without TLS; is there another port for that?".into(),
        Finding::ZooKeeper(words) => {
            format!("is a ZooKeeper server but gave no session ({words}); does it have a quorum?")
        }
        Finding::Other(detail) => format!("is no ZooKeeper server ({detail})"),
    }
}

/// What a look without TLS found where there should be TLS.
fn secured(finding: Finding) -> Finding {
    match finding {
        Finding::Silent | Finding::Closed | Finding::Other(_) => Finding::NotSecured,
        Finding::ZooKeeper(_) => Finding::Unsecured,
        other => other,
    }
}

/// The addresses of a connect string, without root and scheme.
pub(super) fn addresses(servers: &str) -> impl Iterator<Item = &str> {
    servers.split(',').map(address)
}

/// A server's address, without root and scheme.
fn address(server: &str) -> &str {
    let server = server.split_once("://").map_or(server, |(_, rest)| rest);
    server.split('/').next().unwrap_or_default()
}

fn port_of(address: &str) -> Option<&str> {
    // The colons of an IPv6 address stand in brackets.
    let after_host = address.rsplit_once(']').map_or(address, |(_, rest)| rest);
    after_host.rsplit_once(':').map(|(_, port)| port)
}

/// What a socket is opened to.
pub(super) fn target(address: &str) -> String {
    match port_of(address) {
        Some(_) => address.to_owned(),
        None => format!("{address}:{DEFAULT_PORT}"),
    }
}

/// What is at an address, without encryption. Takes a few seconds at most, unless the name cannot be looked up.
pub(super) async fn look(address: &str) -> Finding {
    // Every ZooKeeper server answers to this word, be it with a refusal that names it.
    match ask(address, "srvr", || Instant::now() + LOOK_TIMEOUT, is_other).await {
        Ok(answer) => judge(&answer),
        Err(finding) => finding,
    }
}

/// What the name of a server stands for, sorted; nothing if that is not known.
pub(super) async fn look_up(address: &str) -> Vec<SocketAddr> {
    let mut found: Vec<_> = tokio::net::lookup_host(target(address)).await.map(Iterator::collect).unwrap_or_default();
    found.sort_unstable();
    found.dedup();
    found
}

/// A connection to the address, or what was found instead. It is there by when `by` says; looking the name up takes as long as it
/// takes.
pub(super) async fn reach(address: &str, by: impl Fn() -> Instant) -> Result<TcpStream, Finding> {
    if look_up(address).await.is_empty() {
        return Err(Finding::NotResolved);
    }
    match timeout_at(by(), TcpStream::connect(target(address))).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(Finding::Refused(error.to_string())),
        Err(_) => Err(Finding::NoAnswer),
    }
}

/// The answer to a four-letter word, or what was found instead of one. `by` is asked when each of the two steps begins: until when it
/// may last. Nothing is read behind what `is_enough`.
pub(super) async fn ask(
    address: &str,
    word: &str,
    by: impl Fn() -> Instant,
    is_enough: fn(&[u8]) -> bool,
) -> Result<Vec<u8>, Finding> {
    let stream = reach(address, &by).await?;
    let (reader, mut writer) = stream.into_split();
    let (mut reader, mut answer) = (reader.take(ANSWER_BYTES_MAX), Vec::new());
    // What has come by then counts, and so it does if the connection breaks.
    let ended = timeout_at(by(), async {
        writer.write_all(word.as_bytes()).await?;
        while reader.read_buf(&mut answer).await? > 0 {
            if is_enough(&answer) {
                break;
            }
        }
        Ok::<_, std::io::Error>(())
    })
    .await;
    match (answer.is_empty(), ended) {
        (false, _) => Ok(answer),
        (true, Ok(_)) => Err(Finding::Closed),
        (true, Err(_)) => Err(Finding::Silent),
    }
}

/// Others than ZooKeeper may keep the connection open behind their first words.
pub(super) fn is_other(answer: &[u8]) -> bool {
    matches!(judge(answer), Finding::Other(_))
}

pub(super) fn judge(answer: &[u8]) -> Finding {
    // What ends the connection then is no answer to the word.
    if answer.starts_with(TLS_ALERT) {
        return Finding::Closed;
    }
    let words: String = String::from_utf8_lossy(answer).chars().filter(|c| !c.is_control()).take(80).collect();
    let is_zookeeper = words.starts_with("Zookeeper version")
        || words.contains("not in the whitelist")
        || words.contains("not currently serving requests");
    if is_zookeeper { Finding::ZooKeeper(words) } else { Finding::Other(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connect_strings_are_checked() {
        for good in [
            "a",
            "a:2181",
            "a:1,b:2/app",
            "a/",
            "[::1]:2181/x",
            "[::1]",
            "tcp://a:1,tcp+tls://b",
            "10.0.0.1:2181,10.0.0.2:2181",
        ] {
            assert!(check_connect_string(good).is_ok(), "{good}");
        }
        for (bad, part) in [
            ("", "empty"),
            (" ", "empty"),
            ("a b:1", "white space"),
            ("a:1\n", "white space"),
            ("a:1,,b:2", "no host"),
            (":2181", "no host"),
            ("[]:1", "no host"),
            ("/app", "no host"),
            ("a:x", "port"),
            ("a:0", "port"),
            ("a:+1", "port"),
            ("a:99999", "port"),
            ("a:", "port"),
            ("a:1:2", "two ports"),
            ("fe80::1", "brackets"),
            ("[::1", "not closed"),
            ("[::1]x:1", "not closed"),
            ("a]:1", "bracket"),
            ("http://a:1", "scheme"),
            ("tcp://tcp://a", "scheme"),
            ("a/x,b", "last server"),
            ("a/,b", "last server"),
            ("a//x", "empty component"),
            ("a/x/", "empty component"),
            ("a/../x", ". or .."),
        ] {
            let error = check_connect_string(bad).expect_err(bad);
            assert!(matches!(error, Error::InvalidConfig { .. }), "{bad:?}: {error:?}");
            assert!(error.to_string().contains(part), "{bad:?}: {error}");
        }
    }

    #[test]
    fn servers_are_told_apart_by_their_words() {
        assert!(matches!(judge(b"Zookeeper version: 3.8.0"), Finding::ZooKeeper(_)));
        assert!(matches!(judge(b"srvr is not executed because it is not in the whitelist.\n"), Finding::ZooKeeper(_)));
        assert!(matches!(judge(b"HTTP/1.1 400 Bad Request\r\n"), Finding::Other(_)));
        assert!(matches!(judge(b"\x00\xff\x01"), Finding::Other(_)));
        assert!(matches!(judge(b"\x15\x03\x03\x00\x02\x02\x32"), Finding::Closed));
    }
}
