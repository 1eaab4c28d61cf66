//! The demo as a picture: the queue as it is now, and below it everybody's time, waiting and holding.

use std::time::Duration;

use fairlock::FencingToken;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Failure;
use super::news::{How, News, What, Who};
use super::plan::Plan;
use super::screen::{Line, Screen, Style};
use super::summary::list;

/// How often the bars grow.
const FRAME: Duration = Duration::from_millis(50);

/// Below these, the picture is drawn without ornaments.
const COLUMNS_FOR_ORNAMENTS: usize = 60;
const ROWS_FOR_ORNAMENTS: usize = 18;

/// Lines besides the contenders' own: with ornaments and without.
const LINES_AROUND: usize = 13;
const LINES_AROUND_COMPACT: usize = 6;

/// Columns of the words behind the bars.
const WORDS: usize = 26;
const WORDS_COMPACT: usize = 12;

/// Draws the news until there are no more.
pub(super) async fn show(plan: &Plan, mut feed: mpsc::UnboundedReceiver<News>) -> Result<(), Failure> {
    let started = Instant::now();
    let mut screen = Screen::new(plan.color)?;
    let mut picture = Picture::new(plan);
    let mut frames = interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            news = feed.recv() => match news {
                Some(news) => picture.take(news),
                None => break,
            },
            _ = frames.tick() => screen.draw(&picture.compose(started.elapsed(), screen.room()))?,
        }
    }
    picture.is_over = true;
    screen.draw(&picture.compose(started.elapsed(), screen.room()))?;
    Ok(())
}

struct Picture<'a> {
    plan: &'a Plan,
    glyphs: Glyphs,
    lives: Vec<Life>,
    /// As the store listed it last.
    queue: Vec<Who>,
    tokens: Vec<FencingToken>,
    last: Option<Departure>,
    newest: Option<Who>,
    is_over: bool,
}

/// What one contender went through.
#[derive(Clone, Debug, Default)]
struct Life {
    entered: Option<Duration>,
    granted: Option<(Duration, FencingToken)>,
    notified: Vec<Duration>,
    left: Option<(Duration, How)>,
}

/// The last departure, as far as is known.
struct Departure {
    who: Who,
    how: How,
    waiters: usize,
    notified: Vec<Who>,
}

/// The characters of the picture. Each is one column wide.
struct Glyphs {
    waits: char,
    holds: char,
    notified: char,
    crashed: char,
    gave_up: char,
    behind: &'static str,
    frame: [&'static str; 6],
    more: &'static str,
}

const UNICODE: Glyphs = Glyphs {
    waits: '░',
    holds: '█',
    notified: '◆',
    crashed: '✗',
    gave_up: '×',
    behind: " ◂─ ",
    frame: ["╭", "╮", "╰", "╯", "─", "│"],
    more: "…",
};

const ASCII: Glyphs = Glyphs {
    waits: '.',
    holds: '#',
    notified: '!',
    crashed: 'X',
    gave_up: 'x',
    behind: " <- ",
    frame: ["+", "+", "+", "+", "-", "|"],
    more: "...",
};

impl Glyphs {
    /// By the locale, as the C library reads it.
    fn of_locale() -> Self {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        if locale.contains("utf-8") || locale.contains("utf8") { UNICODE } else { ASCII }
    }
}

impl<'a> Picture<'a> {
    fn new(plan: &'a Plan) -> Self {
        Self {
            plan,
            glyphs: Glyphs::of_locale(),
            lives: plan.script.contenders().map(|_| Life::default()).collect(),
            queue: vec![],
            tokens: vec![],
            last: None,
            newest: None,
            is_over: false,
        }
    }

