//! The transforms behind [`winograd`](crate::winograd), in one dimension.
//!
//! `OUTPUTS` results of a correlation with a kernel of `k` values need `n = k + 3` inputs, and, as Toom and Cook
//! found, n products: inputs and kernel are read as polynomials, multiplied at n points, and the results read
//! off again (Lavin and Gray 2015, <https://arxiv.org/abs/1509.09308>). The points are 0, infinity and pairs
//! +-p. A pair's two values are an even part plus and minus an odd one, which halves the work.
//!
//! Which p decides how much rounding is magnified. These were the best of a search: 3/4 and 3/2 are twice as
//! exact as the usual 1 and 2.

use crate::cpu::Lanes;

/// Results of one transform.
pub(crate) const OUTPUTS: usize = 4;

/// For kernels of 3: a root mean square error of 8e-7 of the results in two dimensions.
pub(crate) const THREE: Points<2> = Points::new([0.75, 1.5]);
/// For kernels of 7: 2e-5.
pub(crate) const SEVEN: Points<4> = Points::new([0.375, 0.75, 1.25, 2.0]);

/// 0, `PAIRS` pairs +-p in this order, and infinity: `SIZE = 2 * PAIRS + 2` points.
pub(crate) struct Points<const PAIRS: usize> {
    points: [f32; PAIRS],
    /// For each pair, the product of y - q^2 over the *other* pairs q: its coefficients, the last being 1.
    others: [[f32; PAIRS]; PAIRS],
    /// The same over all pairs, without the last, which is 1.
    all: [f32; PAIRS],
}

impl<const PAIRS: usize> Points<PAIRS> {
    const fn new(points: [f32; PAIRS]) -> Self {
        let mut others = [[0.0; PAIRS]; PAIRS];
        let mut j = 0;
        while j < PAIRS {
            others[j] = product(&points, j).0;
            j += 1;
        }
        let (all, top) = product(&points, PAIRS);
        assert!(top == 1.0);
        Self { points, others, all }
    }

    /// What each of a kernel's `KERNEL = SIZE - 3` values adds to each point.
    pub(crate) fn weights<const KERNEL: usize, const SIZE: usize>(&self) -> [[f64; KERNEL]; SIZE] {
        let squares = self.points.map(|p| f64::from(p * p));
        let mut matrix = [[0.0; KERNEL]; SIZE];
        matrix[0][0] = 1.0 / squares.iter().map(|q| -q).product::<f64>();
        for (j, p) in self.points.into_iter().map(f64::from).enumerate() {
            let others = squares.iter().enumerate().filter(|(i, _)| *i != j);
            let scale = 2.0 * p * p * others.map(|(_, q)| p * p - q).product::<f64>();
            for (i, p) in [(2 * j + 1, p), (2 * j + 2, -p)] {
                matrix[i] = std::array::from_fn(|k| p.powi(k as i32) / scale);
            }
        }
        matrix[SIZE - 1][KERNEL - 1] = 1.0;
        matrix
    }

    /// What `SIZE` neighbouring inputs become.
    #[inline(always)]
    pub(crate) fn inputs<L: Lanes, const SIZE: usize>(&self, lanes: L, x: [L::V; SIZE]) -> [L::V; SIZE] {
        let mut values = [lanes.splat(0.0); SIZE];
        values[0] = sum(lanes, &x, &self.all);
        values[SIZE - 1] = sum(lanes, &x[1..], &self.all);
        for j in 0..PAIRS {
            let factors = &self.others[j][..PAIRS - 1];
            let even = sum(lanes, &x[2..], factors);
            let odd = lanes.mul(lanes.splat(self.points[j]), sum(lanes, &x[1..], factors));
            values[2 * j + 1] = lanes.add(even, odd);
            values[2 * j + 2] = lanes.sub(even, odd);
        }
        values
    }

    /// The results that `SIZE` products give.
    #[inline(always)]
    pub(crate) fn outputs<L: Lanes, const SIZE: usize>(
        &self,
        lanes: L,
        products: [L::V; SIZE],
    ) -> [L::V; OUTPUTS] {
        let mut results = [lanes.splat(0.0); OUTPUTS];
        results[0] = products[0];
        results[OUTPUTS - 1] = products[SIZE - 1];
        for (j, p) in self.points.into_iter().enumerate() {
            let even = lanes.add(products[2 * j + 1], products[2 * j + 2]);
            let odd = lanes.sub(products[2 * j + 1], products[2 * j + 2]);
            results[0] = lanes.add(results[0], even);
            let mut power = p;
            for (i, result) in results.iter_mut().enumerate().skip(1) {
                *result = lanes.mul_add(lanes.splat(power), if i % 2 == 0 { even } else { odd }, *result);
                power *= p;
            }
        }
        results
    }
}

/// Every other value of `x`, times its factor; one more, as it is.
#[inline(always)]
fn sum<L: Lanes>(lanes: L, x: &[L::V], factors: &[f32]) -> L::V {
    let mut sum = x[2 * factors.len()];
    for i in (0..factors.len()).rev() {
        sum = lanes.mul_add(lanes.splat(factors[i]), x[2 * i], sum);
    }
    sum
}

/// The coefficients of the product of y - p^2 over all points but one, in rising order: the first ones, and the
/// one after them.
const fn product<const PAIRS: usize>(points: &[f32; PAIRS], but: usize) -> ([f32; PAIRS], f32) {
    let (mut low, mut top) = ([0.0; PAIRS], 0.0);
    low[0] = 1.0;
    let mut j = 0;
    while j < PAIRS {
        if j != but {
            let square = points[j] * points[j];
            top = low[PAIRS - 1] - square * top;
            let mut i = PAIRS;
            while i > 0 {
                i -= 1;
                low[i] = (if i > 0 { low[i - 1] } else { 0.0 }) - square * low[i];
            }
        }
        j += 1;
    }
    (low, top)
}
