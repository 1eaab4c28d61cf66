//! Elections: campaigning, and telling those who watch.

use fairlock::recipes::Observer;

use super::Book;
use super::stage::Stage;
use crate::formula::{self, Size};

const ELECTION: &str = "/election";

pub(super) async fn all(book: &mut Book) {
    // Two for the candidates, one for each observer.
    let observers = book.size.sessions;
    let mut stage = Stage::set(Size { sessions: observers + 2, ..book.size }).await;
    let election = |stage: &Stage, session: usize| stage.sessions[session].election(ELECTION).expect("a good path");
    election(&stage, 0).campaign("first").await.expect("elected").resign().await.expect("leads");
    stage.cost().await;
    let before = stage.store.cost();
    let leadership = election(&stage, 0).campaign("first").await.expect("elected");
    book.cost("a campaign without others", formula::campaign(), stage.store.cost() - before);
    stage.cost().await;
    let candidate = election(&stage, 1);
    let waiting = tokio::spawn(async move { candidate.campaign("second").await });
    stage.cost().await;

    let mut watching: Vec<Observer> = (0..observers).map(|at| election(&stage, 2 + at as usize).observe()).collect();
    for observer in &mut watching {
        let leader = observer.next().await.expect("told");
        assert_eq!(leader.expect("somebody leads").payload(), b"first");
    }
    book.cost("observers begin", formula::observe(observers), stage.cost().await);
    let told: Vec<_> = watching
        .into_iter()
        .map(|mut observer| {
            tokio::spawn(async move {
                // Between the two, nobody may be told to lead.
                loop {
                    let leader = observer.next().await.expect("told");
                    if leader.is_some_and(|leader| leader.payload() == b"second") {
                        return observer;
                    }
                }
            })
        })
        .collect();
    stage.cost().await;
    leadership.resign().await.expect("leads");
    let second = waiting.await.expect("no panic").expect("elected");
    let mut still_watching = Vec::new();
    for told in told {
        still_watching.push(told.await.expect("no panic"));
    }
    book.cost("the leader changes, observers are told", formula::leader_changes(observers), stage.cost().await);
    drop((still_watching, second));
}
