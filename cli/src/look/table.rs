//! Rows of text in columns.

use super::text::{cut, pad, width};

const GAP: &str = "  ";

/// The rows as lines, each column as wide as its widest text but the last, and each line cut to so many columns if that is given.
pub(super) fn lines<R: AsRef<[String]>>(rows: &[R], columns: Option<usize>) -> Vec<String> {
    let number = rows.first().map_or(0, |row| row.as_ref().len());
    let widest = |column: usize| rows.iter().map(|row| width(&row.as_ref()[column])).max().unwrap_or(0);
    let widths: Vec<usize> = (0..number).map(widest).collect();
    let line = |row: &[String]| {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, &width)| pad(cell, width)).collect();
        let line = cells.join(GAP);
        let line = line.trim_end();
        columns.map_or_else(|| line.to_owned(), |columns| cut(line, columns))
    };
    rows.iter().map(|row| line(row.as_ref())).collect()
}

/// How many columns standard output has; `None` if it is no terminal, and nothing is to be cut.
pub(super) fn columns() -> Option<usize> {
    use std::io::IsTerminal as _;
    if !std::io::stdout().is_terminal() {
        return None;
    }
    crossterm::terminal::size().ok().map(|(columns, _)| usize::from(columns)).filter(|columns| *columns > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_cut_only_on_request() {
        let rows = [["a", "日本", "x"], ["bcd", "e", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(lines(&rows, None), ["a    日本  x", "bcd  e"]);
        assert_eq!(lines(&rows, Some(7)), ["a    ~", "bcd  e"]);
    }
}
