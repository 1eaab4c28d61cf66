//! Nothing is left behind: all queues are empty within two session timeouts of the end.

use std::time::Duration;

/// What is wrong, if anything is. `emptied` is how long after the end the last queue was found empty; none if one never
/// was.
pub(crate) fn complaint(emptied: Option<Duration>, session_timeout: Duration) -> Option<String> {
    let limit = session_timeout * 2;
    match emptied {
        Some(emptied) if emptied <= limit => None,
        Some(emptied) => Some(format!("the queues were empty {emptied:.1?} after the end; the limit is {limit:?}")),
        None => Some("a queue never became empty".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Duration = Duration::from_secs(2);

    #[test]
    fn nodes_that_stay_too_long_or_for_ever_are_flagged() {
        assert!(complaint(Some(T * 2 + Duration::from_millis(1)), T).is_some());
        assert!(complaint(None, T).is_some());
    }

    #[test]
    fn nodes_that_go_with_their_sessions_are_not_flagged() {
        assert_eq!(complaint(Some(Duration::ZERO), T), None);
        assert_eq!(complaint(Some(T * 2), T), None);
    }
}
