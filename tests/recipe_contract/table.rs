//! Which promise holds for which kind, and where not, why not.

use super::kinds::ALL;

/// Hands the table to a macro that makes one test of each promise and kind.
macro_rules! promises {
    ($cases:ident) => {
        $cases! {
            waiters_are_granted_in_the_order_in_which_they_came {
                mutex, writer, leader, multi_lock, reentrant, folded, one_permit, several_permits, behind_the_trait;
                reader: "those behind one writer are let in together"
            }
            tokens_rise_from_grant_to_grant {
                mutex, writer, reader, leader, multi_lock, reentrant, folded, one_permit, several_permits,
                behind_the_trait;
            }
            a_waiting_writer_is_not_overtaken_by_later_readers {
                mutex, writer, leader, multi_lock, reentrant, folded, behind_the_trait;
                reader: "it shares with the others",
                one_permit: "permits are in a queue of their own",
                several_permits: "permits are in a queue of their own"
            }
            whoever_wants_several_is_not_overtaken_by_those_who_want_one {
                several_permits;
                mutex: "it wants one thing",
                writer: "it wants one thing",
                reader: "it wants one thing",
                leader: "it wants one thing",
                multi_lock: "it waits for one lock after the other: not fair as a whole, as its docs say",
                reentrant: "it wants one thing",
                folded: "it wants one thing",
                one_permit: "it wants one thing",
                behind_the_trait: "it wants one thing"
            }
            a_holder_keeps_out_whom_it_should_and_nobody_else {
                mutex, writer, reader, leader, multi_lock, reentrant, folded, one_permit, several_permits,
                behind_the_trait;
            }
            as_many_hold_at_once_as_may_and_no_more {
                mutex, writer, reader, leader, multi_lock, reentrant, folded, one_permit, several_permits,
                behind_the_trait;
            }
            a_second_acquisition_by_the_same_handle_waits_for_the_first {
                mutex, writer, leader, multi_lock, several_permits, behind_the_trait;
                reader: "it shares with itself as well",
                reentrant: "to take it again is what it is for",
                folded: "the second waits in the process, without a node: folded.rs of the recipes",
                one_permit: "there is another permit"
            }
            all_are_held_or_none {
                multi_lock, several_permits;
                mutex: "it has no parts",
                writer: "it has no parts",
                reader: "it has no parts",
                leader: "it has no parts",
                reentrant: "it has no parts",
                folded: "it has no parts",
                one_permit: "it has no parts",
                behind_the_trait: "it has no parts"
            }
            the_end_of_the_session_is_told_and_the_next_is_granted {
                mutex, writer, reader, leader, multi_lock, reentrant, folded, one_permit, several_permits,
                behind_the_trait;
            }
            a_holder_that_is_cut_off_knows_before_the_next_is_granted {
                mutex, writer, reader, leader, multi_lock, reentrant, folded, one_permit, several_permits,
                behind_the_trait;
            }
            a_holder_that_is_removed_is_told_and_the_next_is_granted {
                mutex, writer, reader, leader, multi_lock, reentrant, folded, one_permit, several_permits,
                behind_the_trait;
            }
            a_release_after_the_loss_says_so_and_harms_nobody {
                mutex, writer, reader, leader, multi_lock, reentrant, folded, one_permit, several_permits,
                behind_the_trait;
            }
            a_closed_handle_loses_what_it_holds_and_fails_what_waits {
                mutex, writer, reader, leader, multi_lock, reentrant, folded, one_permit, several_permits,
                behind_the_trait;
            }
            work_under_protection_is_dropped_with_the_loss {
                mutex, writer, reader, leader, multi_lock, reentrant, folded, one_permit, several_permits;
                behind_the_trait: "the trait is object-safe and has no protect"
            }
            a_hold_ends_when_its_time_has_passed {
                mutex, writer, reader, leader, one_permit, several_permits;
                multi_lock: "it takes no options",
                reentrant: "it takes no options",
                folded: "it takes no options",
                behind_the_trait: "it takes no options"
            }
            a_hold_dropped_anywhere_is_released {
                mutex, writer, reader, leader, multi_lock, reentrant, folded, one_permit, several_permits,
                behind_the_trait;
            }
            a_hold_may_be_released_by_another_task_and_runtime {
                mutex, writer, reader, leader, multi_lock, reentrant, folded, one_permit, several_permits,
                behind_the_trait;
            }
            a_wait_that_is_dropped_leaves_nothing_and_lets_those_behind_in {
                mutex, writer, reader, leader, multi_lock, reentrant, folded, one_permit, several_permits,
                behind_the_trait;
            }
            an_acquisition_dropped_at_any_point_leaves_nothing {
                mutex, writer, reader, leader, multi_lock, reentrant, folded, one_permit, several_permits,
                behind_the_trait;
            }
            a_try_does_not_wait_and_leaves_nothing {
                mutex, writer, reader, multi_lock, reentrant, one_permit, several_permits, behind_the_trait;
                leader: "an election has no try",
                folded: "it has no try"
            }
            a_timed_wait_ends_in_time_and_leaves_nothing {
                mutex, writer, reader, leader, multi_lock, folded, one_permit, several_permits, behind_the_trait;
                reentrant: "it has no timed form: whoever needs one drops the future, as elsewhere in this table"
            }
            one_time_limit_covers_the_whole_wait {
                mutex, writer, reader, leader, multi_lock, folded, one_permit, several_permits, behind_the_trait;
                reentrant: "it has no timed form: whoever needs one drops the future, as elsewhere in this table"
            }
            a_bad_path_is_refused_at_once {
                mutex, writer, reader, leader, multi_lock, reentrant, folded, one_permit, several_permits,
                behind_the_trait;
            }
            contenders_are_listed_in_their_order_with_who_they_are {
                mutex, writer, reader, leader, multi_lock, reentrant, folded, one_permit, several_permits,
                behind_the_trait;
            }
            a_waiter_that_is_removed_is_told_and_the_others_keep_their_places {
                mutex, writer, reader, leader, multi_lock, reentrant, folded, one_permit, several_permits,
                behind_the_trait;
            }
            a_waiter_whose_session_ends_is_told_and_those_behind_are_granted {
                mutex, writer, reader, leader, multi_lock, reentrant, folded, one_permit, several_permits,
                behind_the_trait;
            }
            foreign_nodes_block_nobody_and_are_left_alone {
                mutex, writer, reader, leader, multi_lock, reentrant, folded, one_permit, several_permits,
                behind_the_trait;
            }
            a_short_interruption_costs_no_hold_and_no_place {
                mutex, writer, reader, leader, multi_lock, reentrant, folded, one_permit, several_permits,
                behind_the_trait;
            }
            a_lost_reply_to_entering_leaves_one_place {
                mutex, writer, reader, leader, multi_lock, reentrant, folded, one_permit, several_permits,
                behind_the_trait;
            }
            a_release_whose_reply_is_lost_spares_the_newer_holds_of_its_process {
                mutex, writer, reader, leader, multi_lock, reentrant, folded, one_permit, several_permits,
                behind_the_trait;
            }
            whoever_has_lost_it_waits_anew_behind_the_others {
                mutex, writer, reader, leader, multi_lock, reentrant, folded, one_permit, several_permits,
                behind_the_trait;
            }
            a_waiter_cut_off_past_its_session_is_never_granted {
                mutex, writer, reader, leader, multi_lock, reentrant, folded, one_permit, several_permits,
                behind_the_trait;
            }
            a_release_while_cut_off_is_carried_out_after_the_reconnect {
                mutex, writer, reader, leader, multi_lock, reentrant, folded, one_permit, several_permits,
                behind_the_trait;
            }
            a_time_limit_holds_while_no_server_answers {
                mutex, writer, reader, leader, multi_lock, folded, one_permit, several_permits, behind_the_trait;
                reentrant: "it has no timed form: whoever needs one drops the future, as elsewhere in this table"
            }
        }
    };
}

pub(crate) use promises;

struct Row {
    promise: &'static str,
    kinds: &'static [&'static str],
    except: &'static [(&'static str, &'static str)],
}

macro_rules! rows {
    ($($promise:ident { $($kind:ident),+; $($other:ident: $why:literal),* })+) => {
        const TABLE: &[Row] = &[$(Row {
            promise: stringify!($promise),
            kinds: &[$(stringify!($kind)),+],
            except: &[$((stringify!($other), $why)),*],
        }),+];
    };
}

promises!(rows);

#[test]
fn each_promise_names_each_kind_once_and_says_why_where_it_does_not_hold() {
    for Row { promise, kinds, except } in TABLE {
        let mut named: Vec<_> = kinds.iter().chain(except.iter().map(|(kind, _)| kind)).copied().collect();
        let mut all: Vec<_> = ALL.iter().map(|kind| kind.name).collect();
        named.sort_unstable();
        all.sort_unstable();
        assert_eq!(named, all, "{promise}");
        assert!(except.iter().all(|(_, why)| !why.is_empty()), "{promise}");
    }
}
