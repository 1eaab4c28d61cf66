//! `--watch`: looking again and again, on a screen of its own or as a line for each change.
//!
//! Of one lock, the next look is when somebody has come or gone, or after the interval; of a tree, after the interval.
//!
//! A look takes as long as the servers take. It is never waited for by what is shown: a view that stands still while the servers are
//! silent would look as if all were well.

mod changes;
mod ending;
mod screen;
mod view;
mod words;

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IsTerminal as _, Write as _};
use std::pin::Pin;
use std::time::Duration;

use fairlock::{Error, Fairlock, LockChange};
use tokio::time::{Instant, MissedTickBehavior};

use self::changes::{Event, Sight, When};
use self::ending::Ending;
use self::screen::{Screen, Told};
use self::view::View;
use super::{Look, Subject, document, now_unix_ms, queue, text};
use crate::args::LookArgs;
use crate::exit::{self, Exit, Failure};
use crate::settings;

/// How often the view is drawn, for its clocks.
const FRAME: Duration = Duration::from_millis(500);

/// How many events are kept to be shown.
const LOG_MAX: usize = 200;

/// Looking takes at most one part in so many of the time: a large tree, or a long queue, is looked at less often.
const LOOK_PART: u32 = 5;

/// Between two looks at least, however much happens.
const PAUSE_MIN: Duration = Duration::from_millis(20);

/// For how long no look may come back, besides the interval, before that is told.
const SILENCE: Duration = Duration::from_secs(2);

/// Looks until the user, the reader or a signal ends it.
pub(super) async fn run(locks: &Fairlock, subject: &Subject, args: &LookArgs) -> Result<Exit, Failure> {
    let mut ending = Ending::catch()?;
    let mut watch = Watch::new(locks, subject, args.interval);
    // A first look that fails is told as it is, before the screen is another.
    let first = tokio::select! {
        biased;
        exit = ending.next() => return Ok(exit),
        first = looked(locks, subject) => first,
    };
    let (first, next) = (first.look?, first.next);
    let outcome = if !args.json && io::stdout().is_terminal() {
        watch.take(Ok(first), None);
        watch.on_screen(next, &mut ending).await
    } else {
        watch.as_lines(first, next, args.json, &mut ending).await
    };
    settings::close(locks).await;
    outcome
}

/// A look, and what is to be waited for before the next.
struct Looked {
    look: Result<Look, Error>,
    /// How long ago the first change was told that led to this look.
    since_change: Option<Duration>,
    next: Next,
}

#[derive(Default)]
struct Next {
    /// How long the look took.
    took: Duration,
    changes: Vec<LockChange>,
}

async fn looked(locks: &Fairlock, subject: &Subject) -> Looked {
    let begun = Instant::now();
    let mut changes = Some(vec![]);
    let look = subject.look_then_wait(locks, &mut changes).await;
    let next = Next { took: begun.elapsed(), changes: changes.unwrap_or_default() };
    Looked { look, since_change: None, next }
}

type Looking<'a> = Pin<Box<dyn Future<Output = Looked> + 'a>>;

struct Watch<'a> {
    locks: &'a Fairlock,
    subject: &'a Subject,
    interval: Duration,
    sight: Sight,
    log: VecDeque<Event>,
    /// What the last look failed of.
    error: Option<String>,
    /// When a look last came back.
    answered: Instant,
}

impl<'a> Watch<'a> {
    fn new(locks: &'a Fairlock, subject: &'a Subject, interval: Duration) -> Self {
        let (sight, log) = (Sight::default(), VecDeque::new());
        Self { locks, subject, interval, sight, log, error: None, answered: Instant::now() }
    }

