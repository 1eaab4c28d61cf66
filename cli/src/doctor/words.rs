//! Times and lists, as people read them.

use std::time::Duration;

/// Such as `0.4 ms`, `12 ms` or `3.0 s`: as exact as anybody needs it.
pub(super) fn time(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1_000.0;
    match millis {
        ..9.95 => format!("{millis:.1} ms"),
        ..999.5 => format!("{millis:.0} ms"),
        // Whole seconds are what people configure.
        _ if millis % 1_000.0 == 0.0 => format!("{:.0} s", millis / 1_000.0),
        _ => format!("{:.1} s", millis / 1_000.0),
    }
}

/// `1 server`, `3 servers`.
pub(super) fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_exact_as_anybody_needs_them() {
        let of = |micros| time(Duration::from_micros(micros));
        assert_eq!(
            [of(0), of(440), of(9_949), of(9_951), of(999_400)],
            ["0.0 ms", "0.4 ms", "9.9 ms", "10 ms", "999 ms"]
        );
        assert_eq!([of(1_000_000), of(1_500_000), of(40_000_000)], ["1 s", "1.5 s", "40 s"]);
    }
}
