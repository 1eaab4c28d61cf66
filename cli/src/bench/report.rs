//! What was measured, as text and as JSON.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};

use super::plan::Plan;
use super::tally::{Alone, Contended, Latencies};

/// Everything there is to tell.
pub(super) struct Results {
    /// `ZooKeeper` or `embedded store`.
    pub(super) place: &'static str,
    pub(super) session_timeout: Duration,
    pub(super) alone: Alone,
    pub(super) contended: Contended,
    pub(super) is_interrupted: bool,
}

/// The columns behind the count.
const QUANTILES: [(&str, f64); 5] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];

impl Results {
    /// The latencies with their names, in the order of the report. The last two are there only under contention.
    pub(super) fn latencies(&self) -> [(&'static str, &Latencies); 6] {
        [
            ("read", &self.alone.read),
            ("write", &self.alone.write),
            ("acquire alone", &self.alone.acquire),
            ("release alone", &self.alone.release),
            ("wait", &self.contended.wait),
            ("hand-over", &self.contended.hand_over),
        ]
    }

    /// In words.
    pub(super) fn title(&self, plan: &Plan) -> String {
        format!("{}: {}", self.place, plan.describe())
    }

    pub(super) fn print(&self, plan: &Plan, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}\n", self.title(plan))?;
        write!(out, "{:14} {:>9} {:>10}", "", "count", "min")?;
        for (name, _) in QUANTILES {
            write!(out, " {name:>10}")?;
        }
        writeln!(out, " {:>10}", "max")?;
        for (name, latencies) in self.latencies() {
            write!(out, "{name:14} {:>9} {:>10}", latencies.count(), time(latencies.min()))?;
            for (_, quantile) in QUANTILES {
                write!(out, " {:>10}", time(latencies.quantile_reached(quantile)))?;
            }
            writeln!(out, " {:>10}", time(latencies.max()))?;
        }
        let contended = &self.contended;
        let (least, most) = contended.grants_of_one.unwrap_or_default();
        let calls = |calls: Option<f64>| calls.map_or("-".to_owned(), |calls| format!("{calls:.1}"));
        writeln!(
            out,
            "\ngrants           {} in {:.1?}: {:.1} per second",
            contended.grants,
            contended.elapsed,
            contended.grants_per_second()
        )?;
        writeln!(out, "fairness         {least} to {most} grants per contender")?;
        writeln!(out, "still waiting    {} at the end, whose waits are not counted", contended.still_waiting)?;
        writeln!(out, "out of order     {}", contended.violations.order)?;
        writeln!(out, "held twice       {}", contended.violations.overlaps)?;
        writeln!(
            out,
            "store calls      {} per acquisition alone, {} under contention",
            calls(self.alone.calls_per_acquisition),
            calls(contended.calls_per_acquisition)
        )?;
        write!(out, "failures         {}", contended.failures.count)?;
        match &contended.failures.first {
            Some(error) => writeln!(out, ", the first: {error}")?,
            None => writeln!(out)?,
        }
        if self.is_interrupted {
            writeln!(out, "\ninterrupted: measured is what there was until then")?;
        }
        out.flush()
    }

    /// docs/CLI.md describes it; what is there is neither renamed nor removed.
    pub(super) fn document(&self, plan: &Plan) -> Value {
        let latencies = self.latencies().map(|(name, latencies)| (name.replace([' ', '-'], "_"), summary(latencies)));
        let contended = &self.contended;
        json!({
            "parameters": {
                "place": if self.place == super::EMBEDDED { "embedded" } else { "zookeeper" },
                "clients": plan.clients,
                "contenders": plan.contenders,
                "locks": plan.locks,
                "duration_millis": u64::try_from(plan.duration.as_millis()).unwrap_or(u64::MAX),
                "hold_micros": u64::try_from(plan.hold.as_micros()).unwrap_or(u64::MAX),
                "session_timeout_millis": u64::try_from(self.session_timeout.as_millis()).unwrap_or(u64::MAX),
            },
            "latencies_micros": latencies.into_iter().collect::<serde_json::Map<_, _>>(),
            "grants": contended.grants,
            "elapsed_micros": u64::try_from(contended.elapsed.as_micros()).unwrap_or(u64::MAX),
            "grants_per_second": contended.grants_per_second(),
            "grants_per_contender": contended.grants_of_one.map(|(least, most)| json!({ "min": least, "max": most })),
            "still_waiting": contended.still_waiting,
            "order_violations": contended.violations.order,
            "overlaps": contended.violations.overlaps,
            "store_calls_per_acquisition": {
                "alone": self.alone.calls_per_acquisition,
                "contended": contended.calls_per_acquisition,
            },
            "failures": {
                "count": contended.failures.count,
                "first": contended.failures.first.as_ref().map(ToString::to_string),
            },
            "interrupted": self.is_interrupted,
        })
    }
}

fn summary(latencies: &Latencies) -> Value {
    let micros = |time: Option<Duration>| time.map(|time| (time.as_secs_f64() * 1e7).round() / 10.0);
    json!({
        "count": latencies.count(),
        "min": micros(latencies.min()),
        "mean": micros(latencies.mean()),
        "p50": micros(latencies.quantile_reached(0.5)),
        "p90": micros(latencies.quantile_reached(0.9)),
        "p99": micros(latencies.quantile_reached(0.99)),
        "p99_9": micros(latencies.quantile_reached(0.999)),
        "p99_99": micros(latencies.quantile_reached(0.9999)),
        "max": micros(latencies.max()),
    })
}

/// With three digits and a unit that fits.
pub(super) fn time(time: Option<Duration>) -> String {
    let Some(time) = time else { return "-".to_owned() };
    let (value, unit) = match time.as_secs_f64() {
        seconds if seconds >= 0.9995 => (seconds, "s"),
        seconds if seconds >= 0.000_999_5 => (seconds * 1e3, "ms"),
        seconds => (seconds * 1e6, "us"),
    };
    match value {
        ..9.995 => format!("{value:.2} {unit}"),
        ..99.95 => format!("{value:.1} {unit}"),
        _ => format!("{value:.0} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits() {
        let of = |nanos| time(Some(Duration::from_nanos(nanos)));
        assert_eq!([of(0), of(1_234), of(12_340), of(999_400)], ["0.00 us", "1.23 us", "12.3 us", "999 us"]);
        assert_eq!([of(1_234_000), of(999_400_000), of(61_000_000_000)], ["1.23 ms", "999 ms", "61.0 s"]);
        assert_eq!(time(None), "-");
    }
}
