//! Two looks, and what they prove.

use fairlock::Identity;

use super::*;

const QUEUE: bool = true;
const TREE: bool = false;

pub(in super::super) fn member(node: i32, holds: bool) -> Member {
    Member {
        place: usize::try_from(node).expect("a place"),
        holds,
        mode: Mode::Exclusive,
        identity: Identity::new(format!("app-{node}")).ok(),
        session: Some(SessionId(i64::from(node))),
        token: i64::from(100 + node).into(),
        since_unix_ms: Some(1_000),
        node: format!("lock-{node:010}"),
    }
}

pub(in super::super) fn seen(members: &[Member]) -> Seen {
    let waiting = members.iter().filter(|member| !member.holds).count();
    let kind = Kind::Lock;
    Seen { path: "/a".into(), kind, members: members.to_vec(), waiting, foreign: 0, foreign_example: None }
}

pub(in super::super) fn look(locks: &[Seen]) -> Look {
    Look { locks: locks.to_vec(), ..Look::default() }
}

pub(in super::super) fn when(at_unix_ms: u64) -> When {
    When { at_unix_ms, since_ms: 1_000 }
}

/// What each look after the first tells; they are a second apart.
fn told(looks: &[Look], lists_waiters: bool) -> Vec<What> {
    let mut sight = Sight::default();
    let mut events = Vec::new();
    for (at, look) in looks.iter().enumerate() {
        events.extend(sight.take(look.clone(), when(10_000 + 1_000 * at as u64), lists_waiters));
    }
    events.into_iter().map(|event| event.what).collect()
}

#[test]
fn the_first_look_is_no_change() {
    assert_eq!(told(&[look(&[seen(&[member(1, true), member(2, false)])])], QUEUE), []);
}

#[test]
fn a_hand_over_is_the_leaving_of_one_and_the_grant_of_the_next() {
    let looks = [
        look(&[seen(&[member(1, true), member(2, false), member(3, false)])]),
        look(&[seen(&[member(1, true), member(2, false), member(3, false)])]),
        look(&[seen(&[member(2, true), member(3, false)])]),
        look(&[seen(&[])]),
    ];
    let expected = [
        What::Left { who: member(1, true), held_ms: Some(2_000) },
        What::Granted { who: member(2, true), within_ms: Some(1_000) },
        What::Left { who: member(2, true), held_ms: Some(1_000) },
        What::Left { who: member(3, false), held_ms: None },
    ];
    assert_eq!(told(&looks, QUEUE), expected);
}

#[test]
fn who_enters_is_told_with_those_that_wait_ahead() {
    let before = look(&[seen(&[member(1, true)])]);
    let after = look(&[seen(&[member(1, true), member(2, false), member(3, false)])]);
    let entered = |node, ahead| What::Entered { who: member(node, false), ahead };
    assert_eq!(told(&[before, after], QUEUE), [entered(2, 0), entered(3, 1)]);
}

#[test]
fn a_lock_that_nobody_held_is_granted_without_a_hand_over() {
    let looks = [look(&[]), look(&[seen(&[member(1, true)])])];
    assert_eq!(told(&looks, QUEUE), [What::Granted { who: member(1, true), within_ms: None }]);
}

#[test]
fn a_node_of_the_same_name_in_a_queue_made_anew_is_another() {
    let anew = Member { token: 900.into(), session: Some(SessionId(9)), ..member(1, true) };
    let looks = [look(&[seen(&[member(1, true)])]), look(&[seen(std::slice::from_ref(&anew))])];
    let told = told(&looks, QUEUE);
    assert_eq!(told[0], What::Left { who: member(1, true), held_ms: Some(1_000) });
    assert!(matches!(&told[1], What::Granted { who, .. } if *who == anew), "{told:?}");
}

#[test]
fn all_that_a_session_had_is_told_as_one_and_each() {
    let of_session = |node, holds| Member { session: Some(SessionId(7)), ..member(node, holds) };
    let other = Seen { path: "/b".into(), ..seen(&[of_session(4, true)]) };
    let before = look(&[seen(&[of_session(1, true), member(2, false)]), other.clone()]);
    let after = look(&[seen(&[member(2, true)]), Seen { members: vec![], ..other.clone() }]);
    let events = told(&[before.clone(), after], QUEUE);
    assert_eq!(events[0], What::SessionLeft { session: SessionId(7), nodes: 2 });
    assert_eq!(events.iter().filter(|what| matches!(what, What::Left { .. })).count(), 2);
    assert!(matches!(events.last(), Some(What::Granted { .. })), "{events:?}");

    let one_left = look(&[seen(&[member(2, true)]), other]);
    let events = told(&[before, one_left], QUEUE);
    assert!(!events.iter().any(|what| matches!(what, What::SessionLeft { .. })), "it has the other: {events:?}");
}

#[test]
fn who_gets_its_turn_for_permits_neither_leaves_nor_enters() {
    let waits = Member { mode: Mode::Permits(None), ..member(3, false) };
    let next = Member {
        mode: Mode::Permits(Some(2)),
        token: 500.into(),
        node: "permits-2-0000000001".into(),
        ..waits.clone()
    };
    let granted = Member { holds: true, ..next.clone() };
    let semaphore = |member: Member| look(&[Seen { kind: Kind::Semaphore(Some(2)), ..seen(&[member]) }]);
    assert_eq!(told(&[semaphore(waits.clone()), semaphore(next.clone())], QUEUE), []);
    let events = told(&[semaphore(waits.clone()), semaphore(granted.clone())], QUEUE);
    assert_eq!(events, [What::Granted { who: granted.clone(), within_ms: None }]);

    let hidden = |member: Member| semaphore(Member { identity: None, since_unix_ms: None, ..member });
    let events = told(&[hidden(waits), hidden(next)], QUEUE);
    assert_eq!(events.len(), 2, "of those that may not be read, nobody knows who is the same: {events:?}");
}

