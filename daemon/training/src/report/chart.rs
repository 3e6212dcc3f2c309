//! A curve as SVG: the values faintly, and their course.

use std::fmt::Write;

use super::curve::{Curve, Point, number};
use super::page::Text;

/// The drawing's own units; it is stretched to the room there is.
const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 100.0;
/// What lies beyond these shares of all values is cut off: a single outlier would flatten the rest.
const SHOWN: (f64, f64) = (0.01, 0.99);
/// How much of the course is the next value.
const SMOOTHING: f64 = 0.2;
/// Fewer points are shown as they are.
const FEW_POINTS: usize = 24;

/// What a chart shows.
struct Frame {
    first: f64,
    last: f64,
    low: f64,
    high: f64,
}

impl Frame {
    fn of(points: &[Point]) -> Option<Self> {
        let (first, last) = (points.first()?.step, points.last()?.step);
        let mut values: Vec<f64> = points.iter().map(|point| point.value).collect();
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
        let (low, high) = (at(SHOWN.0), at(SHOWN.1));
        // A level curve runs through the middle.
        let room = if high > low { 0.0 } else { high.abs().max(1e-9) * 0.1 };
        Some(Self { first, last, low: low - room, high: high + room })
    }

    /// As a list of `x,y`.
    fn place(&self, points: impl Iterator<Item = Point>) -> String {
        let mut list = String::new();
        for point in points {
            let x = (point.step - self.first) / (self.last - self.first).max(1.0) * WIDTH;
            let y =
                (1.0 - (point.value.clamp(self.low, self.high) - self.low) / (self.high - self.low)) * HEIGHT;
            let _ = write!(list, "{x:.1},{y:.1} ");
        }
        list.trim_end().to_owned()
    }
}

/// The chart, as a `figure`; nothing for a curve without points.
pub(super) fn figure(curve: &Curve) -> String {
    let points: Vec<Point> = curve.points().collect();
    let Some(frame) = Frame::of(&points) else { return String::new() };
    let name = Text(&curve.name);
    let Frame { first, last, low, high } = frame;
    let course = match points.len() {
        ..FEW_POINTS => frame.place(points.iter().copied()),
        _ => frame.place(smoothed(&points)),
    };
    let values = frame.place(points.iter().copied());
    let now = number(points[points.len() - 1].value);
    format!(
        r#"<figure class="chart" data-frame="{first} {last} {low} {high}">
<figcaption><span>{name}</span><output>{now}</output></figcaption>
<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{name} over the steps, now {now}">
<polyline class="values" points="{values}"/><polyline class="course" points="{course}"/></svg>
<div class="steps"><span>{first:.0}</span><span>{} to {}</span><span>step {last:.0}</span></div>
</figure>
"#,
        number(low),
        number(high),
    )
}

/// An exponential moving average, begun with what comes first.
fn smoothed(points: &[Point]) -> impl Iterator<Item = Point> {
    let mut mean = points[0].value;
    points.iter().enumerate().map(move |(i, point)| {
        mean += (point.value - mean) * SMOOTHING.max(1.0 / (i + 1) as f64);
        Point { value: mean, ..*point }
    })
}
