//! What may happen next in an election's world, and what follows from it.

use stateright::{Model, Property};

use super::observer::{hear, watches};
use super::state::{Ask, CANDIDATES, Change, Node, Note, Observer, Request, Server, Stage, State, Term, Tree};
use super::watching::{Action, Event, Watching};
use super::{World, properties};

/// What may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A candidate is elected, and proclaims.
    Elect(usize),
    /// It proclaims another payload.
    Proclaim(usize),
    /// Its request is executed and answered.
    Execute(usize),
    /// Its request is executed, and the reply lost.
    LoseReply(usize),
    /// Its request is lost; it may be executed late.
    LoseRequest(usize),
    /// A lost request is executed after all.
    Ghost(usize),
    /// It resigns.
    Resign(usize),
    /// Its session ends.
    Expire(usize),
    /// It learns that it leads no more.
    Despair(usize),
    /// An operator deletes the leader's node.
    Delete,
    /// A stranger writes to it.
    Write,
    /// Numbers start again.
    Reap,
    /// The follower applies the next entry.
    Follow,
    /// The observer's request is executed and answered.
    Look,
    /// Between the observer's read and its watch, as it must not be: the record is read, and watched later.
    Peek,
    /// The event of the record's watch arrives.
    HearRecord,
    /// The event of the node's watch arrives.
    HearNode,
    /// The core takes up what has fired.
    Take,
    /// The core looks for missed events.
    Tick,
    /// The question is dropped while a look is under way, and asked again.
    Drop,
    /// The observer's connection is lost.
    Cut,
    /// It is connected again.
    Connect(Server),
    /// Its session ends.
    End,
    /// It learns that, and has another session.
    Reopen(Server),
}

impl Step {
    /// Whether it happens by itself, sooner or later.
    pub fn is_progress(self) -> bool {
        matches!(
            self,
            Step::Execute(_)
                | Step::Follow
                | Step::Look
                | Step::Peek
                | Step::HearRecord
                | Step::HearNode
                | Step::Take
                | Step::Connect(_)
                | Step::Reopen(_)
        )
    }
}

impl World {
    fn beginning(&self) -> State {
        let mut core = Watching::new();
        let first = core.handle(Event::Asked);
        assert_eq!(first, Action::WatchRecord, "it begins with a look");
        State {
            leader: Tree::default(),
            follower: Tree::default(),
            pending: vec![],
            terms: [const { None }; CANDIDATES],
            next: 0,
            elected: 0,
            observer: Observer {
                core,
                ask: Some(Ask::Record),
                for_node: false,
                lives: true,
                link: Some(Server::Leader),
                home: Server::Leader,
                seen: 0,
                record: None,
                node: None,
                window: vec![],
                told: None,
                peeked: None,
            },
            faults: self.faults,
            drops: self.drops,
            looks: self.looks,
            note: None,
            written: None,
        }
    }

    /// Everything that may happen next.
    pub fn steps(&self, state: &State, steps: &mut Vec<Step>) {
        if state.note == Some(Note::Panicked) {
            return;
        }
        for (candidate, term) in state.terms.iter().enumerate() {
            match term {
                None if state.leader.node.is_none() && state.elected < self.terms => steps.push(Step::Elect(candidate)),
                None => {}
                Some(term) => self.steps_of(state, candidate, term, steps),
            }
        }
        if state.faults > 0 && state.leader.node.is_some() {
            steps.extend(self.kinds.delete.then_some(Step::Delete));
            steps.extend(self.kinds.write.then_some(Step::Write));
        }
        if state.faults > 0 && self.kinds.reap && state.leader.node.is_none() && state.next > 0 {
            steps.push(Step::Reap);
        }
        if !state.pending.is_empty() {
            steps.push(Step::Follow);
        }
        self.steps_of_observer(state, steps);
    }

    fn steps_of(&self, state: &State, candidate: usize, term: &Term, steps: &mut Vec<Step>) {
        let leads = term.lives && state.leader.node.is_some_and(|node| node.token == term.token);
        if term.request.is_some() {
            steps.push(Step::Execute(candidate));
            if state.faults > 0 && self.kinds.loss {
                steps.extend([Step::LoseReply(candidate), Step::LoseRequest(candidate)]);
            }
        } else if leads {
            steps.push(Step::Resign(candidate));
            if term.payload + 1 < self.payloads {
                steps.push(Step::Proclaim(candidate));
            }
        } else if term.ghost.is_none() {
            steps.push(Step::Despair(candidate));
        }
        if term.ghost.is_some() {
            steps.push(Step::Ghost(candidate));
        }
        if state.faults > 0 && self.kinds.expire && leads {
            steps.push(Step::Expire(candidate));
        }
    }

