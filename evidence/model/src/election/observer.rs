//! The observer's side: what is answered to it, what its next connection tells, and what its core wants.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::World;
use super::servers::note_truth;
use super::state::{Ask, Fired, Note, Observer, Record, Server, Stage, State, Watch};
use super::watching::{Action, Event};
use crate::panics::silently;

impl World {
    /// The observer's request is executed and answered; all events before the reply have arrived.
    pub(super) fn look(&self, state: &mut State) {
        let server = state.observer.link.expect("only a connected observer reads");
        if server == Server::Leader {
            state.observer.seen = u8::try_from(state.pending.len()).expect("few entries");
        }
        for stage in watches(&mut state.observer).into_iter().flatten() {
            if *stage == Stage::Sent {
                *stage = Stage::Arrived;
            }
        }
        let tree = state.tree_at(server).clone();
        match state.observer.ask {
            Some(Ask::Record) => {
                let peeked = state.observer.peeked.take();
                if peeked.is_none() {
                    state.observer.window = vec![tree.truth()];
                }
                state.observer.record = Some(Watch { saw: tree.version, stage: Stage::Placed });
                self.handle(state, Event::RecordRead(peeked.unwrap_or(tree.record.flatten())));
            }
            Some(Ask::Node(number)) => {
                let node = tree.node.filter(|node| node.number == number);
                state.observer.node = node.map(|saw| Watch { saw, stage: Stage::Placed });
                self.handle(state, Event::NodeSeen(node.map(|node| node.token)));
            }
            None => unreachable!("only an observer that asks is answered"),
        }
    }

    /// Watches tell what is different from what they saw.
    pub(super) fn connect(&self, state: &mut State, server: Server) {
        if state.observer.home == Server::Follower && server == Server::Leader {
            // Everything that the follower would still have shown.
            let mut passed = state.follower.clone();
            for change in state.pending.clone() {
                passed.apply(change);
                if !state.observer.window.is_empty() {
                    note_truth(&mut state.observer.window, passed.truth());
                }
            }
        }
        let tree = state.tree_at(server).clone();
        let observer = &mut state.observer;
        (observer.link, observer.home) = (Some(server), server);
        if !self.promises.watches_are_restored {
            return;
        }
        if let Some(watch) = &mut observer.record
            && watch.stage == Stage::Placed
            && watch.saw != tree.version
        {
            watch.stage = Stage::Sent;
        }
        if let Some(watch) = &mut observer.node
            && watch.stage == Stage::Placed
            && Some(watch.saw) != tree.node.filter(|node| node.number == watch.saw.number)
        {
            watch.stage = Stage::Sent;
        }
    }

    /// The core takes an event in, and what it wants is done.
    pub(super) fn handle(&self, state: &mut State, event: Fired) {
        let core = &mut state.observer.core;
        let Ok(mut action) = silently(|| catch_unwind(AssertUnwindSafe(|| core.handle(event)))) else {
            state.note = Some(Note::Panicked);
            return;
        };
        if let Action::Tell(leader) = action {
            self.tell(state, leader);
            action = state.observer.core.handle(Event::Asked);
        }
        let observer = &mut state.observer;
        match action {
            Action::WatchRecord => {
                observer.ask = Some(Ask::Record);
                (observer.record, observer.node, observer.peeked) = (None, None, None);
                observer.window.clear();
            }
            Action::WatchNode(named) => observer.ask = Some(Ask::Node(named.number)),
            Action::Wait { for_node } => {
                (observer.ask, observer.for_node) = (None, for_node);
                observer.window.clear();
            }
            Action::Tell(_) => unreachable!("nothing is told twice for one question"),
        }
        // Of a node that is another's, nobody hears.
        if observer.ask.is_none() && !observer.for_node {
            observer.node = None;
        }
    }

    fn tell(&self, state: &mut State, leader: Option<Record>) {
        let was_true = state.observer.window.contains(&leader);
        let before = state.observer.told.replace(leader);
        state.note = Some(Note::Told { leader, before, was_true });
    }
}

pub(super) fn hear<T>(watch: &mut Option<Watch<T>>) {
    if let Some(watch) = watch {
        watch.stage = Stage::Arrived;
    }
}

pub(super) fn watches(observer: &mut Observer) -> [Option<&mut Stage>; 2] {
    [observer.record.as_mut().map(|watch| &mut watch.stage), observer.node.as_mut().map(|watch| &mut watch.stage)]
}
