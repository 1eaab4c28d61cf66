//! Medians, spreads and ratios of figures that were taken in turn.
//!
//! Contenders are measured in rounds, each round all of them one after the other, since a shared machine is quick in
//! one minute and slow in the next. So the ratio of two contenders is the median of the ratios within each round,
//! not the ratio of two medians: what slows a whole round down cancels out.

use std::time::Duration;

/// The figures of one contender, a figure a round.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Rounds(Vec<f64>);

impl Rounds {
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time.as_secs_f64());
    }

    /// In seconds.
    pub(crate) fn median(&self) -> Option<f64> {
        median(&self.0)
    }

    pub(crate) fn least(&self) -> Option<f64> {
        self.0.iter().copied().reduce(f64::min)
    }

    pub(crate) fn most(&self) -> Option<f64> {
        self.0.iter().copied().reduce(f64::max)
    }

    /// How many times as long as the other, as the median over the rounds that both have.
    pub(crate) fn ratio_to(&self, other: &Self) -> Option<f64> {
        let ratios: Vec<_> =
            self.0.iter().zip(&other.0).filter(|(_, other)| **other > 0.0).map(|(own, other)| own / other).collect();
        median(&ratios)
    }
}

impl FromIterator<Duration> for Rounds {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        Self(times.into_iter().map(|time| time.as_secs_f64()).collect())
    }
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        count if count % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// The middle time of several.
pub(crate) fn median_time(times: &[Duration]) -> Option<Duration> {
    times.iter().copied().collect::<Rounds>().median().map(Duration::from_secs_f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(millis: &[u64]) -> Rounds {
        millis.iter().copied().map(Duration::from_millis).collect()
    }

    fn close(a: Option<f64>, b: f64) {
        assert!((a.expect("a figure") - b).abs() < 1e-9, "{a:?} is not {b}");
    }

    #[test]
    fn a_median_is_the_middle_one_or_between_two() {
        close(median(&[3.0, 1.0, 100.0]), 3.0);
        close(median(&[4.0, 1.0, 2.0, 100.0]), 3.0);
        assert_eq!(median(&[]), None);
        close(rounds(&[30, 10, 20]).median(), 0.020);
        assert_eq!(median_time(&[Duration::from_millis(1), Duration::from_millis(3)]), Some(Duration::from_millis(2)));
    }

    #[test]
    fn a_spread_is_the_least_and_the_most() {
        close(rounds(&[30, 10, 20]).least(), 0.010);
        close(rounds(&[30, 10, 20]).most(), 0.030);
        assert_eq!(Rounds::default().least(), None);
    }

    #[test]
    fn a_round_that_was_slow_for_both_does_not_change_a_ratio() {
        close(rounds(&[10, 10, 500]).ratio_to(&rounds(&[20, 20, 1_000])), 0.5);
        // Ratios of medians would say 1 here.
        close(rounds(&[10, 20, 30]).ratio_to(&rounds(&[20, 10, 15])), 2.0);
    }

    #[test]
    fn there_is_no_ratio_to_nothing() {
        assert_eq!(rounds(&[10]).ratio_to(&Rounds::default()), None);
        assert_eq!(rounds(&[10]).ratio_to(&rounds(&[0])), None);
    }
}
