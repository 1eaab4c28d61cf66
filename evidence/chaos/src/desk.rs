//! Where clients read and write the registers, and report; and where a holder can be hit at a chosen step.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::Signal;
use tokio::net::TcpListener;
use tokio::sync::{OnceCell, oneshot};
use tokio::task::JoinSet;

use crate::herd::Herd;
use crate::ledger::{Holder, Ledger};
use crate::register::Refused;
use crate::wire::{Answer, Lines, Report};

/// What is to happen to the next holder that takes a step.
#[derive(Debug)]
struct Ambush {
    step: Step,
    deed: Deed,
    done: oneshot::Sender<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It has read and does not know the answer yet.
    Read,
    /// It has written and does not know the answer yet.
    Write,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Stop,
    Kill,
}

#[derive(Debug)]
pub(crate) struct Desk {
    /// By lock.
    ledgers: Vec<Mutex<Ledger>>,
    ambush: Mutex<Option<Ambush>>,
    /// What no client should ever report.
    complaints: Mutex<Vec<String>>,
    herd: OnceCell<Arc<Herd>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    pub(crate) fn new(locks: usize, fenced: bool) -> Self {
        Self {
            ledgers: (0..locks).map(|_| Mutex::new(Ledger::new(fenced))).collect(),
            ambush: Mutex::new(None),
            complaints: Mutex::new(Vec::new()),
            herd: OnceCell::new(),
        }
    }

    /// Whom an ambush hits. The herd must know the desk's address before it is made.
    pub(crate) fn watch_over(&self, herd: Arc<Herd>) {
        let _ = self.herd.set(herd);
    }