    fn take(&mut self, News { at, what }: News) {
        match what {
            What::Entered { who } => {
                self.newest = Some(who);
                self.change(who, |life| life.entered = Some(at));
            }
            What::Granted { who, token } => {
                self.tokens.push(token);
                self.change(who, |life| life.granted = Some((at, token)));
            }
            What::Leaves { who, how, waiters } => {
                self.last = Some(Departure { who, how, waiters, notified: vec![] });
                self.change(who, |life| life.left = Some((at, how)));
            }
            What::Notified { who, about } => {
                self.change(who, |life| life.notified.push(at));
                if let Some(last) = self.last.as_mut().filter(|last| last.who == about) {
                    last.notified.push(who);
                }
            }
            What::Queue(queue) => self.queue = queue,
            What::Lost { .. } | What::Settled { .. } => {}
        }
    }

    fn change(&mut self, who: Who, change: impl FnOnce(&mut Life)) {
        if let Some(life) = self.lives.get_mut(usize::from(who.0)) {
            change(life);
        }
    }

    fn life(&self, who: Who) -> Option<&Life> {
        self.lives.get(usize::from(who.0))
    }

    /// Who has been granted the lock and has not left.
    fn holder(&self) -> Option<Who> {
        self.plan.script.contenders().find(|who| self.life(*who).is_some_and(Life::holds))
    }

    fn waiters(&self) -> Vec<Who> {
        let waits = |who: &Who| self.life(*who).is_some_and(|life| life.granted.is_none() && life.left.is_none());
        self.queue.iter().copied().filter(waits).collect()
    }

    fn compose(&self, now: Duration, (columns, rows): (usize, usize)) -> Vec<Line> {
        let has_ornaments = columns >= COLUMNS_FOR_ORNAMENTS && rows >= ROWS_FOR_ORNAMENTS;
        let mut lines = vec![self.head(now, columns)];
        let around = if has_ornaments { LINES_AROUND } else { LINES_AROUND_COMPACT };
        if has_ornaments {
            lines.push(Line::default());
            lines.extend(self.queue_in_frame(columns));
            lines.push(self.tokens(columns));
            lines.push(Line::default());
        } else {
            lines.push(self.queue_in_a_line(columns));
            lines.push(self.tokens(columns));
        }
        lines.extend(self.bars(now, columns, rows.saturating_sub(around), has_ornaments));
        if has_ornaments {
            lines.push(self.legend());
        }
        if !self.is_over {
            if has_ornaments {
                lines.push(Line::default());
            }
            lines.extend(self.captions(has_ornaments));
        }
        lines
    }

    fn head(&self, now: Duration, columns: usize) -> Line {
        let clock = format!("{:.1} s", now.as_secs_f64());
        let text = self.plan.headline();
        let room = columns.saturating_sub(clock.len() + 2);
        let (name, rest) = text.split_at(text.find(':').map_or(0, |at| at + 1));
        let rest: String = rest.chars().take(room.saturating_sub(name.len())).collect();
        let mut line = Line::default().with(Style::Strong, name).with(Style::Plain, rest);
        let gap = columns.saturating_sub(line.width() + clock.len());
        line.push(Style::Faint, format!("{}{clock}", " ".repeat(gap)));
        line
    }

    /// The holder in a frame, and who waits behind it.
    fn queue_in_frame(&self, columns: usize) -> Vec<Line> {
        const INNER: usize = 9;
        let [top_left, top_right, bottom_left, bottom_right, flat, upright] = self.glyphs.frame;
        let name = self.holder().map_or_else(|| "nobody".to_owned(), |who| who.to_string());
        let edge = flat.repeat(INNER);
        let waiters = self.waiters();
        let mut middle = Line::default().with(Style::Good, format!("  {upright}{name:^INNER$}{upright}"));
        self.push_waiters(&mut middle, &waiters, columns);
        vec![
            Line::default().with(Style::Faint, format!("   {:<INNER$}    {}", "holds", waiting_words(&waiters))),
            Line::default().with(Style::Good, format!("  {top_left}{edge}{top_right}")),
            middle,
            Line::default().with(Style::Good, format!("  {bottom_left}{edge}{bottom_right}")),
        ]
    }

