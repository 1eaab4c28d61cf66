//! What servers say to four-letter words, as far as they say anything.

use std::time::Duration;

use super::{Configuration, ServerMode};

/// What `srvr` tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) version: Option<String>,
    pub(super) mode: Option<ServerMode>,
    pub(super) outstanding: Option<u64>,
}

impl Status {
    pub(super) fn parse(answer: &str) -> Self {
        let value = |key| value(answer, key, ": ");
        Self {
            // "3.8.0-5a02a05, built on …": the revision means nothing to a reader.
            version: value("Zookeeper version")
                .map(|version| version.split([',', '-']).next().unwrap_or_default().to_owned()),
            mode: value("Mode").map(ServerMode::parse),
            outstanding: value("Outstanding").and_then(|number| number.parse().ok()),
        }
    }
}

impl ServerMode {
    fn parse(word: &str) -> Self {
        match word {
            "standalone" => ServerMode::Standalone,
            "leader" => ServerMode::Leader,
            "follower" => ServerMode::Follower,
            "observer" => ServerMode::Observer,
            "read-only" => ServerMode::ReadOnly,
            _ => ServerMode::Other,
        }
    }
}

impl Configuration {
    /// What `conf` tells; nothing if it is no such answer.
    pub(super) fn parse(answer: &str) -> Option<Self> {
        let tick_millis = value(answer, "tickTime", "=")?.parse().ok()?;
        Some(Self { tick_time: Duration::from_millis(tick_millis) })
    }
}

fn value<'a>(answer: &'a str, key: &str, separator: &str) -> Option<&'a str> {
    answer.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(separator)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_apart() {
        let status = Status::parse(
            "Zookeeper version: 3.8.0-5a02a05, built on 2022-02-25 08:49 UTC\nLatency min/avg/max: 0/1.2/9\n\
             Outstanding: 3\nZxid: 0x31\nMode: follower\nNode count: 5\n",
        );
        let mode = Some(ServerMode::Follower);
        assert_eq!(status, Status { version: Some("3.8.0".into()), mode, outstanding: Some(3) });
        let conf = Configuration::parse("clientPort=2181\ntickTime=500\nminSessionTimeout=1000\n");
        assert_eq!(conf.expect("an answer").tick_time, Duration::from_millis(500));
    }

    #[test]
    fn a_refusal_tells_nothing() {
        for answer in ["", "conf is not executed because it is not in the whitelist.\n", "\u{fffd}=:\n"] {
            assert_eq!(Status::parse(answer), Status::default());
            assert!(Configuration::parse(answer).is_none());
        }
    }
}
