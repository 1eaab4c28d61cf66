//! A lock that is contended for is granted again and again, whatever happens.

use std::time::Duration;

/// The longest time without a grant between two points, of grants in any order; and when it began, after `from`.
pub(crate) fn longest(from: u64, until: u64, grants: impl IntoIterator<Item = u64>) -> (Duration, Duration) {
    let mut points: Vec<_> = grants.into_iter().filter(|grant| (from..=until).contains(grant)).collect();
    points.extend([from, until]);
    points.sort_unstable();
    let gaps = points.windows(2).map(|pair| (pair[1] - pair[0], pair[0] - from));
    let (longest, begin) = gaps.max().unwrap_or_default();
    (Duration::from_nanos(longest), Duration::from_nanos(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos((longest, begin): (Duration, Duration)) -> (u128, u128) {
        (longest.as_nanos(), begin.as_nanos())
    }

    #[test]
    fn gaps_at_the_beginning_in_the_middle_and_at_the_end_are_seen() {
        assert_eq!(nanos(longest(0, 100, [60, 70])), (60, 0));
        assert_eq!(nanos(longest(0, 100, [80, 10])), (70, 10));
        assert_eq!(nanos(longest(0, 100, [30, 40])), (60, 40));
        assert_eq!(nanos(longest(0, 100, [])), (100, 0));
    }

    #[test]
    fn grants_outside_of_the_time_in_question_do_not_count() {
        assert_eq!(nanos(longest(50, 100, [10, 85, 300])), (35, 0));
    }
}
