//! What an observer does next, as a pure state machine: events in, actions out; no I/O, no clock, nothing asynchronous.
//!
//! A *look* reads the record, and then the node that it names, and places a watch in each of the two requests. So whatever
//! changes after a look has seen it fires a watch, and a watch that fires leads to another look. A session that ends takes its
//! watches along, so that leads to a look as well.
//!
//! The record counts only if the node lives and has its token. That node was made before the record was written, and a node
//! that is gone never comes back with its token. So a leader whom the second request finds alive led already when the first
//! one read the record: what is told was the whole truth at a moment between the two, at the server that was asked.
//!
//! The model includes this file as it is, so it knows nothing of the rest of the library.

/// What a record says, as far as this has to know it.
pub(super) trait Names: Clone + PartialEq {
    /// What tells a node from all that ever had its name.
    type Token: PartialEq;

    /// The token of the node that it names.
    fn node_token(&self) -> Self::Token;
}

/// What has happened.
#[derive(Clone, Debug)]
pub(super) enum Event<L: Names> {
    /// Somebody asks for news: at the beginning, after each of them, and after the question was dropped or has failed.
    Asked,
    /// The record was read and a watch placed on it; it names somebody, or nobody.
    RecordRead(Option<L>),
    /// The named node was looked for and, if it is there, a watch placed on it; its token.
    NodeSeen(Option<L::Token>),
    /// The record's watch has fired.
    RecordChanged,
    /// The node's watch has fired.
    NodeChanged,
    /// It is time for a look in case an event was missed.
    LookDue,
    /// The session has ended, and with it all watches.
    SessionEnded,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action<L> {
    /// Forget all watches; read the record and watch it, in one request.
    WatchRecord,
    /// Look for the node that this record names and watch it, in one request of the same session.
    WatchNode(L),
    /// Wait for the record's watch, for the node's if somebody leads, for the time of the next look, or for the end of the
    /// session.
    Wait { for_node: bool },
    /// Answer who leads, or that nobody does.
    Tell(Option<L>),
}

/// See the module's doc.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Watching<L> {
    stage: Stage<L>,
    /// What was told last.
    told: Option<Option<L>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage<L> {
    Begins,
    ReadsRecord,
    LooksForNode(L),
    /// What is told is what the last look has seen, and all of that is watched.
    Waits,
}

impl<L: Names> Watching<L> {
    pub(super) fn new() -> Self {
        Self { stage: Stage::Begins, told: None }
    }

    /// What was told last, if anything was.
    pub(super) fn told(&self) -> Option<&Option<L>> {
        self.told.as_ref()
    }

    /// # Panics
    ///
    /// If the event answers nothing that was asked for.
    pub(super) fn handle(&mut self, event: Event<L>) -> Action<L> {
        match (std::mem::replace(&mut self.stage, Stage::Begins), event) {
            (Stage::Waits, Event::Asked) => self.wait(),
            // A look that was dropped or has failed half-way is made again from its beginning.
            (_, Event::Asked | Event::SessionEnded) => self.look(),
            (Stage::Waits, Event::RecordChanged | Event::NodeChanged | Event::LookDue) => self.look(),
            (Stage::ReadsRecord, Event::RecordRead(None)) => self.seen(None),
            (Stage::ReadsRecord, Event::RecordRead(Some(named))) => {
                self.stage = Stage::LooksForNode(named.clone());
                Action::WatchNode(named)
            }
            (Stage::LooksForNode(named), Event::NodeSeen(token)) => {
                // A node of another token is another's: whoever is recorded leads no more.
                let leads = token == Some(named.node_token());
                self.seen(leads.then_some(named))
            }
            (_, Event::RecordRead(_) | Event::NodeSeen(_)) => panic!("an answer to what nobody asked"),
            (_, Event::RecordChanged | Event::NodeChanged | Event::LookDue) => panic!("news of what nobody waits for"),
        }
    }

    fn look(&mut self) -> Action<L> {
        self.stage = Stage::ReadsRecord;
        Action::WatchRecord
    }

    fn seen(&mut self, leader: Option<L>) -> Action<L> {
        if self.told.as_ref() == Some(&leader) {
            return self.wait();
        }
        self.stage = Stage::Waits;
        self.told = Some(leader.clone());
        Action::Tell(leader)
    }

