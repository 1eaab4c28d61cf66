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

use std::cell::Cell;
use std::collections::{BTreeSet, VecDeque};
use std::future::Future;
use std::io::{self, IsTerminal as _, Write as _};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use fairlock::{Error, Fairlock, LockChange};
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior};

use self::changes::{Event, Sight, When};
use self::ending::Ending;
use self::screen::{Screen, Told};
use self::view::View;
use super::{Look, Subject, document, now_unix_ms, queue, text, tree};
use crate::args::LookArgs;
use crate::exit::{self, Exit, Failure};
use crate::json::Document;

/// How often the view is drawn, for its clocks.
const FRAME: Duration = Duration::from_millis(500);

/// How many events are kept to be shown.
const LOG_MAX: usize = 200;

/// Looking takes at most one part in so many of the time: a large tree, or a long queue, is looked at less often.
const LOOK_PART: u32 = 5;

/// Between two looks at least, however much happens.
const PAUSE_MIN: Duration = Duration::from_millis(20);

/// The longest of these rests, unless the interval is longer: one slow answer must not keep what happens from being seen.
const REST_MAX: Duration = Duration::from_secs(5);

/// When to look again, if not sooner, where the last look failed or there was nothing that could tell of news.
const AGAIN: Duration = Duration::from_secs(1);

/// For how long a look may not come back, besides twice the time that the last one took, before that is told.
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
    let (begun, first, next) = (first.begun, first.look?, first.next);
    if first.is_denied(subject) {
        tree::tell_what_is_missing(&first);
        return Ok(Exit::NoPermission);
    }
    if !args.json && io::stdout().is_terminal() {
        watch.take(Ok(first), begun, None);
        watch.on_screen(next, &mut ending).await
    } else {
        tokio::select! {
            biased;
            outcome = watch.as_lines(first, begun, next, args.json, &mut ending) => outcome,
            // Who closes the pipe has seen enough.
            () = ending::reader_gone() => Ok(Exit::Ok),
        }
    }
}

/// A look, and what is to be waited for before the next.
struct Looked {
    begun: Instant,
    look: Result<Look, Error>,
    /// When the first change was told that led to this look.
    changed: Option<Instant>,
    next: Next,
}

#[derive(Default)]
struct Next {
    /// How long the look took; `None` if it failed.
    took: Option<Duration>,
    changes: Vec<LockChange>,
    /// Whether news are to be expected.
    is_told: bool,
}

impl Next {
    /// How long to rest whatever happens, and until the next look if nothing does.
    fn pauses(&self, interval: Duration) -> (Duration, Duration) {
        let Some(took) = self.took else {
            let again = interval.clamp(PAUSE_MIN, AGAIN);
            return (again, again);
        };
        let rest = (took * (LOOK_PART - 1)).clamp(PAUSE_MIN, REST_MAX.max(interval));
        let interval = if self.is_told { interval } else { interval.min(AGAIN) };
        (rest, rest.max(interval.saturating_sub(took)))
    }
}

async fn looked(locks: &Fairlock, subject: &Subject) -> Looked {
    let begun = Instant::now();
    let mut changes = Some(vec![]);
    let look = subject.look_then_wait(locks, &mut changes).await;
    let next = match &look {
        Ok(_) => {
            let changes = changes.unwrap_or_default();
            // Of a tree none are ever told: there it is the interval that was asked for.
            let is_told = matches!(subject, Subject::Tree { .. }) || !changes.is_empty();
            Next { took: Some(begun.elapsed()), changes, is_told }
        }
        Err(_) => Next::default(),
    };
    Looked { begun, look, changed: None, next }
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
    /// When the look was begun that has not come back.
    asked: Rc<Cell<Option<Instant>>>,
    /// How long the last look took that came back, and when it was begun.
    took: Duration,
    begun: Option<Instant>,
}

impl<'a> Watch<'a> {
    fn new(locks: &'a Fairlock, subject: &'a Subject, interval: Duration) -> Self {
        let (sight, log) = (Sight::default(), VecDeque::new());
        let (asked, took) = (Rc::default(), Duration::ZERO);
        Self { locks, subject, interval, sight, log, error: None, asked, took, begun: None }
    }

