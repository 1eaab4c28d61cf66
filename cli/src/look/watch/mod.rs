//! `--watch`: looking again and again, on a screen of its own or as a line for each change.
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

use fairlock::{Error, Fairlock};
use tokio::time::{Instant, MissedTickBehavior};

use self::changes::{Event, Sight};
use self::ending::Ending;
use self::screen::{Screen, Told};
use self::view::View;
use super::{Look, Subject, document, now_unix_ms, queue, text};
use crate::args::LookArgs;
use crate::exit::{self, Exit, Failure};
use crate::run;

/// How often the view is drawn, for its clocks.
const FRAME: Duration = Duration::from_millis(500);

/// How many events are kept to be shown.
const LOG_MAX: usize = 200;

/// Looking takes at most one part in so many of the time: a large tree, or a long queue, is looked at less often.
const LOOK_PART: u32 = 5;

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
        first = subject.look(locks) => first?,
    };
    let outcome = if !args.json && io::stdout().is_terminal() {
        watch.take(Ok(first));
        watch.on_screen(&mut ending).await
    } else {
        watch.as_lines(first, args.json, &mut ending).await
    };
    run::close(locks).await;
    outcome
}

type Looking<'a> = Pin<Box<dyn Future<Output = (Result<Look, Error>, Duration)> + 'a>>;

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

    /// The next look, after this pause; and how long it took.
    fn look_after(&self, pause: Duration) -> Looking<'a> {
        let (locks, subject) = (self.locks, self.subject);
        Box::pin(async move {
            tokio::time::sleep(pause).await;
            let begun = Instant::now();
            let look = subject.look(locks).await;
            (look, begun.elapsed())
        })
    }

    fn pause_after(&self, took: Duration) -> Duration {
        self.interval.saturating_sub(took).max(took * (LOOK_PART - 1))
    }

    /// Takes what a look has brought; tells what has happened since the one before.
    fn take(&mut self, looked: Result<Look, Error>) -> Vec<Event> {
        self.answered = Instant::now();
        match looked {
            Ok(look) => {
                self.error = None;
                let events = self.sight.take(look, now_unix_ms(), matches!(self.subject, Subject::Queue { .. }));
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

    async fn on_screen(&mut self, ending: &mut Ending) -> Result<Exit, Failure> {
        let mut screen = Screen::open()?;
        let mut told = screen::listen();
        let mut frames = tokio::time::interval(FRAME);
        frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut looking = self.look_after(self.interval);
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
                (looked, took) = &mut looking => {
                    self.take(looked);
                    looking = self.look_after(self.pause_after(took));
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

    async fn as_lines(&mut self, first: Look, is_json: bool, ending: &mut Ending) -> Result<Exit, Failure> {
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
        self.take(Ok(first));
        let mut looking = self.look_after(self.interval);
        loop {
            let (looked, took) = tokio::select! {
                biased;
                exit = ending.next() => return Ok(exit),
                looked = &mut looking => looked,
            };
            let before = self.error.take();
            let events = self.take(looked);
            match (&before, &self.error) {
                (None, Some(error)) => exit::warn(format_args!("{error}; looking again")),
                (Some(_), None) => exit::warn(format_args!("the servers can be seen again")),
                _ => {}
            }
            let line = |event| if is_json { words::document(event).to_string() } else { words::line(event) };
            print(&events.iter().map(line).collect::<Vec<_>>())?;
            looking = self.look_after(self.pause_after(took));
        }
    }
}

fn print(lines: &[String]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    // A pipe would keep the news back.
    out.flush()
}
