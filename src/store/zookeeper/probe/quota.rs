//! Quotas, as ZooKeeper keeps them: a node with the limits and one with the use below `/zookeeper/quota`.

use super::Quota;

/// Where the limits and the use of a path are told.
pub(super) fn nodes(path: &str) -> (String, String) {
    (format!("/zookeeper/quota{path}/zookeeper_limits"), format!("/zookeeper/quota{path}/zookeeper_stats"))
}

impl Quota {
    pub(super) fn parse(path: &str, limits: &[u8], used: &[u8]) -> Self {
        let limit = |key| number(limits, key).and_then(|limit| u64::try_from(limit).ok());
        let used = |key| number(used, key).and_then(|used| u64::try_from(used).ok());
        Self {
            path: path.to_owned(),
            nodes_used: used("count"),
            nodes_max: limit("count"),
            nodes_max_enforced: limit("countHardLimit"),
            bytes_used: used("bytes"),
            bytes_max: limit("bytes"),
            bytes_max_enforced: limit("byteHardLimit"),
        }
    }
}

/// The value of a key in `count=5,bytes=-1` or, since 3.7, `count=5,bytes=-1=;byteHardLimit=-1;countHardLimit=7`.
fn number(text: &[u8], key: &str) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let mut pairs = text.split([',', ';']).filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| name.trim() == key)?.1.trim_end_matches('=').trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_limits_are_read() {
        let old = Quota::parse("/a", b"count=5,bytes=-1", b"count=3,bytes=70");
        assert_eq!((old.nodes_used, old.nodes_max, old.nodes_max_enforced), (Some(3), Some(5), None));
        assert_eq!((old.bytes_used, old.bytes_max, old.bytes_max_enforced), (Some(70), None, None));
        let limits = b"count=-1,bytes=10=;byteHardLimit=20;countHardLimit=7";
        let new = Quota::parse("/a", limits, b"count=3,bytes=70=;byteHardLimit=-1;countHardLimit=-1");
        assert_eq!((new.nodes_max, new.nodes_max_enforced), (None, Some(7)));
        assert_eq!((new.bytes_used, new.bytes_max, new.bytes_max_enforced), (Some(70), Some(10), Some(20)));
    }

    #[test]
    fn what_is_no_quota_has_no_limits() {
        for text in [&b""[..], b"\xff", b"count", b"count=x,bytes=", b"=;="] {
            let quota = Quota::parse("/a", text, text);
            assert_eq!((quota.nodes_max, quota.bytes_max, quota.nodes_used), (None, None, None));
        }
    }
}