    /// The next look: after the interval, or when there is news, but not before the servers have had a rest.
    fn next_look(&self, next: Next) -> Looking<'a> {
        let (locks, subject, asked) = (self.locks, self.subject, self.asked.clone());
        let (rest, pause) = next.pauses(self.interval);
        Box::pin(async move {
            let rested = tokio::time::sleep(rest);
            let news: Vec<_> = next.changes.into_iter().map(|change| Box::pin(change.happened())).collect();
            let changed = tokio::select! {
                biased;
                () = any(news) => Some(Instant::now()),
                () = tokio::time::sleep(pause) => None,
            };
            rested.await;
            asked.set(Some(Instant::now()));
            Looked { changed, ..looked(locks, subject).await }
        })
    }

    /// Takes what a look has brought; tells what has happened since the one before.
    fn take(&mut self, look: Result<Look, Error>, begun: Instant, changed: Option<Instant>) -> Vec<Event> {
        self.asked.set(None);
        match look {
            Ok(look) => {
                self.error = None;
                self.took = begun.elapsed();
                // Until then all was as at the look before.
                let since = changed.or(self.begun).unwrap_or(begun).elapsed();
                self.begun = Some(begun);
                let since_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
                let when = When { at_unix_ms: now_unix_ms(), since_ms };
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
        // Whoever stops it by a signal gets the terminal back meanwhile.
        let mut stops = signal(SignalKind::from_raw(Signal::TSTP.as_raw()))?;
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
                _ = stops.recv() => {
                    drop(screen);
                    rustix::process::kill_process(rustix::process::getpid(), Signal::STOP).map_err(io::Error::from)?;
                    screen = Screen::open()?;
                }
                looked = &mut looking => {
                    self.take(looked.look, looked.begun, looked.changed);
                    looking = self.next_look(looked.next);
                }
                _ = frames.tick() => {}
            }
        }
    }

    fn view(&self) -> View<'_> {
        let silent = silence(self.asked.get().map(|asked| asked.elapsed()), self.took);
        let trouble = view::trouble(self.error.as_deref(), silent, self.sight.look(), self.sight.at_unix_ms());
        let (subject, sight, log, interval) = (self.subject, &self.sight, &self.log, self.interval);
        View { subject, sight, log, trouble, now_unix_ms: now_unix_ms(), interval }
    }

    async fn as_lines(
        &mut self,
        first: Look,
        begun: Instant,
        next: Next,
        is_json: bool,
        ending: &mut Ending,
    ) -> Result<Exit, Failure> {
        let now = now_unix_ms();
        if is_json {
            let mut line = document::look(&first, self.subject, now);
            line["event"] = "look".into();
            print(&[Document(line).to_string()])?;
        } else {
            let lines: Vec<_> = first.locks.iter().filter(|seen| !seen.is_empty()).map(queue::title).collect();
            print(&lines)?;
        }
        tree::tell_what_is_missing(&first);
        self.take(Ok(first), begun, None);
        let mut looking = self.next_look(next);
        loop {
            let looked = tokio::select! {
                biased;
                exit = ending.next() => return Ok(exit),
                looked = &mut looking => looked,
            };
            if let (Some(before), Ok(look)) = (self.sight.look(), &looked.look) {
                tell_what_is_missing_now(before, look);
            }
            let before = self.error.take();
            let events = self.take(looked.look, looked.begun, looked.changed);
            match (&before, &self.error) {
                (None, Some(error)) => exit::warn(format_args!("{error}; looking again")),
                (Some(_), None) => exit::warn(format_args!("the servers can be seen again")),
                _ => {}
            }
            let line = |event| if is_json { Document(words::document(event)).to_string() } else { words::line(event) };
            print(&events.iter().map(line).collect::<Vec<_>>())?;
            looking = self.next_look(looked.next);
        }
    }
}

/// For how long the servers have kept silent, if that is longer than they need.
fn silence(since_asked: Option<Duration>, took: Duration) -> Option<Duration> {
    since_asked.filter(|since| *since > took * 2 + SILENCE)
}

/// Tells on standard error what could be seen before.
fn tell_what_is_missing_now(before: &Look, look: &Look) {
    let known: BTreeSet<_> = before.unreadable.iter().map(|(path, _)| path).collect();
    for (path, error) in look.unreadable.iter().filter(|(path, _)| !known.contains(path)) {
        exit::warn(format_args!(
            "{}: {}; what was seen there is taken for unchanged",
            text::clean(path),
            text::clean(error)
        ));
    }
    if look.is_cut && !before.is_cut {
        tree::tell_that_it_is_cut();
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

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_look_that_takes_long_is_followed_by_a_rest_and_no_trouble() {
        let next = Next { took: Some(seconds(3)), changes: vec![], is_told: true };
        assert_eq!(next.pauses(seconds(1)), (seconds(5), seconds(5)));
        assert_eq!(next.pauses(seconds(60)), (seconds(12), seconds(57)));
        assert_eq!(silence(None, seconds(3)), None, "nothing was asked during the rest");
        assert_eq!(silence(Some(seconds(4)), seconds(3)), None, "the last one took as long");
        assert_eq!(silence(Some(seconds(9)), seconds(3)), Some(seconds(9)));
        assert_eq!(silence(Some(seconds(3)), Duration::ZERO), Some(seconds(3)));
    }

    #[test]
    fn a_look_that_failed_is_soon_followed_by_another() {
        assert_eq!(Next::default().pauses(seconds(3_600)), (AGAIN, AGAIN));
        assert_eq!(Next::default().pauses(Duration::ZERO), (PAUSE_MIN, PAUSE_MIN));
    }

    #[test]
    fn where_nothing_tells_of_news_it_is_looked_at_again_soon() {
        let of = |is_told| Next { took: Some(Duration::ZERO), changes: vec![], is_told }.pauses(seconds(3_600));
        assert_eq!(of(true), (PAUSE_MIN, seconds(3_600)));
        assert_eq!(of(false), (PAUSE_MIN, AGAIN));
    }
}
