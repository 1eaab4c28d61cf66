//! The terminal's other screen, while somebody looks; the first one is back whatever ends it.

use std::io;
use std::thread;

use crossterm::event::{self, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::DefaultTerminal;
use ratatui::style::{Color, Modifier, Style};
use tokio::sync::mpsc;

use super::view::{Line, Tone};

/// What the terminal tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// To end.
    Quit,
    /// To end, by Ctrl-C.
    Interrupt,
    /// Its size has changed.
    Resized,
}

/// The view, until it is dropped.
pub(super) struct Screen {
    terminal: DefaultTerminal,
    is_colored: bool,
    /// After the terminal, which shows the cursor again.
    _restored: Restored,
}

/// Restores the terminal when it is dropped, also if it was not taken over completely.
struct Restored;

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        let is_colored = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let restored = Restored;
        Ok(Self { terminal: ratatui::try_init()?, is_colored, _restored: restored })
    }

    /// Draws what is composed for so many columns and rows.
    pub(super) fn draw(&mut self, compose: impl Fn(usize, usize) -> Vec<Line>) -> io::Result<()> {
        self.terminal.draw(|frame| {
            let area = frame.area();
            let lines = compose(usize::from(area.width), usize::from(area.height));
            for (row, line) in (area.top()..area.bottom()).zip(lines) {
                let style = if self.is_colored { style(line.tone) } else { Style::new() };
                let width = usize::from(area.width);
                frame.buffer_mut().set_stringn(area.left(), row, &line.text, width, style);
            }
        })?;
        Ok(())
    }
}

impl Drop for Restored {
    fn drop(&mut self) {
        // If the terminal is gone, there is nothing to restore.
        let _ = ratatui::try_restore();
    }
}

/// What the terminal tells, as it comes. Nothing comes from one that cannot be read; signals still end the program.
pub(super) fn listen() -> mpsc::UnboundedReceiver<Told> {
    let (sender, receiver) = mpsc::unbounded_channel();
    // Not one of the runtime's: reading cannot be cancelled, and must not keep the program from ending.
    thread::spawn(move || {
        while let Ok(event) = event::read() {
            if let Some(told) = meaning(&event)
                && sender.send(told).is_err()
            {
                return;
            }
        }
    });
    receiver
}

fn meaning(event: &event::Event) -> Option<Told> {
    match event {
        event::Event::Resize(..) => Some(Told::Resized),
        event::Event::Key(KeyEvent { kind: KeyEventKind::Release, .. }) => None,
        event::Event::Key(KeyEvent { code: KeyCode::Char('c'), modifiers, .. })
            if modifiers.contains(KeyModifiers::CONTROL) =>
        {
            Some(Told::Interrupt)
        }
        event::Event::Key(KeyEvent { code: KeyCode::Char('q' | 'Q') | KeyCode::Esc, .. }) => Some(Told::Quit),
        _ => None,
    }
}

fn style(tone: Tone) -> Style {
    let style = Style::new();
    match tone {
        Tone::Title => style.add_modifier(Modifier::BOLD | Modifier::REVERSED),
        Tone::Head => style.add_modifier(Modifier::BOLD),
        Tone::Holder => style.fg(Color::Green).add_modifier(Modifier::BOLD),
        Tone::Waiter => style.fg(Color::Yellow),
        Tone::Plain => style,
        Tone::Faint => style.add_modifier(Modifier::DIM),
        Tone::Good => style.fg(Color::Green),
        Tone::Alert => style.fg(Color::Red).add_modifier(Modifier::BOLD),
    }
}