#[test]
fn a_writer_that_becomes_a_reader_is_told() {
    let reader = Member { mode: Mode::Shared, token: 300.into(), node: "read-0000000001".into(), ..member(1, true) };
    let looks = [look(&[seen(&[member(1, true)])]), look(&[seen(std::slice::from_ref(&reader))])];
    assert_eq!(told(&looks, QUEUE), [What::Downgraded { who: reader.clone() }]);

    let mut sight = Sight::default();
    for (at, look) in looks.into_iter().enumerate() {
        sight.take(look, when(1_000 + at as u64), QUEUE);
    }
    let since_first = Held { since_unix_ms: 1_000, at_least: true };
    assert_eq!(sight.held(&seen(&[]), &reader), Some(since_first), "it has held on");
}

#[test]
fn who_is_let_in_beside_those_that_hold_on_was_handed_nothing() {
    let reader = |node, holds| Member { mode: Mode::Shared, ..member(node, holds) };
    let looks = [
        look(&[seen(&[reader(1, true), member(2, false), reader(3, false)])]),
        look(&[seen(&[reader(1, true), reader(3, true)])]),
    ];
    let events = told(&looks, QUEUE);
    assert!(events.contains(&What::Granted { who: reader(3, true), within_ms: None }), "{events:?}");
    let nobody_waited = [look(&[seen(&[member(1, true)])]), look(&[seen(&[member(2, true)])])];
    let events = told(&nobody_waited, TREE);
    assert!(events.contains(&What::Granted { who: member(2, true), within_ms: None }), "{events:?}");
}

#[test]
fn what_cannot_be_seen_any_more_has_not_gone() {
    let at = |path: &str, node| Seen { path: path.to_owned(), ..seen(&[member(node, true)]) };
    let denied = |path: &str| Look { unreadable: vec![(path.to_owned(), "denied".to_owned())], ..look(&[at("/b", 9)]) };
    let before = look(&[at("/a", 1), at("/a/b", 2), at("/b", 9)]);
    assert_eq!(told(&[before.clone(), denied("/a"), before.clone()], TREE), []);
    assert_eq!(told(&[denied("/a"), before.clone()], TREE), [], "nor come what could not be seen");
    let held_by_another = look(&[at("/a", 3), at("/a/b", 2), at("/b", 9)]);
    let events = told(&[before.clone(), denied("/a"), held_by_another], TREE);
    assert_eq!(events[0], What::Left { who: member(1, true), held_ms: Some(2_000) }, "as soon as that can be seen");
    let events = told(&[before.clone(), denied("/a/_fairlock")], TREE);
    assert_eq!(events, [What::Left { who: member(2, true), held_ms: Some(1_000) }], "what is below is another's");
    let cut = Look { is_cut: true, ..look(&[]) };
    assert_eq!(told(&[before.clone(), cut, before], TREE), []);
}

#[test]
fn long_queues_are_compared() {
    let crowd = |numbers: std::ops::Range<i32>| seen(&numbers.map(|node| member(node, false)).collect::<Vec<_>>());
    let events = told(&[look(&[crowd(0..40_000)]), look(&[crowd(20_000..60_000)])], QUEUE);
    assert_eq!(events.len(), 40_000);
}

#[test]
fn where_only_holders_are_listed_the_number_that_waits_is_told() {
    let tree = |holder, waiting| look(&[Seen { waiting, ..seen(&[member(holder, true)]) }]);
    let events = told(&[tree(1, 2), tree(1, 5), tree(2, 4)], TREE);
    let expected = [
        What::Waiting { from: 2, to: 5 },
        What::Left { who: member(1, true), held_ms: Some(2_000) },
        What::Granted { who: member(2, true), within_ms: Some(1_000) },
        What::Waiting { from: 5, to: 4 },
    ];
    assert_eq!(events, expected);
}

#[test]
fn another_number_of_permits_is_told() {
    let of = |permits| look(&[Seen { kind: Kind::Semaphore(permits), ..seen(&[member(1, true)]) }]);
    assert_eq!(told(&[of(Some(3)), of(Some(5))], QUEUE), [What::Permits { from: Some(3), to: Some(5) }]);
}

#[test]
fn how_long_somebody_has_held_is_counted_from_where_it_was_seen() {
    let mut sight = Sight::default();
    let (one, two) = (seen(&[member(1, true), member(2, false)]), seen(&[member(2, true)]));
    sight.take(look(std::slice::from_ref(&one)), when(1_000), QUEUE);
    assert_eq!(sight.held(&one, &member(1, true)), Some(Held { since_unix_ms: 1_000, at_least: true }));
    assert_eq!(sight.held(&one, &member(2, false)), None);
    sight.take(look(std::slice::from_ref(&two)), when(3_000), QUEUE);
    assert_eq!(sight.held(&two, &member(2, true)), Some(Held { since_unix_ms: 3_000, at_least: false }));
    assert_eq!(sight.held(&one, &member(1, true)), None, "forgotten");
}
