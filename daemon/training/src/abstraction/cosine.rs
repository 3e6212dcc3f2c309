//! The discrete cosine transform of two rows at once.
//!
//! `C[k] = Σ x[n] cos(π k (2n + 1) / 2N)` (DCT-II) by one complex Fourier transform of the same length: even places
//! forwards, odd ones backwards, and a rotation (Makhoul 1980, doi 10.1109/TASSP.1980.1163351). The transform is
//! linear, so that two rows go through it as one of complex numbers, and come out side by side.

use std::f64::consts::PI;
use std::sync::Arc;

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

pub(super) struct Cosine {
    forward: Arc<dyn Fft<f32>>,
    inverse: Arc<dyn Fft<f32>>,
    /// `exp(-iπk / 2N)`.
    rotations: Vec<Complex<f32>>,
    rows: Vec<Complex<f32>>,
    turned: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl Cosine {
    /// For rows of this length.
    pub(super) fn new(length: usize) -> Self {
        let mut planner = FftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(length), planner.plan_fft_inverse(length));
        let rotation = |k: usize| {
            let (sin, cos) = (-PI * k as f64 / (2 * length) as f64).sin_cos();
            Complex::new(cos as f32, sin as f32)
        };
        let scratch = forward.get_inplace_scratch_len().max(inverse.get_inplace_scratch_len());
        let zeros = |count| vec![Complex::default(); count];
        Self {
            forward,
            inverse,
            rotations: (0..length).map(rotation).collect(),
            rows: zeros(length),
            turned: zeros(length),
            scratch: zeros(scratch),
        }
    }

    /// Transforms both rows in place.
    pub(super) fn forward(&mut self, a: &mut [f32], b: &mut [f32]) {
        let (even, odd) = self.rows.split_at_mut(a.len().div_ceil(2));
        let pairs = || a.iter().zip(&*b);
        even.iter_mut().zip(pairs().step_by(2)).for_each(|(v, (a, b))| *v = Complex::new(*a, *b));
        odd.iter_mut()
            .rev()
            .zip(pairs().skip(1).step_by(2))
            .for_each(|(v, (a, b))| *v = Complex::new(*a, *b));
        self.forward.process_with_scratch(&mut self.rows, &mut self.scratch);
        // V[k] w + V[N - k] w*, halved; V[N] is V[0].
        let backwards = std::iter::once(&self.rows[0]).chain(self.rows[1..].iter().rev());
        let turned = self.rows.iter().zip(backwards).zip(&self.rotations);
        for (((v, back), w), (a, b)) in turned.zip(a.iter_mut().zip(b)) {
            let both = v * w + back * w.conj();
            (*a, *b) = (both.re * 0.5, both.im * 0.5);
        }
    }

    /// The way back.
    pub(super) fn inverse(&mut self, a: &mut [f32], b: &mut [f32]) {
        let length = a.len();
        // (Z[k] - i Z[N - k]) w*; Z[N] is 0.
        self.turned[0] = Complex::new(a[0], b[0]);
        let there = a[1..].iter().zip(&b[1..]);
        let back = there.clone().rev();
        for (((turned, w), (a, b)), (back_a, back_b)) in
            self.turned[1..].iter_mut().zip(&self.rotations[1..]).zip(there).zip(back)
        {
            *turned = Complex::new(a + back_b, b - back_a) * w.conj();
        }
        self.inverse.process_with_scratch(&mut self.turned, &mut self.scratch);
        let scale = 1.0 / length as f32;
        let (even, odd) = self.turned.split_at(length.div_ceil(2));
        for ((a, b), v) in a.iter_mut().zip(b.iter_mut()).step_by(2).zip(even) {
            (*a, *b) = (v.re * scale, v.im * scale);
        }
        for ((a, b), v) in a.iter_mut().zip(b.iter_mut()).skip(1).step_by(2).zip(odd.iter().rev()) {
            (*a, *b) = (v.re * scale, v.im * scale);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(length: usize) {
        let row = |phase: f32| (0..length).map(|n| (n as f32 * 1.7 + phase).sin()).collect::<Vec<f32>>();
        let (a, b) = (row(0.3), row(2.0));
        let direct = |row: &[f32], k: usize| {
            let angle = |n: usize| PI * (k * (2 * n + 1)) as f64 / (2 * length) as f64;
            row.iter().enumerate().map(|(n, &x)| f64::from(x) * angle(n).cos()).sum::<f64>()
        };
        let (mut to_a, mut to_b) = (a.clone(), b.clone());
        let mut cosine = Cosine::new(length);
        cosine.forward(&mut to_a, &mut to_b);
        for (row, transformed) in [(&a, &to_a), (&b, &to_b)] {
            for (k, value) in transformed.iter().enumerate() {
                let off = f64::from(*value) - direct(row, k);
                assert!(off.abs() < 1e-4, "length {length}, coefficient {k}: off by {off}");
            }
        }
        cosine.inverse(&mut to_a, &mut to_b);
        let off =
            a.iter().chain(&b).zip(to_a.iter().chain(&to_b)).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
        assert!(off < 1e-5, "length {length}: there and back is off by {off}");
    }

    #[test]
    fn it_is_the_sum_of_cosines_and_comes_back() {
        for length in [1, 2, 3, 4, 5, 7, 8, 30, 31, 96, 97] {
            check(length);
        }
    }
}