    fn queue_in_a_line(&self, columns: usize) -> Line {
        let name = self.holder().map_or_else(|| "-".to_owned(), |who| who.to_string());
        let mut line = Line::default().with(Style::Good, format!("[{name}]"));
        self.push_waiters(&mut line, &self.waiters(), columns);
        line
    }

    fn push_waiters(&self, line: &mut Line, waiters: &[Who], columns: usize) {
        let width = self.glyphs.behind.chars().count() + 1;
        let room = columns.saturating_sub(line.width() + width) / width;
        for who in waiters.iter().take(room) {
            line.push(Style::Faint, self.glyphs.behind);
            line.push(Style::Waiting, who.to_string());
        }
        if waiters.len() > room {
            line.push(Style::Faint, format!("{}{}", self.glyphs.behind, self.glyphs.more));
        }
    }

    /// The tokens of all grants so far, the newest last; the oldest give way.
    fn tokens(&self, columns: usize) -> Line {
        const TITLE: &str = " fencing tokens  ";
        let mut shown = String::new();
        let mut newest = String::new();
        for (age, token) in self.tokens.iter().rev().enumerate() {
            let text = token.to_string();
            let room = TITLE.len() + self.glyphs.more.chars().count() + " < ".len() * 2;
            if room + newest.len() + shown.chars().count() + text.len() > columns {
                shown.insert_str(0, &format!("{} < ", self.glyphs.more));
                break;
            }
            if age == 0 {
                newest = text;
            } else {
                shown.insert_str(0, &format!("{text} < "));
            }
        }
        Line::default().with(Style::Faint, TITLE).with(Style::Plain, shown).with(Style::Strong, newest)
    }

    /// Everybody's time, one line each; if there are more than lines, those about whom something happens.
    fn bars(&self, now: Duration, columns: usize, lines_max: usize, has_ornaments: bool) -> Vec<Line> {
        let words = if has_ornaments { WORDS } else { WORDS_COMPACT };
        let width = columns.saturating_sub(words + 4);
        let total = self.plan.pace.total.max(now);
        let now = if self.is_over { total } else { now };
        let all: Vec<_> = self.plan.script.contenders().collect();
        let is_settled = |who: &&Who| self.life(**who).is_some_and(|life| life.left.is_some());
        // One that has left stays in sight above the holder.
        let first = all.iter().take_while(is_settled).count().saturating_sub(1);
        let first = first.min(all.len().saturating_sub(lines_max));
        let bar = |who: &Who| {
            let life = self.life(*who).cloned().unwrap_or_default();
            let mut line = Line::default().with(life.style(), format!("  {who} "));
            self.push_bar(&mut line, &life, now, total, width);
            let (style, text) = self.words(*who, &life, has_ornaments);
            line.push(style, format!(" {text}"));
            line
        };
        all.iter().skip(first).take(lines_max).map(bar).collect()
    }

    fn push_bar(&self, line: &mut Line, life: &Life, now: Duration, total: Duration, width: usize) {
        let column = |at: Duration| {
            let share = at.as_secs_f64() / total.as_secs_f64().max(f64::MIN_POSITIVE);
            // Truncation is meant: a column is drawn once its time has come.
            ((share * width as f64) as usize).min(width.saturating_sub(1))
        };
        let end = life.left.map_or(now, |(at, _)| at);
        let mut cells = vec![(Style::Plain, ' '); width];
        let mut fill = |from: Duration, to: Duration, cell| {
            let (from, to) = (column(from), column(to));
            cells.iter_mut().take(to + 1).skip(from).for_each(|at| *at = cell);
        };
        if let Some(entered) = life.entered {
            fill(entered, life.granted.map_or(end, |(at, _)| at), (Style::Waiting, self.glyphs.waits));
        }
        if let Some((granted, _)) = life.granted {
            fill(granted, end, (Style::Good, self.glyphs.holds));
        }
        for notified in &life.notified {
            fill(*notified, *notified, (Style::Alert, self.glyphs.notified));
        }
        match life.left {
            Some((at, How::Crashed)) => fill(at, at, (Style::Bad, self.glyphs.crashed)),
            Some((at, How::GaveUp)) => fill(at, at, (Style::Alert, self.glyphs.gave_up)),
            Some((_, How::Released)) | None => {}
        }
        for run in cells.chunk_by(|(left, _), (right, _)| left == right) {
            line.push(run[0].0, run.iter().map(|(_, glyph)| glyph).collect::<String>());
        }
    }

