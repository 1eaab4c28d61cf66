//! Plays the script, and records what comes of it.

use std::time::Duration;

use fairlock::{Contender, Error, Retry};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::Failure;
use super::actor::{Fact, Report};
use super::news::{How, News, What, Who};
use super::plan::Plan;
use super::story::{Departure, Notification, Story};
use super::world::World;

/// How long something may take that the lock promises to happen by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at a queue that a server has not caught up with yet.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

pub(super) struct Director<'a> {
    world: &'a mut World,
    plan: &'a Plan,
    news: mpsc::UnboundedSender<News>,
    started: Instant,
    story: Story,
    seen: Seen,
    /// Told about, but perhaps not all of it has come in.
    unsettled: Option<Departure>,
}

/// Who reported what, beyond the story.
#[derive(Default)]
struct Seen {
    entered: Vec<Who>,
    left: Vec<Who>,
}

impl<'a> Director<'a> {
    pub(super) fn new(world: &'a mut World, plan: &'a Plan, news: mpsc::UnboundedSender<News>) -> Self {
        let (story, seen) = (Story::default(), Seen::default());
        Self { world, plan, news, started: Instant::now(), story, seen, unsettled: None }
    }

    pub(super) async fn play(mut self) -> Result<Story, Failure> {
        if !self.look().await?.is_empty() {
            return Err(Failure::Busy(self.plan.lock.to_string()));
        }
        for who in self.plan.script.contenders() {
            self.arrive(who).await?;
            self.pause(self.plan.pace.arrival).await?;
        }
        while let Some(holder) = self.holder() {
            self.hold(holder).await?;
        }
        // Whatever else was told is in the channel by now or was told to nobody.
        self.pause(self.plan.pace.hold / 4).await?;
        self.settle();
        self.story.left_behind = self.look().await?.len();
        self.story.took = self.started.elapsed();
        Ok(self.story)
    }

    async fn arrive(&mut self, who: Who) -> Result<(), Failure> {
        self.world.enter(who);
        self.until("a contender's entry", |_, seen| seen.entered.contains(&who)).await?;
        let entry = self
            .look_until("a contender's entry", |queue| queue.iter().any(|contender| is(contender, who)))
            .await?
            .into_iter()
            .find(|contender| is(contender, who));
        self.story.entries.extend(entry.map(|entry| (who, entry.sequence)));
        if self.holder().is_none() {
            self.until("the first grant", |story, _| !story.grants.is_empty()).await?;
        }
        Ok(())
    }

    /// One contender's time with the lock.
    async fn hold(&mut self, holder: Who) -> Result<(), Failure> {
        self.dwell().await?;
        if let Some(tired) = self.plan.script.gives_up_under(holder) {
            self.depart(tired, How::GaveUp).await?;
            self.dwell().await?;
        }
        self.depart(holder, self.plan.script.departure(holder)).await
    }

    /// The time of a hold. What the last departure has led to is told in the middle of it.
    async fn dwell(&mut self) -> Result<(), Failure> {
        self.pause(self.plan.pace.hold / 2).await?;
        self.settle();
        self.pause(self.plan.pace.hold / 2).await
    }

    async fn depart(&mut self, who: Who, how: How) -> Result<(), Failure> {
        let queue = self.look().await?;
        let place = queue.iter().position(|contender| is(contender, who));
        let next = place.and_then(|place| queue.get(place + 1)).and_then(identify);
        let waiters = queue.iter().skip(1).filter(|contender| !is(contender, who)).count();
        let grants = self.story.grants.len();

        let departure = Departure { who, how, waiters, next };
        self.story.departures.push(departure);
        self.tell(Instant::now(), What::Leaves { who, how, waiters });
        self.unsettled = Some(departure);
        match how {
            How::Released | How::GaveUp => self.world.tell_to_leave(who),
            How::Crashed => {
                let session = place.and_then(|place| queue.get(place)).and_then(|contender| contender.session);
                self.world.crash(who, session).await;
            }
        }

        self.until("a departure", |_, seen| seen.left.contains(&who)).await?;
        if next.is_some() {
            match how {
                How::GaveUp => {
                    self.until("the news of a departure", |story, _| !story.notified(who).is_empty()).await?
                }
                _ => self.until("the next grant", |story, _| story.grants.len() > grants).await?,
            }
        }
        self.look_until("a departure", |queue| !queue.iter().any(|contender| is(contender, who))).await?;
        Ok(())
    }

