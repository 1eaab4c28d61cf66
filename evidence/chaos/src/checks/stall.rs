//! A lock that is contended for is granted again and again, whatever happens.

use std::time::Duration;

/// The longest time without a grant between two points, of grants in any order.
pub(crate) fn longest(from: u64, until: u64, grants: impl IntoIterator<Item = u64>) -> Duration {
    let mut points: Vec<_> = grants.into_iter().filter(|grant| (from..=until).contains(grant)).collect();
    points.extend([from, until]);
    points.sort_unstable();
    let gaps = points.windows(2).map(|pair| pair[1] - pair[0]);
    Duration::from_nanos(gaps.max().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_at_the_beginning_in_the_middle_and_at_the_end_are_seen() {
        assert_eq!(longest(0, 100, [60, 70]), Duration::from_nanos(60));
        assert_eq!(longest(0, 100, [80, 10]), Duration::from_nanos(70));
        assert_eq!(longest(0, 100, [30, 40]), Duration::from_nanos(60));
        assert_eq!(longest(0, 100, []), Duration::from_nanos(100));
    }

    #[test]
    fn grants_outside_of_the_time_in_question_do_not_count() {
        assert_eq!(longest(50, 100, [10, 75, 300]), Duration::from_nanos(25));
    }
}
