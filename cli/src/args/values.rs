//! How values are written on the command line, in the environment and in the configuration file.

use std::time::Duration;

/// The longest time that can be given: about a hundred years, which a deadline can still be counted with.
const DURATION_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Seconds, with a fraction if need be, or a number with units: `90`, `0.5`, `500ms`, `1h 30m`. Zero is allowed.
pub(crate) fn duration_or_zero(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let parsed = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => humantime::parse_duration(text).ok(),
    };
    parsed
        .filter(|duration| *duration <= DURATION_MAX)
        .ok_or_else(|| "give seconds, such as 90 or 0.5, or a number with a unit, such as 500ms, 10m or 2h".to_owned())
}

/// The same, but not zero.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    match duration_or_zero(text)? {
        duration if duration < Duration::from_millis(1) => Err("give at least a millisecond".to_owned()),
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_seconds_or_have_units() {
        for (text, millis) in [("90", 90_000), ("0.5", 500), (" 500ms ", 500), ("1h 30m", 5_400_000), ("2m", 120_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(duration_or_zero("0"), Ok(Duration::ZERO));
    }

    #[test]
    fn durations_that_make_no_sense_are_refused() {
        for text in ["", "0", "-1", "NaN", "inf", "1e30", "x", "10 parsecs", "0.0001"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
