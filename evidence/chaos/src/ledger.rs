//! What the runner has been told by clients about one lock, and the register that the lock protects.

use std::collections::{BTreeMap, HashMap};

use crate::checks::overlap::Interval;
use crate::register::Register;
use crate::wire::Span;

/// One grant. Client and incarnation belong to it so that one token given twice is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Holder {
    pub(crate) token: i64,
    pub(crate) client: usize,
    pub(crate) incarnation: u64,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) register: Register,
    spans: HashMap<Holder, Span>,
    /// By client; those that were granted at all.
    grants_by_client: BTreeMap<usize, u64>,
    /// Writes whose acceptance a client says that it was told of.
    pub(crate) told: u64,
    /// Losses that a client was told of, by reason.
    pub(crate) losses: BTreeMap<String, u64>,
    /// Acquisitions that were not granted, by reason.
    pub(crate) not_granted: BTreeMap<String, u64>,
}

impl Ledger {
    pub(crate) fn new(fenced: bool) -> Self {
        Self {
            register: Register::new(fenced),
            spans: HashMap::new(),
            grants_by_client: BTreeMap::new(),
            told: 0,
            losses: BTreeMap::new(),
            not_granted: BTreeMap::new(),
        }
    }

    /// Notes what a holder has seen since; spans of one holder only grow.
    pub(crate) fn saw(&mut self, holder: Holder, span: Span) {
        let known = self.spans.entry(holder).or_insert_with(|| {
            *self.grants_by_client.entry(holder.client).or_default() += 1;
            span
        });
        known.valid = known.valid.max(span.valid);
        known.used = known.used.max(span.used);
    }

    pub(crate) fn grants(&self) -> impl Iterator<Item = (Holder, Span)> {
        self.spans.iter().map(|(holder, span)| (*holder, *span))
    }

    pub(crate) fn grant_count(&self) -> usize {
        self.spans.len()
    }

    pub(crate) fn grants_of(&self, client: usize) -> u64 {
        self.grants_by_client.get(&client).copied().unwrap_or_default()
    }

    /// When guards were valid, by the holders' own clocks.
    pub(crate) fn valid(&self) -> impl Iterator<Item = Interval> {
        self.grants()
            .filter_map(|(holder, span)| span.valid.map(|until| Interval { holder, from: span.granted, until }))
    }

    /// When guards were used by holders who did not ask whether they are valid.
    pub(crate) fn used(&self) -> impl Iterator<Item = Interval> {
        self.grants().map(|(holder, span)| Interval { holder, from: span.granted, until: span.used })
    }

    /// The tokens of all guards that were ever valid, in the order of their grants. A client that was stopped between
    /// its grant and the clock cannot tell when it was granted, and finds its guard invalid or the grant still exclusive.
    pub(crate) fn tokens_in_order(&self) -> Vec<i64> {
        let mut valid: Vec<_> = self.valid().map(|interval| (interval.from, interval.holder.token)).collect();
        valid.sort_unstable();
        valid.into_iter().map(|(_, token)| token).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(token: i64) -> Holder {
        Holder { token, client: 0, incarnation: 0 }
    }

    #[test]
    fn a_span_grows_with_what_is_reported_and_never_shrinks() {
        let mut ledger = Ledger::new(true);
        ledger.saw(holder(1), Span { granted: 10, valid: Some(10), used: 10 });
        ledger.saw(holder(1), Span { granted: 10, valid: Some(14), used: 20 });
        ledger.saw(holder(1), Span { granted: 10, valid: Some(12), used: 15 });
        let until = |intervals: Vec<Interval>| intervals.iter().map(|one| (one.from, one.until)).collect::<Vec<_>>();
        assert_eq!(until(ledger.valid().collect()), [(10, 14)]);
        assert_eq!(until(ledger.used().collect()), [(10, 20)]);
        assert_eq!(ledger.grant_count(), 1);
    }

    #[test]
    fn a_guard_that_was_never_valid_claims_nothing() {
        let mut ledger = Ledger::new(true);
        ledger.saw(holder(7), Span { granted: 10, valid: Some(11), used: 12 });
        ledger.saw(holder(5), Span { granted: 20, valid: None, used: 22 });
        ledger.saw(holder(9), Span { granted: 15, valid: Some(15), used: 15 });
        assert_eq!(ledger.tokens_in_order(), [7, 9]);
        assert_eq!(ledger.used().count(), 3);
    }

    #[test]
    fn one_token_given_to_two_clients_is_two_grants() {
        let mut ledger = Ledger::new(true);
        ledger.saw(holder(7), Span { granted: 10, valid: Some(11), used: 12 });
        ledger.saw(Holder { client: 1, ..holder(7) }, Span { granted: 20, valid: Some(21), used: 22 });
        assert_eq!(ledger.tokens_in_order(), [7, 7]);
        assert_eq!((ledger.grants_of(0), ledger.grants_of(1), ledger.grants_of(2)), (1, 1, 0));
    }
}