    fn steps_of_observer(&self, state: &State, steps: &mut Vec<Step>) {
        let observer = &state.observer;
        if !observer.lives {
            steps.push(Step::Reopen(Server::Leader));
            steps.extend(self.kinds.lag.then_some(Step::Reopen(Server::Follower)));
            return;
        }
        let has_arrived = |watch: Option<Stage>| watch == Some(Stage::Arrived);
        let record = observer.record.map(|watch| watch.stage);
        let node = observer.node.map(|watch| watch.stage);
        if observer.ask.is_none() {
            if has_arrived(record) || (has_arrived(node) && observer.for_node) {
                steps.push(Step::Take);
            }
            if state.looks > 0 {
                steps.push(Step::Tick);
            }
        } else if state.drops > 0 {
            steps.push(Step::Drop);
        }
        if observer.link.is_none() {
            steps.push(Step::Connect(Server::Leader));
            if self.kinds.lag && observer.seen == 0 {
                steps.push(Step::Connect(Server::Follower));
            }
            return;
        }
        match observer.ask {
            Some(Ask::Record) if !self.promises.watches_with_the_read && observer.peeked.is_none() => {
                steps.push(Step::Peek);
            }
            Some(_) => steps.push(Step::Look),
            None => {}
        }
        steps.extend((record == Some(Stage::Sent)).then_some(Step::HearRecord));
        steps.extend((node == Some(Stage::Sent)).then_some(Step::HearNode));
        if state.faults > 0 {
            steps.extend(self.kinds.cut.then_some(Step::Cut));
            steps.extend(self.kinds.end.then_some(Step::End));
        }
    }

    /// What follows from a step.
    pub fn step(&self, before: &State, step: Step) -> State {
        let mut state = before.clone();
        (state.note, state.written) = (None, None);
        if step.is_fault() {
            state.faults -= 1;
        }
        match step {
            Step::Elect(candidate) => self.elect(&mut state, candidate),
            Step::Proclaim(candidate) => {
                let term = state.terms[candidate].as_mut().expect("whoever proclaims leads");
                (term.payload, term.is_written, term.request) = (term.payload + 1, false, Some(Request::Write));
            }
            Step::Execute(candidate) => self.execute(&mut state, candidate, false),
            Step::LoseReply(candidate) => self.execute(&mut state, candidate, true),
            Step::LoseRequest(candidate) => self.lose(&mut state, candidate),
            Step::Ghost(candidate) => self.execute_ghost(&mut state, candidate),
            Step::Resign(candidate) => {
                state.terms[candidate] = None;
                self.log(&mut state, Change::Gone);
            }
            Step::Expire(candidate) => {
                let term = state.terms[candidate].as_mut().expect("somebody's session");
                (term.lives, term.ghost) = (false, None);
                self.log(&mut state, Change::Gone);
            }
            Step::Despair(candidate) => state.terms[candidate] = None,
            Step::Delete => {
                let token = state.leader.node.map(|node| node.token);
                for term in state.terms.iter_mut().flatten() {
                    term.is_robbed |= Some(term.token) == token;
                }
                self.log(&mut state, Change::Gone);
            }
            Step::Write => self.log(&mut state, Change::Written),
            Step::Reap => state.next = 0,
            Step::Follow => self.follow(&mut state),
            Step::Look => self.look(&mut state),
            Step::Peek => {
                let server = state.observer.link.expect("only a connected observer reads");
                state.observer.window = vec![state.tree_at(server).truth()];
                state.observer.peeked = Some(state.tree_at(server).record.flatten());
            }
            Step::HearRecord => hear(&mut state.observer.record),
            Step::HearNode => hear(&mut state.observer.node),
            Step::Take => {
                let record = state.observer.record.is_some_and(|watch| watch.stage == Stage::Arrived);
                self.handle(&mut state, if record { Event::RecordChanged } else { Event::NodeChanged });
            }
            Step::Tick => {
                state.looks -= 1;
                self.handle(&mut state, Event::LookDue);
            }
            Step::Drop => {
                state.drops -= 1;
                self.handle(&mut state, Event::Asked);
            }
            Step::Cut => {
                state.observer.link = None;
                // What is on its way is lost; the next connection compares.
                for stage in watches(&mut state.observer).into_iter().flatten() {
                    if *stage == Stage::Sent {
                        *stage = Stage::Placed;
                    }
                }
            }
            Step::Connect(server) => self.connect(&mut state, server),
            Step::End => {
                state.observer.lives = false;
                state.observer.link = None;
            }
            Step::Reopen(server) => {
                let observer = &mut state.observer;
                (observer.lives, observer.link, observer.home, observer.seen) = (true, Some(server), server, 0);
                // Of the watches whose news had arrived, the core hears first: then it looks anyway.
                let event = match observer.ask {
                    None if observer.record.is_some_and(|watch| watch.stage == Stage::Arrived) => Event::RecordChanged,
                    _ => Event::SessionEnded,
                };
                (observer.record, observer.node) = (None, None);
                self.handle(&mut state, event);
            }
        }
        state
    }

    fn elect(&self, state: &mut State, candidate: usize) {
        state.elected += 1;
        let (number, token) = (state.next, state.elected);
        state.next += 1;
        state.terms[candidate] = Some(Term {
            number,
            token,
            payload: 0,
            request: Some(Request::Write),
            ghost: None,
            is_written: false,
            lives: true,
            is_robbed: false,
        });
        self.log(state, Change::Made(Node { number, token, version: 0 }));
    }
}

impl Step {
    fn is_fault(self) -> bool {
        matches!(
            self,
            Step::LoseReply(_)
                | Step::LoseRequest(_)
                | Step::Expire(_)
                | Step::Delete
                | Step::Write
                | Step::Reap
                | Step::Cut
                | Step::End
        )
    }
}

impl Model for World {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![self.beginning()]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        self.steps(state, steps);
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let next = self.step(state, step);
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
