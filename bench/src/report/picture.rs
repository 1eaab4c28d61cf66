//! The figures that grow, or do not, as pictures.

use std::ops::Range;

use plotters::prelude::*;

use super::{medians, slowest, time};
use crate::contenders::Name;
use crate::error::{Error, Result};
use crate::results::{LOOPBACK, Results, Row, Work};
use crate::workloads::hand_over::WITHIN;

const SIZE: (u32, u32) = (900, 480);

/// Told apart by people who see colours differently as well (Okabe and Ito).
fn color(name: Name) -> RGBColor {
    match name {
        Name::Floor => RGBColor(0, 0, 0),
        Name::Fairlock => RGBColor(0, 114, 178),
        Name::ZookeeperClient => RGBColor(213, 94, 0),
        Name::Kazoo => RGBColor(0, 158, 115),
        Name::Curator => RGBColor(204, 121, 167),
        Name::Etcd => RGBColor(86, 180, 233),
        Name::Redis => RGBColor(230, 159, 0),
    }
}

type Curves = Vec<(Name, Vec<(f64, f64)>)>;

/// File name, title and text of each picture that has something to show.
pub(super) fn draw(results: &Results) -> Result<Vec<(String, String, String)>> {
    let slow = slowest(results);
    let mut drawn = Vec::new();
    let mut add = |name: &str, title: String, axis: &str, label: &dyn Fn(&f64) -> String, curves: Curves| {
        if curves.iter().any(|(_, points)| points.len() > 1) {
            let svg = svg(&title, axis, label, &curves).map_err(|error| Error::Picture(error.to_string()))?;
            drawn.push((format!("{name}.svg"), title, svg));
        }
        Ok::<_, Error>(())
    };
    let seconds = |seconds: &f64| time(*seconds);
    let hand_over = curves(results, |row| match row.work {
        Work::HandOver { waiters } if row.link == slow => Some((waiters as f64, row.times.median()?)),
        _ => None,
    });
    add("hand-over", format!("A hand-over, {}", slow.text()), "waiters", &seconds, hand_over)?;
    let drain = curves(results, |row| match row.work {
        Work::Drain { waiters } if row.link == LOOPBACK => Some((waiters as f64, row.times.median()?)),
        _ => None,
    });
    add("drain", "A hand-over while a queue drains, loopback".to_owned(), "waiters at first", &seconds, drain)?;
    let bytes = curves(results, |row| match row.work {
        Work::HandOver { waiters } if row.link == LOOPBACK => {
            Some((waiters as f64, row.costs.get(WITHIN)?.first()?.bytes as f64))
        }
        _ => None,
    });
    let label = |bytes: &f64| format!("{bytes:.0}");
    add("bytes", "Bytes on the wire for a hand-over".to_owned(), "waiters", &label, bytes)?;
    Ok(drawn)
}

fn curves(results: &Results, of: impl Fn(&Row) -> Option<(f64, f64)>) -> Curves {
    Name::ALL.into_iter().map(|name| (name, medians(results, name, &of))).collect()
}

fn svg(
    title: &str,
    axis: &str,
    label: &dyn Fn(&f64) -> String,
    curves: &Curves,
) -> std::result::Result<String, Box<dyn std::error::Error>> {
    let points = || curves.iter().flat_map(|(_, points)| points).copied();
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let area = area.titled(title, ("sans-serif", 18))?;
        let mut chart =
            ChartBuilder::on(&area).margin(16).x_label_area_size(44).y_label_area_size(72).build_cartesian_2d(
                span(points().map(|(x, _)| x)).log_scale(),
                powers(points().map(|(_, y)| y)).log_scale(),
            )?;
        chart
            .configure_mesh()
            .x_desc(format!("{axis} (log scale)"))
            .x_label_formatter(&|count| format!("{count:.0}"))
            .y_label_formatter(&label)
            .bold_line_style(RGBColor(200, 200, 200))
            .light_line_style(RGBColor(235, 235, 235))
            .label_style(("sans-serif", 13))
            .axis_desc_style(("sans-serif", 15))
            .draw()?;
        for (name, points) in curves.iter().filter(|(_, points)| !points.is_empty()) {
            let color = color(*name);
            // A curve may cover another exactly, which is the best that can be said of one.
            chart
                .draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)).point_size(4))?
                .label(name.text())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE)
            .border_style(RGBColor(200, 200, 200))
            .label_font(("sans-serif", 14))
            .draw()?;
        area.present()?;
    }
    Ok(text)
}

fn span(all: impl Iterator<Item = f64> + Clone) -> Range<f64> {
    let (least, most) = (all.clone().fold(f64::INFINITY, f64::min), all.fold(0.0, f64::max));
    least..most.max(least * 2.0)
}

/// Whole powers of ten and a little more, so that the axis has marks at both of its ends.
fn powers(all: impl Iterator<Item = f64> + Clone) -> Range<f64> {
    let span = span(all.map(|figure| figure.max(1e-9)));
    let (low, high) = (span.start.log10().floor(), span.end.log10().ceil());
    10_f64.powf(low - 0.01)..10_f64.powf(high.max(low + 1.0) + 0.01)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::results::Shot;

    #[test]
    fn a_picture_has_the_names_of_those_who_were_measured() {
        let mut results = Results::default();
        for waiters in [100, 1_000] {
            for name in [Name::Fairlock, Name::Kazoo] {
                let shot = Shot::new(Duration::from_micros(waiters as u64), vec![]);
                results.add(Work::Drain { waiters }, LOOPBACK, name, shot);
            }
        }
        let drawn = draw(&results).expect("a picture");
        let [(name, _, svg)] = &drawn[..] else { panic!("{} pictures", drawn.len()) };
        assert_eq!(name, "drain.svg");
        assert!(svg.contains("fairlock") && svg.contains("kazoo") && !svg.contains("Curator"), "{svg}");
        assert!(svg.contains("100 µs") && !svg.contains("NaN"), "{svg}");
    }

    #[test]
    fn nothing_measured_is_no_picture() {
        assert!(draw(&Results::default()).expect("none").is_empty());
    }
}