    fn words(&self, who: Who, life: &Life, has_ornaments: bool) -> (Style, String) {
        let token = life.granted.map(|(_, token)| token);
        let with_token = |word: &str| match token {
            Some(token) if has_ornaments => format!("{word}, token {token}"),
            _ => word.to_owned(),
        };
        match (life.left, life.entered) {
            (Some((_, How::Released)), _) => (Style::Faint, with_token("released")),
            (Some((_, How::Crashed)), _) => (Style::Bad, with_token("crashed")),
            (Some((_, How::GaveUp)), _) => (Style::Alert, with_token("gave up")),
            (None, _) if token.is_some() => (Style::Good, with_token("holds")),
            (None, None) => (Style::Faint, String::new()),
            (None, Some(_)) => match self.waiters().iter().position(|waiter| *waiter == who) {
                Some(0) => (Style::Plain, "is next".to_owned()),
                Some(ahead) if has_ornaments => (Style::Faint, format!("waits, {} ahead", ahead + 1)),
                _ => (Style::Faint, "waits".to_owned()),
            },
        }
    }

    fn legend(&self) -> Line {
        let glyphs = &self.glyphs;
        let mut line = Line::default().with(Style::Plain, "    ");
        for (style, glyph, text) in [
            (Style::Waiting, glyphs.waits, "waits"),
            (Style::Alert, glyphs.notified, "is notified"),
            (Style::Good, glyphs.holds, "holds"),
            (Style::Bad, glyphs.crashed, "crashes"),
            (Style::Alert, glyphs.gave_up, "gives up"),
        ] {
            line.push(style, glyph.to_string());
            line.push(Style::Faint, format!(" {text}   "));
        }
        line
    }

    /// What happened last, in words, and whom it woke.
    fn captions(&self, has_ornaments: bool) -> [Line; 2] {
        let Some(Departure { who, how, waiters, notified }) = &self.last else {
            let text = match self.newest {
                Some(who) if self.holder() == Some(who) => format!(" {who} finds the queue empty."),
                Some(who) => format!(" {who} enters at the end of the queue."),
                None => String::new(),
            };
            return [Line::default().with(Style::Plain, text), Line::default()];
        };
        let (style, text) = match how {
            How::Released => (Style::Plain, format!(" {who} releases the lock.")),
            How::Crashed if has_ornaments => (Style::Bad, format!(" {who} crashes: {}.", self.plan.crash_told())),
            How::Crashed => (Style::Bad, format!(" {who} crashes: its session ends.")),
            How::GaveUp => (Style::Alert, format!(" {who} gives up, in the middle of the queue.")),
        };
        let mut effect = Line::default();
        if *waiters > 0 {
            effect.push(Style::Strong, format!(" {} of {waiters} waiters notified: ", notified.len()));
            effect.push(Style::Alert, list(notified));
            if *how == How::GaveUp && has_ornaments && !notified.is_empty() {
                effect.push(Style::Plain, ", which moves up");
            }
        }
        [Line::default().with(style, text), effect]
    }
}

impl Life {
    fn holds(&self) -> bool {
        self.granted.is_some() && self.left.is_none()
    }

    fn style(&self) -> Style {
        match (self.left, self.granted, self.entered) {
            (Some(_), ..) | (None, None, None) => Style::Faint,
            (None, Some(_), _) => Style::Good,
            (None, None, Some(_)) => Style::Waiting,
        }
    }
}

fn waiting_words(waiters: &[Who]) -> String {
    match waiters.len() {
        0 => "nobody waits".to_owned(),
        n => format!("{n} wait{}, first come first served", if n == 1 { "s" } else { "" }),
    }
}
