//! The latencies as a picture: how many were how quick, with room for the slowest of thousands.

use std::error::Error;
use std::ops::Range;
use std::time::Duration;

use plotters::prelude::*;

use super::plan::Picture;
use super::report;
use super::tally::Latencies;

const SIZE: (u32, u32) = (960, 600);

/// Told apart by people who see colours differently as well (Okabe and Ito).
const COLORS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

/// The horizontal axis counts nines: 0 is none of all, 1 is 90 %, 2 is 99 %, as far as this.
const NINES_MAX: f64 = 5.0;
/// Points of a curve for each nine.
const POINTS_PER_NINE: u32 = 40;

/// Draws it.
pub(super) fn draw(title: &str, latencies: &[(&str, &Latencies)], kind: Picture) -> Result<String, Box<dyn Error>> {
    let curves: Vec<_> = latencies.iter().map(|(name, latencies)| (*name, curve(latencies))).collect();
    let svg = svg(title, &curves)?;
    Ok(match kind {
        Picture::Svg => svg,
        Picture::Html => format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>fairlock bench</title>\n<style>body {{ background: \
             white; margin: 1em }} svg {{ max-width: 100%; height: auto }}</style>\n{svg}\n</html>\n"
        ),
    })
}

/// The points of a curve: nines, and milliseconds.
fn curve(latencies: &Latencies) -> Vec<(f64, f64)> {
    let count = latencies.count() as f64;
    // Beyond one in all there is nothing to see.
    let last = count.max(1.0).log10().min(NINES_MAX);
    let points = (last * f64::from(POINTS_PER_NINE)).ceil() as u32;
    (0..=points)
        .map(|point| (f64::from(point) / f64::from(POINTS_PER_NINE)).min(last))
        .filter_map(|nines| Some((nines, millis(latencies.quantile(1.0 - 10_f64.powf(-nines))?))))
        .collect()
}

fn millis(time: Duration) -> f64 {
    // A logarithm of nothing there is not.
    (time.as_secs_f64() * 1e3).max(1e-6)
}

fn svg(title: &str, curves: &[(&str, Vec<(f64, f64)>)]) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let area = area.titled(title, ("sans-serif", 18))?;
        let mut chart = ChartBuilder::on(&area)
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(72)
            .build_cartesian_2d(0.0..nines_shown(curves), millis_shown(curves).log_scale())?;
        chart
            .configure_mesh()
            .x_desc("percentile")
            .y_desc("latency (log scale)")
            .x_labels(6)
            .x_label_formatter(&|nines| percentile(*nines))
            .y_label_formatter(&|millis| report::time(Some(Duration::from_secs_f64(millis / 1e3))))
            .bold_line_style(RGBColor(200, 200, 200))
            .light_line_style(RGBColor(235, 235, 235))
            .label_style(("sans-serif", 13))
            .axis_desc_style(("sans-serif", 15))
            .draw()?;
        for ((name, points), color) in curves.iter().zip(COLORS) {
            if points.is_empty() {
                continue;
            }
            chart
                .draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)))?
                .label(*name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE)
            .border_style(RGBColor(200, 200, 200))
            .label_font(("sans-serif", 14))
            .draw()?;
        area.present()?;
    }
    Ok(text)
}

fn nines_shown(curves: &[(&str, Vec<(f64, f64)>)]) -> f64 {
    curves.iter().filter_map(|(_, points)| points.last()).map(|(nines, _)| *nines).fold(1.0, f64::max)
}

/// Whole powers of ten, so that the axis has marks.
fn millis_shown(curves: &[(&str, Vec<(f64, f64)>)]) -> Range<f64> {
    let all = || curves.iter().flat_map(|(_, points)| points).map(|(_, millis)| *millis);
    let (least, most) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
    if most <= 0.0 {
        return 0.1..10.0;
    }
    let (low, high) = (least.log10().floor(), most.log10().ceil());
    10_f64.powf(low)..10_f64.powf(high.max(low + 1.0))
}

/// `0%`, `90%`, `99%`, `99.9%`.
fn percentile(nines: f64) -> String {
    let hundredths = 100.0 * (1.0 - 10_f64.powf(-nines));
    let decimals = (nines.round() as usize).saturating_sub(2);
    format!("{hundredths:.decimals$}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latencies(count: u64) -> Latencies {
        let mut latencies = Latencies::default();
        for micros in 1..=count {
            latencies.record(Duration::from_micros(micros));
        }
        latencies
    }

    #[test]
    fn a_picture_has_axes_with_units_and_no_scripts() {
        let (read, none) = (latencies(20_000), Latencies::default());
        for kind in [Picture::Svg, Picture::Html] {
            let picture = draw("4 contenders <&>", &[("read", &read), ("wait", &none)], kind).expect("a picture");
            for part in ["percentile", "latency", "99.9%", "1.00 ms", "read", "4 contenders &lt;&amp;&gt;", "</svg>"] {
                assert!(picture.contains(part), "{part} is missing:\n{picture}");
            }
            assert!(!picture.contains("script") && !picture.contains("NaN") && !picture.contains("inf"), "{picture}");
        }
    }

    #[test]
    fn nothing_measured_is_an_empty_picture() {
        let none = Latencies::default();
        let picture = draw("", &[("read", &none)], Picture::Svg).expect("a picture");
        assert!(picture.contains("percentile") && !picture.contains("NaN"), "{picture}");
    }

    #[test]
    fn a_curve_ends_with_the_slowest_of_all() {
        let points = curve(&latencies(1_000));
        let (nines, millis) = points.last().copied().expect("points");
        assert!((nines - 3.0).abs() < 1e-9 && (millis - 1.0).abs() < 0.01, "{nines} {millis}");
        assert!(points.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1));
        assert_eq!(
            [percentile(0.0), percentile(1.0), percentile(2.0), percentile(4.0)],
            ["0%", "90%", "99%", "99.99%"]
        );
    }
}