    /// The next look: after the interval, or when there is news, but not before the servers have had a rest.
    fn next_look(&self, next: Next) -> Looking<'a> {
        let (locks, subject) = (self.locks, self.subject);
        let rest = PAUSE_MIN.max(next.took * (LOOK_PART - 1));
        let pause = rest.max(self.interval.saturating_sub(next.took));
        Box::pin(async move {
            let rested = tokio::time::sleep(rest);
            let news: Vec<_> = next.changes.into_iter().map(|change| Box::pin(change.happened())).collect();
            let changed = tokio::select! {
                biased;
                () = any(news) => Some(Instant::now()),
                () = tokio::time::sleep(pause) => None,
            };
            rested.await;
            let looked = looked(locks, subject).await;
            Looked { since_change: changed.map(|changed| changed.elapsed()), ..looked }
        })
    }

    /// Takes what a look has brought; tells what has happened since the one before.
    fn take(&mut self, looked: Result<Look, Error>, since_change: Option<Duration>) -> Vec<Event> {
        self.answered = Instant::now();
        match looked {
            Ok(look) => {
                self.error = None;
                let when = When {
                    at_unix_ms: now_unix_ms(),
                    since_change_ms: since_change.map(|since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
                };
                let events = self.sight.take(look, when, matches!(self.subject, Subject::Queue { .. }));
                self.log.extend(events.iter().cloned());
                self.log.drain(..self.log.len().saturating_sub(LOG_MAX));
                events
            }
            Err(error) => {
                self.error = Some(error.to_string());
                vec![]
            }
        }
    }

    async fn on_screen(&mut self, next: Next, ending: &mut Ending) -> Result<Exit, Failure> {
        let mut screen = Screen::open()?;
        let mut told = screen::listen();
        let mut frames = tokio::time::interval(FRAME);
        frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut looking = self.next_look(next);
        loop {
            screen.draw(|columns, rows| self.view().compose(columns, rows))?;
            tokio::select! {
                biased;
                exit = ending.next() => return Ok(exit),
                Some(told) = told.recv() => match told {
                    Told::Quit => return Ok(Exit::Ok),
                    Told::Interrupt => return Ok(Exit::Interrupted),
                    Told::Resized => {}
                },
                looked = &mut looking => {
                    self.take(looked.look, looked.since_change);
                    looking = self.next_look(looked.next);
                }
                _ = frames.tick() => {}
            }
        }
    }

    fn view(&self) -> View<'_> {
        let silent = Some(self.answered.elapsed()).filter(|silent| *silent > self.interval + SILENCE);
        let trouble = view::trouble(self.error.as_deref(), silent, self.sight.look(), self.sight.at_unix_ms());
        let (subject, sight, log, interval) = (self.subject, &self.sight, &self.log, self.interval);
        View { subject, sight, log, trouble, now_unix_ms: now_unix_ms(), interval }
    }

    async fn as_lines(&mut self, first: Look, next: Next, is_json: bool, ending: &mut Ending) -> Result<Exit, Failure> {
        let now = now_unix_ms();
        if is_json {
            let mut line = document::look(&first, self.subject, now);
            line["event"] = "look".into();
            print(&[line.to_string()])?;
        } else {
            let lines: Vec<_> = first.locks.iter().filter(|seen| !seen.is_empty()).map(queue::title).collect();
            print(&lines)?;
        }
        for (path, error) in &first.unreadable {
            exit::warn(format_args!("{}: {}", text::clean(path), text::clean(error)));
        }
        self.take(Ok(first), None);
        let mut looking = self.next_look(next);
        loop {
            let looked = tokio::select! {
                biased;
                exit = ending.next() => return Ok(exit),
                looked = &mut looking => looked,
            };
            let before = self.error.take();
            let events = self.take(looked.look, looked.since_change);
            match (&before, &self.error) {
                (None, Some(error)) => exit::warn(format_args!("{error}; looking again")),
                (Some(_), None) => exit::warn(format_args!("the servers can be seen again")),
                _ => {}
            }
            let line = |event| if is_json { words::document(event).to_string() } else { words::line(event) };
            print(&events.iter().map(line).collect::<Vec<_>>())?;
            looking = self.next_look(looked.next);
        }
    }
}

/// Waits for the first of them; for ever, if there are none.
async fn any(mut futures: Vec<Pin<Box<impl Future<Output = ()>>>>) {
    std::future::poll_fn(|context| {
        let is_ready = futures.iter_mut().any(|future| future.as_mut().poll(context).is_ready());
        if is_ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

fn print(lines: &[String]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    // A pipe would keep the news back.
    out.flush()
}
