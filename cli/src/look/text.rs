//! Text on a terminal: without what a terminal obeys, measured in columns, and times that people can read.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// What is shown in place of a character that must not be, and behind a text that was cut.
const REPLACEMENT: char = '\u{fffd}';
const CUT: char = '~';

/// Text that others have chosen, as it may be shown: no control characters, and none that are invisible or turn the order of others.
pub(crate) fn clean(text: &str) -> String {
    let is_unfit = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180e}'
                | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
                | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}')
    };
    text.chars().map(|c| if is_unfit(c) { REPLACEMENT } else { c }).collect()
}

/// How many columns it takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// At most so many columns of it, with a mark if that is not all.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let (mut kept, mut used) = (String::new(), 0);
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        // One column is for the mark.
        if used >= columns {
            break;
        }
        kept.push(c);
    }
    if columns > 0 {
        kept.push(CUT);
    }
    kept
}

/// The text with spaces behind it, so many columns together.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let spaces = columns - width(&text);
    text + &" ".repeat(spaces)
}

/// A time in its two largest units.
pub(crate) fn span(millis: u64) -> String {
    let seconds = millis / 1_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

/// The time of day, in UTC: whoever reads it elsewhere reads the same.
pub(crate) fn clock(unix_ms: u64) -> String {
    let seconds = unix_ms / 1_000 % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// How many, in words.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_replaced() {
        assert_eq!(
            clean("a\u{1b}[2Jb\nc\u{9b}d\u{202e}e\u{200b}f\u{7f}"),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}f\u{fffd}"
        );
        assert_eq!(clean("\u{34f}\u{115f}\u{3164}\u{ffa0}\u{e0041}"), "\u{fffd}".repeat(5), "invisible");
        assert_eq!(clean("übung 日本 a@b:1"), "übung 日本 a@b:1");
    }

    #[test]
    fn text_is_cut_and_padded_by_columns_not_by_characters() {
        assert_eq!(cut("日本語", 6), "日本語");
        assert_eq!(cut("日本語", 5), "日本~");
        assert_eq!(cut("日本語", 4), "日~");
        assert_eq!(cut("abc", 2), "a~");
        assert_eq!((cut("abc", 1), cut("abc", 0)), ("~".to_owned(), String::new()));
        assert_eq!(pad("日本語", 8), "日本語  ");
        assert_eq!(pad("日本語", 4), "日~ ");
        assert_eq!(width(&pad("e\u{301}", 3)), 3, "an accent takes no column");
    }

    #[test]
    fn times_have_two_units_at_most() {
        for (millis, text) in [
            (0, "0s"),
            (999, "0s"),
            (59_999, "59s"),
            (61_000, "1m01s"),
            (3_600_000, "1h00m"),
            (90_061_000, "1d01h"),
            (u64::MAX, "213503982334d14h"),
        ] {
            assert_eq!(span(millis), text);
        }
        assert_eq!(clock(86_400_000 + 3_723_999), "01:02:03");
    }
}