    pub(crate) fn ledgers(&self) -> impl Iterator<Item = MutexGuard<'_, Ledger>> {
        self.ledgers.iter().map(locked)
    }

    pub(crate) fn complain(&self, complaint: String) {
        locked(&self.complaints).push(complaint);
    }

    pub(crate) fn complaints(&self) -> Vec<String> {
        locked(&self.complaints).clone()
    }

    /// Waits for the next holder to take this step, does it harm before it is answered, and says which client it was.
    pub(crate) async fn lie_in_wait(&self, step: Step, deed: Deed) -> Option<usize> {
        let (done, harmed) = oneshot::channel();
        *locked(&self.ambush) = Some(Ambush { step, deed, done });
        let harmed = tokio::time::timeout(crate::client_faults::AMBUSH_PATIENCE, harmed).await;
        *locked(&self.ambush) = None;
        harmed.ok()?.ok()
    }

    fn spring(&self, step: Step, holder: Holder) {
        let mut place = locked(&self.ambush);
        let Some(ambush) = place.take_if(|ambush| ambush.step == step) else { return };
        let Some(herd) = self.herd.get() else { return };
        let hit = match ambush.deed {
            Deed::Stop => herd.signal(holder.client, Some(holder.incarnation), Signal::STOP),
            Deed::Kill => herd.kill(holder.client, Some(holder.incarnation)),
        };
        if hit {
            let _ = ambush.done.send(holder.client);
        } else {
            *place = Some(ambush);
        }
    }

    /// Serves clients for ever; dropping it closes their connections.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) {
        let mut clients = JoinSet::new();
        loop {
            tokio::select! {
                Some(_) = clients.join_next() => {}
                accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                    let desk = Arc::clone(&self);
                    clients.spawn(async move {
                        if let Err(complaint) = desk.attend(Lines::new(stream)).await {
                            desk.complain(complaint);
                        }
                    });
                }
            }
        }
    }

    async fn attend(&self, mut lines: Lines) -> Result<(), String> {
        let Some(hello) = lines.next().await? else { return Ok(()) };
        let Report::Hello { client, incarnation, lock } = hello else { return Err(format!("{hello:?} came first")) };
        let ledger = self.ledgers.get(lock).ok_or_else(|| format!("there is no lock {lock}"))?;
        while let Some(report) = lines.next().await? {
            let holder = |token| Holder { token, client, incarnation };
            if let Some(answer) = self.note(ledger, &holder, report)
                && lines.send(&answer).await.is_err()
            {
                // It was killed; what it sent before is still to be read.
                continue;
            }
        }
        Ok(())
    }

    fn note(&self, ledger: &Mutex<Ledger>, holder: &dyn Fn(i64) -> Holder, report: Report) -> Option<Answer> {
        match report {
            Report::Read { token, span } => {
                let value = {
                    let mut ledger = locked(ledger);
                    ledger.saw(holder(token), span);
                    ledger.register.read(token)
                };
                let Ok(value) = value else { return Some(Answer::Refused) };
                self.spring(Step::Read, holder(token));
                Some(Answer::Value(value))
            }
            Report::Write { token, span, value } => {
                let outcome = {
                    let mut ledger = locked(ledger);
                    ledger.saw(holder(token), span);
                    ledger.register.write(token, value)
                };
                let Err(Refused) = outcome else {
                    self.spring(Step::Write, holder(token));
                    return Some(Answer::Accepted);
                };
                Some(Answer::Refused)
            }
            Report::Ended { token, span, acknowledged, lost } => {
                let mut ledger = locked(ledger);
                ledger.saw(holder(token), span);
                ledger.told += u64::from(acknowledged);
                if let Some(reason) = lost {
                    *ledger.losses.entry(reason).or_default() += 1;
                }
                None
            }
            Report::NotGranted { why, hopeless } => {
                if hopeless {
                    self.complain(format!("an acquisition failed for good: {why}"));
                }
                *locked(ledger).not_granted.entry(why).or_default() += 1;
                None
            }
            hello @ Report::Hello { .. } => {
                self.complain(format!("{hello:?} came twice"));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use tokio::net::TcpStream;

    use crate::wire::Span;

    const SPAN: Span = Span { granted: 10, valid: Some(10), used: 10 };

    async fn desk(fenced: bool) -> (Arc<Desk>, Lines) {
        let desk = Arc::new(Desk::new(1, fenced));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(Arc::clone(&desk).serve(listener));
        let mut client = Lines::new(TcpStream::connect(address).await.expect("accepted"));
        client.send(&Report::Hello { client: 4, incarnation: 2, lock: 0 }).await.expect("sent");
        (desk, client)
    }

    async fn ask(client: &mut Lines, report: &Report) -> Answer {
        client.send(report).await.expect("sent");
        client.next().await.expect("understood").expect("answered")
    }

    #[tokio::test]
    async fn reads_and_writes_are_answered_and_noted() {
        let (desk, mut client) = desk(true).await;
        assert_eq!(ask(&mut client, &Report::Read { token: 5, span: SPAN }).await, Answer::Value(0));
        assert_eq!(ask(&mut client, &Report::Write { token: 5, span: SPAN, value: 1 }).await, Answer::Accepted);
        assert_eq!(ask(&mut client, &Report::Read { token: 4, span: SPAN }).await, Answer::Refused);
        let ledger = desk.ledgers().next().expect("one lock");
        assert_eq!((ledger.register.value(), ledger.register.refused_reads(), ledger.grant_count()), (1, 1, 2));
    }

    #[tokio::test]
    async fn what_a_client_reported_before_it_died_is_noted() {
        let (desk, mut client) = desk(true).await;
        client.send(&Report::Write { token: 5, span: SPAN, value: 1 }).await.expect("sent");
        let ended = Report::Ended { token: 5, span: SPAN, acknowledged: true, lost: Some("why".to_owned()) };
        client.send(&ended).await.expect("sent");
        // With an unread answer in its socket, the client leaves a reset.
        drop(client);
        while desk.ledgers().next().expect("one lock").told == 0 {
            tokio::task::yield_now().await;
        }
        let ledger = desk.ledgers().next().expect("one lock");
        assert_eq!((ledger.register.value(), ledger.losses.get("why")), (1, Some(&1)));
    }

    #[tokio::test]
    async fn an_acquisition_that_failed_for_good_is_complained_about_and_another_is_not() {
        let (desk, mut client) = desk(true).await;
        client.send(&Report::NotGranted { why: "held".to_owned(), hopeless: false }).await.expect("sent");
        client.send(&Report::NotGranted { why: "closed".to_owned(), hopeless: true }).await.expect("sent");
        while desk.complaints().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(desk.complaints().len(), 1);
        assert_eq!(desk.ledgers().next().expect("one lock").not_granted.len(), 2);
    }
}
