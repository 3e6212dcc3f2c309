//! What is done to each value for itself, and means of all values.

use std::sync::Arc;

use cudarc::driver::LaunchConfig;

use super::bench::{Arg, Values, Workbench, blocks, each};
use crate::Error;

const THREADS: usize = 256;
/// Values that a thread has at a time.
const FOUR: usize = 4;
/// Values that a block sums.
const PART: usize = 8 * FOUR * THREADS;
/// A value a warp.
const SUM_SHARED: usize = THREADS / 32 * size_of::<f32>();

fn fours(count: usize) -> LaunchConfig {
    each(count.div_ceil(FOUR))
}

/// The sums of as many values.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If there are not as many of both, or none.
pub fn add(bench: &Arc<Workbench>, a: &Values, b: &Values) -> Result<Values, Error> {
    assert!(a.len() == b.len() && !a.is_empty());
    let mut out = bench.room(a.len())?;
    let args = [Arg::In(a), Arg::In(b), Arg::Out(&mut out), Arg::Int(a.len())];
    bench.run("add_values", fours(a.len()), &[&args])?;
    Ok(out)
}

/// The gradient of what goes into an activation, from the result and its gradient. `slope` is what negative results were
/// multiplied with.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If there are not as many of both, or none.
pub fn before_activation(
    bench: &Arc<Workbench>,
    result: &Values,
    gradient: &Values,
    slope: f32,
) -> Result<Values, Error> {
    let len = result.len();
    assert!(len == gradient.len() && len > 0);
    let mut out = bench.room(len)?;
    let args = [Arg::In(result), Arg::In(gradient), Arg::Out(&mut out), Arg::Int(len), Arg::Float(slope)];
    bench.run("through_activation", fours(len), &[&args])?;
    Ok(out)
}

/// The mean of |x|, when all that was asked of the GPU is done.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If there is no value.
pub fn mean_abs(bench: &Arc<Workbench>, x: &Values) -> Result<f32, Error> {
    let mean = bench.mean_distance(x, None)?;
    Ok(bench.download(&[&mean])?[0])
}

/// One value: the mean of |a - b|.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If there are not as many of both, or none.
pub fn distance(bench: &Arc<Workbench>, a: &Values, b: &Values) -> Result<Values, Error> {
    assert_eq!(a.len(), b.len());
    bench.mean_distance(a, Some(b))
}

/// The gradient of `a`, from that of [`distance`], which is one value. It is 0 where `a` and `b` are equal.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If there are not as many of both, or none.
pub fn distance_gradient(
    bench: &Arc<Workbench>,
    a: &Values,
    b: &Values,
    given: &Values,
) -> Result<Values, Error> {
    assert!(a.len() == b.len() && !a.is_empty() && given.len() == 1);
    let mut out = bench.room(a.len())?;
    let args = [Arg::In(a), Arg::In(b), Arg::In(given), Arg::Out(&mut out), Arg::Int(a.len())];
    bench.run("through_distance", fours(a.len()), &[&args])?;
    Ok(out)
}

impl Workbench {
    fn mean_distance(self: &Arc<Self>, a: &Values, b: Option<&Values>) -> Result<Values, Error> {
        assert!(!a.is_empty());
        let parts = a.len().div_ceil(PART);
        let (mut sums, mut mean) = (self.room(parts)?, self.room(1)?);
        let args = [Arg::In(a), Arg::Maybe(b), Arg::Out(&mut sums), Arg::Int(a.len()), Arg::Int(PART)];
        self.run("sum_distances", blocks([parts, 1, 1], THREADS, SUM_SHARED), &[&args])?;
        let args = [Arg::In(&sums), Arg::Out(&mut mean), Arg::Int(parts), Arg::Int(a.len())];
        self.run("mean_of_sums", blocks([1, 1, 1], THREADS, SUM_SHARED), &[&args])?;
        Ok(mean)
    }
}
