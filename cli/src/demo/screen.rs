//! A block of lines at the bottom of the terminal, drawn over and over.

use std::io::{self, Write};

use crossterm::cursor::{Hide, MoveTo, MoveToColumn, MoveUp, Show};
use crossterm::style::{Attribute, Color, ResetColor, SetAttribute, SetForegroundColor};
use crossterm::terminal::{self, Clear, ClearType};
use crossterm::{QueueableCommand, execute};

/// Where the terminal does not tell its size.
const SIZE_ASSUMED: (u16, u16) = (80, 24);

/// How a piece of text looks. Colours say nothing that the text does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Faint,
    Strong,
    Good,
    Waiting,
    Alert,
    Bad,
}

/// A line of the picture.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pieces: Vec<(Style, String)>,
}

impl Line {
    pub(super) fn push(&mut self, style: Style, text: impl Into<String>) {
        self.pieces.push((style, text.into()));
    }

    pub(super) fn with(mut self, style: Style, text: impl Into<String>) -> Self {
        self.push(style, text);
        self
    }

    /// In columns: the picture uses only characters that are one column wide.
    pub(super) fn width(&self) -> usize {
        self.pieces.iter().map(|(_, text)| text.chars().count()).sum()
    }
}

/// The block. The cursor is hidden as long as it exists.
pub(super) struct Screen {
    color: bool,
    lines_drawn: u16,
    size: (u16, u16),
}

impl Screen {
    pub(super) fn new(color: bool) -> io::Result<Self> {
        let screen = Self { color, lines_drawn: 0, size: size() };
        execute!(io::stdout(), Hide)?;
        Ok(screen)
    }

    /// Columns and rows that can be drawn on. One of each stays free, so that nothing wraps or scrolls.
    pub(super) fn room(&self) -> (usize, usize) {
        let (columns, rows) = size();
        (usize::from(columns.saturating_sub(1)), usize::from(rows.saturating_sub(1)))
    }

    /// Draws the lines over those drawn before.
    pub(super) fn draw(&mut self, lines: &[Line]) -> io::Result<()> {
        let mut frame = Vec::new();
        let (columns, rows) = self.room();
        if self.size != size() {
            // The terminal has moved the old lines about; nobody knows where.
            self.size = size();
            self.lines_drawn = 0;
            frame.queue(Clear(ClearType::All))?.queue(MoveTo(0, 0))?;
        }
        if self.lines_drawn > 0 {
            frame.queue(MoveUp(self.lines_drawn))?;
        }
        frame.queue(MoveToColumn(0))?;
        let lines = &lines[..lines.len().min(rows)];
        for line in lines {
            self.write_line(&mut frame, line, columns)?;
            frame.queue(Clear(ClearType::UntilNewLine))?;
            frame.write_all(b"\r\n")?;
        }
        frame.queue(Clear(ClearType::FromCursorDown))?;
        self.lines_drawn = u16::try_from(lines.len()).unwrap_or(u16::MAX);
        // In one piece, so that it does not flicker.
        let mut out = io::stdout().lock();
        out.write_all(&frame)?;
        out.flush()
    }

    fn write_line(&self, frame: &mut Vec<u8>, line: &Line, columns: usize) -> io::Result<()> {
        let mut room = columns;
        for (style, text) in &line.pieces {
            let shown: String = text.chars().take(room).collect();
            room -= shown.chars().count();
            if *style == Style::Plain || !self.color {
                frame.write_all(shown.as_bytes())?;
                continue;
            }
            match style {
                Style::Plain => {}
                Style::Faint => _ = frame.queue(SetAttribute(Attribute::Dim))?,
                Style::Strong => _ = frame.queue(SetAttribute(Attribute::Bold))?,
                Style::Good => {
                    _ = frame.queue(SetAttribute(Attribute::Bold))?.queue(SetForegroundColor(Color::Green))?
                }
                Style::Waiting => _ = frame.queue(SetForegroundColor(Color::Cyan))?,
                Style::Alert => {
                    _ = frame.queue(SetAttribute(Attribute::Bold))?.queue(SetForegroundColor(Color::Yellow))?
                }
                Style::Bad => _ = frame.queue(SetAttribute(Attribute::Bold))?.queue(SetForegroundColor(Color::Red))?,
            }
            frame.write_all(shown.as_bytes())?;
            frame.queue(SetAttribute(Attribute::Reset))?.queue(ResetColor)?;
        }
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // If the terminal is gone, there is no cursor to bring back.
        let _ = execute!(io::stdout(), Show);
    }
}

fn size() -> (u16, u16) {
    match terminal::size() {
        Ok((columns, rows)) if columns > 0 && rows > 0 => (columns, rows),
        _ => SIZE_ASSUMED,
    }
}
