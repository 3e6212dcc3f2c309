//! A value over the steps, in a bounded number of points.

use serde::{Deserialize, Serialize};

use super::Kind;

/// Points of a curve. When there are more, two and two become one.
const MAX_POINTS: usize = 512;

/// A value over the steps. Each point is the mean over as many values as any other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Curve {
    pub(super) kind: Kind,
    pub(super) name: String,
    points: Vec<Point>,
    /// Values in a point.
    values: u32,
    /// The values of the next point, so far: how many, and their mean.
    begun: Option<(u32, Point)>,
}

/// The step in the middle of some values, and their mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Point {
    pub(super) step: f64,
    pub(super) value: f64,
}

impl Point {
    /// The mean, with as many values in this as in the other times `weight`.
    fn mean(self, other: Self, weight: f64) -> Self {
        let mean = |a: f64, b: f64| a + (b - a) * weight;
        Self { step: mean(self.step, other.step), value: mean(self.value, other.value) }
    }
}

impl Curve {
    pub(super) fn new(kind: Kind, name: &str) -> Self {
        Self { kind, name: name.to_owned(), points: Vec::new(), values: 1, begun: None }
    }

    pub(super) fn push(&mut self, step: u64, value: f64) {
        if !value.is_finite() {
            return;
        }
        let point = Point { step: step as f64, value };
        // A job that went back to a checkpoint comes by here again.
        if self.last().is_some_and(|last| last.step >= point.step) {
            self.points.retain(|earlier| earlier.step < point.step);
            self.begun = None;
        }
        let (count, mean) = match self.begun.take() {
            Some((count, mean)) => (count + 1, mean.mean(point, 1.0 / f64::from(count + 1))),
            None => (1, point),
        };
        if count < self.values {
            self.begun = Some((count, mean));
            return;
        }
        self.points.push(mean);
        if self.points.len() == MAX_POINTS {
            self.points = self.points.chunks_exact(2).map(|two| two[0].mean(two[1], 0.5)).collect();
            self.values *= 2;
        }
    }

    /// All points, the unfinished one too.
    pub(super) fn points(&self) -> impl Iterator<Item = Point> + Clone {
        self.points.iter().copied().chain(self.begun.map(|(_, point)| point))
    }

    /// The last point.
    pub(super) fn last(&self) -> Option<Point> {
        self.begun.map(|(_, point)| point).or(self.points.last().copied())
    }
}

/// A number with three digits that matter.
pub(super) fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let before_point = value.abs().log10().floor() as i32 + 1;
    match before_point {
        7.. | ..=-4 => format!("{value:.2e}"),
        3.. => format!("{value:.0}"),
        _ => {
            let digits = format!("{value:.*}", (3 - before_point) as usize);
            digits.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_curve_keeps_its_shape_in_few_points() {
        let mut curve = Curve::new(Kind::Loss, "l1");
        let value = |step: f64| 1.0 / (1.0 + step / 1000.0);
        for step in 1..=50_000 {
            curve.push(step, value(step as f64));
        }
        let points: Vec<_> = curve.points().collect();
        assert!((MAX_POINTS / 2..=MAX_POINTS).contains(&points.len()), "{}", points.len());
        assert!(points.windows(2).all(|two| two[0].step < two[1].step));
        for point in points {
            assert!((point.value - value(point.step)).abs() < 0.01, "{point:?}");
        }
        assert!(curve.last().expect("points").step > 49_900.0);
    }

    #[test]
    fn a_curve_that_goes_back_forgets_what_came_after() {
        let mut curve = Curve::new(Kind::Loss, "l1");
        for step in (0..2000).chain(700..800) {
            curve.push(step, step as f64);
        }
        curve.push(800, f64::NAN);
        let points: Vec<_> = curve.points().collect();
        assert!(points.windows(2).all(|two| two[0].step < two[1].step));
        assert!((790.0..800.0).contains(&curve.last().expect("points").step));
    }

    #[track_caller]
    fn check(value: f64, want: &str) {
        assert_eq!(number(value), want);
    }

    #[test]
    fn numbers_are_short() {
        check(0.0, "0");
        check(1.0, "1");
        check(-0.5, "-0.5");
        check(0.123456, "0.123");
        check(0.00123456, "0.00123");
        check(12.3456, "12.3");
        check(123.456, "123");
        check(123456.0, "123456");
        check(0.00001234, "1.23e-5");
        check(1.5e9, "1.50e9");
        check(0.998, "0.998");
    }
}
