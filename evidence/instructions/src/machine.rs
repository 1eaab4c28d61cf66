//! The lives of contenders, as the driver would tell them to the machine.

use std::collections::VecDeque;
use std::hint::black_box;
use std::num::NonZeroU32;

use fairlock::FencingToken;
use fairlock::queue::{Event, Limits, Machine, Mode, Patience, Sequence, read_children};
use fairlock::store::{Entered, Neighbours, OwnNode};

use crate::operations::Work;

/// Entering alone, and releasing.
pub(crate) fn cycle() -> Work {
    Box::new(|| {
        let mut machine = machine();
        tell(&mut machine, entered(7.into(), Neighbours::None));
        tell(&mut machine, Event::OwnWatchPlaced);
        release(&mut machine);
    })
}

/// The last of so many, whose predecessor is not the number before its own: from entering over a survey and the baton to the end.
pub(crate) fn waiter(listed: i32) -> Work {
    let names = names(listed, |_| Mode::Exclusive);
    let own = Sequence::from(listed - 1);
    Box::new(move || {
        let mut machine = surveying(own);
        tell(&mut machine, Event::Surveyed(read_children(black_box(&names)).contenders));
        tell(&mut machine, Event::WatchPlaced);
        tell(&mut machine, Event::PredecessorReleased { continuous: true });
        release(&mut machine);
    })
}

/// The holder leaves and the next one is granted, while so many wait.
pub(crate) fn hand_over(waiting: i32) -> Work {
    let waiter = |number| {
        let mut machine = machine();
        tell(&mut machine, entered(Sequence::from(number), Neighbours::Some));
        tell(&mut machine, Event::OwnWatchPlaced);
        tell(&mut machine, Event::WatchPlaced);
        machine
    };
    // The holder, and one more, since work is done once before it is counted.
    let mut queue: VecDeque<_> = (1..=waiting + 2).map(waiter).collect();
    tell(&mut queue[0], Event::PredecessorReleased { continuous: true });
    Box::new(move || {
        release(&mut queue[0]);
        queue.pop_front();
        tell(&mut queue[0], Event::PredecessorReleased { continuous: true });
        assert!(queue[0].is_held());
    })
}

/// A list of writers is read and looked through.
pub(crate) fn survey(listed: i32) -> Work {
    survey_by(Sequence::from(listed - 1), names(listed, |_| Mode::Exclusive))
}

/// The same by a reader, in a queue in which every tenth is a writer.
pub(crate) fn readers_survey(listed: i32) -> Work {
    survey_by(Sequence::new(listed - 1, Mode::Shared), names(listed, mixed))
}

/// The same by a writer, in such a queue.
pub(crate) fn writers_survey(listed: i32) -> Work {
    survey_by(Sequence::from(listed), with(names(listed, mixed), Sequence::from(listed)))
}

fn mixed(number: i32) -> Mode {
    if number % 10 == 0 { Mode::Exclusive } else { Mode::Shared }
}

fn survey_by(own: Sequence, names: Vec<String>) -> Work {
    let before = surveying(own);
    Box::new(move || {
        let mut machine = before.clone();
        tell(&mut machine, Event::Surveyed(read_children(black_box(&names)).contenders));
        assert!(machine.waiting_for().is_some());
    })
}

/// A list of contenders for permits is read and added up; they suffice for all but the last.
pub(crate) fn permits_survey(listed: i32) -> Work {
    let one = Mode::Permits(NonZeroU32::MIN);
    let names = names(listed, |_| one);
    let permits = listed.unsigned_abs() - 1;
    let mut before = machine();
    tell(&mut before, entered(Sequence::new(listed - 1, one), Neighbours::Unknown));
    tell(&mut before, Event::OwnWatchPlaced);
    Box::new(move || {
        let mut machine = before.clone();
        let contenders = read_children(black_box(&names)).contenders;
        tell(&mut machine, Event::RoomSurveyed { contenders, permits: Some(permits) });
        assert!(machine.is_awaiting_room());
    })
}

/// The reply to entering is lost with the connection. Two nodes of the attempt are found; the first of them waits, and is granted by
/// a survey.
pub(crate) fn recovery() -> Work {
    let names = names(8, |_| Mode::Exclusive);
    let own = [Sequence::from(6).node_name()];
    Box::new(move || {
        let mut machine = machine();
        tell(&mut machine, Event::Suspended);
        tell(&mut machine, Event::Unknown);
        tell(&mut machine, Event::Resumed);
        tell(&mut machine, Event::Recovered(vec![node(7.into()), node(6.into())]));
        tell(&mut machine, Event::OwnWatchPlaced);
        tell(&mut machine, Event::Surveyed(read_children(black_box(&names)).contenders));
        tell(&mut machine, Event::WatchPlaced);
        tell(&mut machine, Event::PredecessorGone);
        tell(&mut machine, Event::Surveyed(read_children(black_box(&own)).contenders));
        release(&mut machine);
    })
}

/// Asks for a list, its own watch in place, after its predecessor turned out to be gone.
fn surveying(own: Sequence) -> Machine {
    let mut machine = machine();
    tell(&mut machine, entered(own, Neighbours::Some));
    tell(&mut machine, Event::OwnWatchPlaced);
    if machine.waiting_for().is_some() {
        tell(&mut machine, Event::WatchMissing);
    }
    machine
}

fn release(machine: &mut Machine) {
    assert!(machine.is_held());
    tell(machine, Event::Release);
    tell(machine, Event::Left);
    assert!(machine.is_finished());
}

fn tell(machine: &mut Machine, event: Event) {
    black_box(machine.handle(black_box(event)));
}

fn machine() -> Machine {
    Machine::new(black_box(Patience::Wait), Limits::default())
}

fn node(sequence: Sequence) -> OwnNode {
    OwnNode { sequence, token: FencingToken::from(i64::from(sequence.as_i32()) + 100) }
}

fn entered(sequence: Sequence, neighbours: Neighbours) -> Event {
    let OwnNode { sequence, token } = node(sequence);
    Event::Entered(Entered { sequence, token, neighbours })
}

/// So many names from 0 on, in an order that is none, as a server lists them.
fn names(count: i32, mode: impl Fn(i32) -> Mode) -> Vec<String> {
    // Has no factor in common with the counts, so that each number comes once.
    const STRIDE: i32 = 7_919;
    (0..count)
        .map(|place| place * STRIDE % count)
        .map(|number| Sequence::new(number, mode(number)).node_name())
        .collect()
}

fn with(mut names: Vec<String>, another: Sequence) -> Vec<String> {
    names.push(another.node_name());
    names
}