    fn wait(&mut self) -> Action<L> {
        self.stage = Stage::Waits;
        // Of a node that is another's, nobody needs to hear.
        Action::Wait { for_node: matches!(self.told, Some(Some(_))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A token and a payload.
    type Record = (u8, char);

    impl Names for Record {
        type Token = u8;

        fn node_token(&self) -> u8 {
            self.0
        }
    }

    /// An observer that was told of this leader and waits.
    fn waiting(leader: Record) -> Watching<Record> {
        let mut watching = Watching::new();
        assert_eq!(watching.handle(Event::Asked), Action::WatchRecord);
        assert_eq!(watching.handle(Event::RecordRead(Some(leader))), Action::WatchNode(leader));
        assert_eq!(watching.handle(Event::NodeSeen(Some(leader.0))), Action::Tell(Some(leader)));
        assert_eq!(watching.handle(Event::Asked), Action::Wait { for_node: true });
        watching
    }

    #[test]
    fn a_leader_is_told_once_its_node_was_seen() {
        assert_eq!(waiting((7, 'a')).told(), Some(&Some((7, 'a'))));
    }

    #[test]
    fn where_nothing_is_recorded_nobody_leads_and_no_node_is_looked_for() {
        let mut watching = Watching::<Record>::new();
        watching.handle(Event::Asked);
        assert_eq!(watching.handle(Event::RecordRead(None)), Action::Tell(None));
        assert_eq!(watching.handle(Event::Asked), Action::Wait { for_node: false });
    }

    #[test]
    fn a_record_whose_node_is_gone_or_is_anothers_names_nobody() {
        for seen in [None, Some(8)] {
            let mut watching = Watching::new();
            watching.handle(Event::Asked);
            watching.handle(Event::RecordRead(Some((7, 'a'))));
            assert_eq!(watching.handle(Event::NodeSeen(seen)), Action::Tell(None), "{seen:?}");
        }
    }

    #[test]
    fn whatever_wakes_it_leads_to_a_look() {
        for event in [Event::RecordChanged, Event::NodeChanged, Event::LookDue, Event::SessionEnded] {
            assert_eq!(waiting((7, 'a')).handle(event.clone()), Action::WatchRecord, "{event:?}");
        }
    }

    #[test]
    fn a_look_that_shows_nothing_new_is_not_told() {
        let mut watching = waiting((7, 'a'));
        watching.handle(Event::LookDue);
        watching.handle(Event::RecordRead(Some((7, 'a'))));
        assert_eq!(watching.handle(Event::NodeSeen(Some(7))), Action::Wait { for_node: true });
    }

    #[test]
    fn another_payload_another_leader_and_nobody_are_news() {
        let mut watching = waiting((7, 'a'));
        for news in [Some((7, 'b')), Some((9, 'b')), None] {
            assert_eq!(watching.handle(Event::RecordChanged), Action::WatchRecord);
            let mut told = watching.handle(Event::RecordRead(news));
            if let Some((token, _)) = news {
                told = watching.handle(Event::NodeSeen(Some(token)));
            }
            assert_eq!(told, Action::Tell(news));
        }
    }

    #[test]
    fn a_look_that_was_dropped_or_whose_session_ended_begins_anew() {
        for event in [Event::Asked, Event::SessionEnded] {
            let mut watching = Watching::new();
            watching.handle(Event::Asked);
            assert_eq!(watching.handle(event.clone()), Action::WatchRecord);
            watching.handle(Event::RecordRead(Some((7, 'a'))));
            assert_eq!(watching.handle(event), Action::WatchRecord);
        }
    }

    #[test]
    fn a_leader_that_came_and_went_while_nobody_looked_is_not_told() {
        let mut watching = Watching::<Record>::new();
        watching.handle(Event::Asked);
        watching.handle(Event::RecordRead(None));
        watching.handle(Event::RecordChanged);
        watching.handle(Event::RecordRead(Some((7, 'a'))));
        let waits = watching.handle(Event::NodeSeen(None));
        assert_eq!(waits, Action::Wait { for_node: false }, "that nobody leads was told before");
    }

    #[test]
    #[should_panic(expected = "an answer to what nobody asked")]
    fn an_answer_to_nothing_is_a_bug() {
        waiting((7, 'a')).handle(Event::NodeSeen(None));
    }
}
