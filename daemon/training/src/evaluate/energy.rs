//! Energy distance: are two sets of pictures painted alike? (Szekely and Rizzo 2013,
//! <https://doi.org/10.1016/j.jspi.2013.03.018>)
//!
//! `2 E|x - y| - E|x - x'| - E|y - y'|`, with `x` and `y` the features of a cell of a picture of either set: 0 for equal
//! sets, and never less. Lengths grow slowly with what is far off, so that a few unusual cells don't decide, as they do with
//! the third power in kernel inception distance (Binkowski et al. 2018, <https://arxiv.org/abs/1801.01401>). The standard
//! error comes from leaving out one picture after the other (the jackknife: Efron and Stein 1981, doi
//! 10.1214/aos/1176345462).

use super::pooled::{Cells, Pooled};

/// How far a set of pictures is from another, and how sure that is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Energy {
    /// 0 for equal sets.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
}

/// The fewest pictures of a set: one can be left out, and there is still a pair.
pub const LEAST_PICTURES: usize = 3;

/// The distance between sets of pictures, the mean over the sizes that they were looked at in.
///
/// # Panics
/// With fewer than [`LEAST_PICTURES`] in a set, or features of other networks.
pub fn energy(a: &Pooled, b: &Pooled) -> Energy {
    assert!(a.pictures().min(b.pictures()) >= LEAST_PICTURES, "too few pictures");
    let lengths = |a: &Pooled, b: &Pooled| -> Lengths {
        let sizes: Vec<_> = a.sizes.iter().zip(&b.sizes).map(|(a, b)| lengths(a, b)).collect();
        let mean = |i: usize, j: usize| sizes.iter().map(|size| size[i][j]).sum::<f64>() / sizes.len() as f64;
        (0..a.pictures()).map(|i| (0..b.pictures()).map(|j| mean(i, j)).collect()).collect()
    };
    let (aa, bb, ab) = (lengths(a, a), lengths(b, b), lengths(a, b));
    let without =
        |i: Option<usize>, j: Option<usize>| 2.0 * mean(&ab, i, j) - mean(&aa, i, i) - mean(&bb, j, j);
    let variance = jackknife((0..a.pictures()).map(|i| without(Some(i), None)).collect())
        + jackknife((0..b.pictures()).map(|j| without(None, Some(j))).collect());
    Energy { value: without(None, None), standard_error: variance.sqrt() }
}

/// The mean length from the cells of one picture to those of another: a row a picture of the first set.
type Lengths = Vec<Vec<f64>>;

fn lengths(a: &Cells, b: &Cells) -> Lengths {
    assert_eq!(a.features, b.features, "features of other networks");
    let length = |x: &[f32], y: &[f32]| {
        let square: f32 = x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum();
        f64::from(square / x.len() as f32).sqrt()
    };
    let between = |x: &[f32], y: &[f32]| {
        let (xs, ys) = (|| x.chunks_exact(a.features), || y.chunks_exact(b.features));
        let sum: f64 = xs().flat_map(|x| ys().map(move |y| length(x, y))).sum();
        sum / (xs().len() * ys().len()) as f64
    };
    a.pictures().map(|x| b.pictures().map(|y| between(x, y)).collect()).collect()
}

/// The mean over pairs of pictures, without one of either set.
fn mean(lengths: &Lengths, row: Option<usize>, column: Option<usize>) -> f64 {
    let but = |left_out: Option<usize>| move |(i, _): &(usize, _)| Some(*i) != left_out;
    let rows: Vec<&Vec<f64>> =
        lengths.iter().enumerate().filter(|(i, _)| Some(*i) != row).map(|(_, r)| r).collect();
    let values = rows.iter().flat_map(|row| row.iter().enumerate().filter(but(column)));
    let (sum, count) = values.fold((0.0, 0), |(sum, count), (_, value)| (sum + value, count + 1));
    sum / f64::from(count)
}

/// The variance of an estimate, by the estimates without one picture each.
fn jackknife(estimates: Vec<f64>) -> f64 {
    let count = estimates.len() as f64;
    let mean = estimates.iter().sum::<f64>() / count;
    (count - 1.0) / count * estimates.iter().map(|estimate| (estimate - mean).powi(2)).sum::<f64>()
}
