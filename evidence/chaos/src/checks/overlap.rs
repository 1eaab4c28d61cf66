//! No two guards of a lock are valid at the same time.

use crate::ledger::Holder;

/// A time during which a holder could rely on a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) holder: Holder,
    pub(crate) from: u64,
    pub(crate) until: u64,
}

/// Pairs that overlap. An interval is compared with the one of those before that ends last; that finds at least one
/// partner for every interval that has any before it.
pub(crate) fn among(intervals: impl IntoIterator<Item = Interval>) -> Vec<(Interval, Interval)> {
    let mut intervals: Vec<_> = intervals.into_iter().collect();
    intervals.sort_unstable_by_key(|interval| (interval.from, interval.until));
    let mut found = Vec::new();
    let mut latest: Option<Interval> = None;
    for interval in intervals {
        if let Some(latest) = latest.filter(|latest| interval.from < latest.until) {
            found.push((latest, interval));
        }
        latest = latest.filter(|latest| latest.until > interval.until).or(Some(interval));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(token: i64, from: u64, until: u64) -> Interval {
        Interval { holder: Holder { token, client: 0, incarnation: 0 }, from, until }
    }

    fn tokens(intervals: &[(i64, u64, u64)]) -> Vec<(i64, i64)> {
        let intervals = intervals.iter().map(|(token, from, until)| interval(*token, *from, *until));
        among(intervals).into_iter().map(|(one, other)| (one.holder.token, other.holder.token)).collect()
    }

    #[test]
    fn partial_overlap_is_flagged_in_whatever_order_it_was_reported() {
        assert_eq!(tokens(&[(1, 10, 20), (2, 19, 30)]), [(1, 2)]);
        assert_eq!(tokens(&[(2, 19, 30), (1, 10, 20)]), [(1, 2)]);
    }

    #[test]
    fn a_long_interval_is_compared_with_all_that_begin_in_it() {
        assert_eq!(tokens(&[(1, 10, 100), (2, 20, 30), (3, 40, 50), (4, 100, 110)]), [(1, 2), (1, 3)]);
    }

    #[test]
    fn two_intervals_of_the_same_time_are_flagged() {
        assert_eq!(tokens(&[(1, 10, 20), (2, 10, 20)]), [(1, 2)]);
    }

    #[test]
    fn one_after_the_other_is_not_flagged_even_if_they_touch() {
        assert_eq!(tokens(&[(2, 20, 30), (1, 10, 20), (3, 31, 31)]), []);
        assert_eq!(tokens(&[]), []);
    }
}