    /// Who has the lock: granted, and not departed.
    fn holder(&self) -> Option<Who> {
        let departed = |who: &Who| self.story.departures.iter().any(|departure| departure.who == *who);
        self.story.grants.iter().map(|(who, _)| *who).find(|who| !departed(who))
    }

    /// Tells what became of the last departure.
    fn settle(&mut self) {
        if let Some(Departure { who, waiters, .. }) = self.unsettled.take() {
            let notified = self.story.notified(who);
            self.tell(Instant::now(), What::Settled { left: who, notified, waiters });
        }
    }

    /// The queue as the store lists it. Like the contenders, the observer outlives a short loss of the connection.
    async fn look(&mut self) -> Result<Vec<Contender>, Failure> {
        let lock = self.world.lock().clone();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let looked = tokio::select! {
                looked = lock.contenders() => looked,
                failure = self.watch_out() => return Err(failure),
            };
            match looked {
                Ok(queue) => {
                    self.tell(Instant::now(), What::Queue(queue.iter().filter_map(identify).collect()));
                    return Ok(queue);
                }
                Err(error) if error.retry() == Retry::No || Instant::now() > deadline => return Err(error.into()),
                Err(_) => self.pause(LOOK_AGAIN).await?,
            }
        }
    }

    /// Looks until the server at hand shows what has been reported; on an ensemble, it may lag behind.
    async fn look_until(
        &mut self,
        what: &str,
        is_shown: impl Fn(&[Contender]) -> bool,
    ) -> Result<Vec<Contender>, Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let queue = self.look().await?;
            if is_shown(&queue) {
                return Ok(queue);
            }
            if Instant::now() > deadline {
                return Err(Failure::Stalled(format!("{what} was not listed within {PATIENCE:?}")));
            }
            self.pause(LOOK_AGAIN).await?;
        }
    }

    /// Lets things happen for a while.
    async fn pause(&mut self, pause: Duration) -> Result<(), Failure> {
        match timeout(pause, self.watch_out()).await {
            Ok(failure) => Err(failure),
            Err(_) => Ok(()),
        }
    }

    /// Lets things happen until one of them ends the demo.
    async fn watch_out(&mut self) -> Failure {
        loop {
            let report = self.world.report().await;
            if let Err(failure) = self.record(report) {
                return failure;
            }
        }
    }

    /// Lets things happen until this has been reported.
    async fn until(&mut self, what: &str, is_reported: impl Fn(&Story, &Seen) -> bool) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while !is_reported(&self.story, &self.seen) {
            match timeout_at(deadline, self.world.report()).await {
                Ok(report) => self.record(report)?,
                Err(_) => return Err(Failure::Stalled(format!("{what} did not come within {PATIENCE:?}"))),
            }
        }
        Ok(())
    }

    fn record(&mut self, Report { who, at, fact }: Report) -> Result<(), Failure> {
        match fact {
            Fact::Entered => {
                self.seen.entered.push(who);
                self.tell(at, What::Entered { who });
            }
            Fact::Granted(token) => {
                self.story.grants.push((who, token));
                self.tell(at, What::Granted { who, token });
            }
            Fact::Notified { about } => {
                self.story.notifications.push(Notification { to: who, about });
                if let Some(about) = self.story.owner(about).filter(|about| *about != who) {
                    self.tell(at, What::Notified { who, about });
                }
            }
            Fact::Left => self.seen.left.push(who),
            Fact::Lost(reason) => {
                let is_crash = |departure: &Departure| departure.who == who && departure.how == How::Crashed;
                if !self.story.departures.iter().any(is_crash) {
                    let path = self.plan.lock.to_string();
                    return Err(Failure::Lock(Error::LockLost { path, reason }));
                }
                self.seen.left.push(who);
                self.tell(at, What::Lost { who, reason });
            }
            Fact::Failed(error) => return Err(Failure::Lock(error)),
        }
        Ok(())
    }

    fn tell(&self, at: Instant, what: What) {
        // Without a reader, the demo is about to end.
        let _ = self.news.send(News { at: at.saturating_duration_since(self.started), what });
    }
}

fn identify(contender: &Contender) -> Option<Who> {
    let mut letters = contender.identity.as_ref()?.owner().bytes();
    match (letters.next(), letters.next()) {
        (Some(letter @ b'A'..=b'Z'), None) => Some(Who(letter - b'A')),
        _ => None,
    }
}

fn is(contender: &Contender, who: Who) -> bool {
    identify(contender) == Some(who)
}
