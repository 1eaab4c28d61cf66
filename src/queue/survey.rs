//! Reading a list of a queue: who contends, who is foreign, whom to wait for.

use crate::name::Sequence;

/// A queue as listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The contenders' numbers: ascending, the head first, from [`sort_children`], and in any order from [`read_children`].
    pub contenders: Vec<Sequence>,
    /// How many nodes are not contenders of this library.
    pub foreign: usize,
    /// One of the foreign names, to tell people.
    pub foreign_example: Option<String>,
}

/// Reads the names of a queue's children. Foreign names are counted and otherwise ignored: they never block anybody.
pub fn read_children(names: &[String]) -> Survey {
    let mut survey = Survey { contenders: Vec::with_capacity(names.len()), ..Survey::default() };
    for name in names {
        match Sequence::of_node(name) {
            Some(sequence) => survey.contenders.push(sequence),
            None => {
                survey.foreign += 1;
                survey.foreign_example.get_or_insert_with(|| name.chars().take(60).collect());
            }
        }
    }
    survey
}

/// The same in the order of the queue, for whoever needs to know more than who is ahead: sorting a long list costs more than
/// reading it.
pub fn sort_children(names: &[String]) -> Survey {
    let mut survey = read_children(names);
    survey.contenders.sort_unstable();
    survey
}

/// The nearest contender ahead that keeps `own` from holding the lock: of those who share it, only an exclusive one. `share` is a
/// contender of the same owner, who gives it up for `own`. `Err` if `own` is not in the list.
pub(super) fn nearest_ahead(
    contenders: &[Sequence],
    own: Sequence,
    share: Option<Sequence>,
) -> Result<Option<Sequence>, NotListed> {
    if !contenders.contains(&own) {
        return Err(NotListed);
    }
    let is_in_the_way =
        |other: &Sequence| *other < own && Some(*other) != share && (own.is_exclusive() || other.is_exclusive());
    Ok(contenders.iter().copied().filter(is_in_the_way).max())
}

/// How many permits `own` and all contenders ahead of it want, together. `Err` if `own` is not in the list.
pub(super) fn permits_wanted(contenders: &[Sequence], own: Sequence) -> Result<u64, NotListed> {
    if !contenders.contains(&own) {
        return Err(NotListed);
    }
    let up_to_own = contenders.iter().filter(|&&other| other <= own);
    Ok(up_to_own.filter_map(|other| other.permits()).map(u64::from).sum())
}

/// The own node is missing in a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotListed;

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::name::Mode;

    fn numbers(of: &[i32]) -> Vec<Sequence> {
        of.iter().copied().map(Sequence::from).collect()
    }

    #[test]
    fn foreign_nodes_are_counted_and_never_block() {
        let names = ["config", "lock-0000000007", "0", "lock-12", "lock-0000000003", "_c_1-lock-0000000001"];
        let names = names.map(str::to_owned);
        assert_eq!(read_children(&names).contenders, numbers(&[7, 3]), "as they were listed");
        let survey = sort_children(&names);
        assert_eq!(survey.contenders, numbers(&[3, 7]));
        assert_eq!((survey.foreign, survey.foreign_example.as_deref()), (4, Some("config")));
    }

    #[test]
    fn nearest_ahead_is_numeric_and_needs_the_own_node() {
        let contenders = numbers(&[1_000_000_000, 999_999_999, 5]);
        assert_eq!(nearest_ahead(&contenders, 1_000_000_000.into(), None), Ok(Some(999_999_999.into())));
        assert_eq!(nearest_ahead(&contenders, 999_999_999.into(), None), Ok(Some(5.into())));
        assert_eq!(nearest_ahead(&contenders, 5.into(), None), Ok(None));
        assert_eq!(nearest_ahead(&contenders, 6.into(), None), Err(NotListed));
    }

    #[test]
    fn who_shares_waits_for_the_nearest_exclusive_one_and_who_does_not_for_anybody() {
        let shared = |number| Sequence::new(number, Mode::Shared);
        let contenders = [shared(1), 2.into(), shared(3), shared(4), 5.into(), 6.into()];
        assert_eq!(nearest_ahead(&contenders, shared(1), None), Ok(None));
        assert_eq!(nearest_ahead(&contenders, 2.into(), None), Ok(Some(shared(1))));
        assert_eq!(nearest_ahead(&contenders, shared(4), None), Ok(Some(2.into())));
        assert_eq!(nearest_ahead(&contenders, 5.into(), None), Ok(Some(shared(4))));
        assert_eq!(nearest_ahead(&contenders, 6.into(), None), Ok(Some(5.into())));
        assert_eq!(nearest_ahead(&contenders, 4.into(), None), Err(NotListed), "of another mode it is another's");
    }

    #[test]
    fn who_has_a_share_already_does_not_wait_for_it_and_for_everybody_else() {
        let shared = |number| Sequence::new(number, Mode::Shared);
        let ahead = |contenders: &[Sequence]| nearest_ahead(contenders, 5.into(), Some(shared(3)));
        assert_eq!(ahead(&[shared(3), 5.into(), shared(6), 7.into()]), Ok(None));
        assert_eq!(ahead(&[shared(2), shared(3), 5.into()]), Ok(Some(shared(2))));
        assert_eq!(ahead(&[shared(3), shared(4), 5.into()]), Ok(Some(shared(4))));
        assert_eq!(ahead(&[3.into(), 5.into()]), Ok(Some(3.into())), "of another mode it is another's");
    }

    #[test]
    fn permits_are_wanted_by_those_ahead_and_the_own_contender_and_by_nobody_else() {
        let wants = |number, count| Sequence::new(number, Mode::Permits(NonZeroU32::new(count).expect("some")));
        let contenders = [wants(3, 2), wants(1, 4), 2.into(), wants(7, 1), wants(9, u32::MAX), wants(10, u32::MAX)];
        assert_eq!(permits_wanted(&contenders, wants(1, 4)), Ok(4));
        assert_eq!(permits_wanted(&contenders, wants(7, 1)), Ok(7), "a foreign node wants none");
        assert_eq!(permits_wanted(&contenders, wants(10, u32::MAX)), Ok(7 + 2 * u64::from(u32::MAX)));
        assert_eq!(permits_wanted(&contenders, wants(7, 2)), Err(NotListed), "wanting more, it is another's");
    }
}
