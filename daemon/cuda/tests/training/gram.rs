//! How channels go together.

use utsushi_cuda::training as gpu;
use utsushi_cuda::training::Batch;
use utsushi_kernels::Cpu;
use utsushi_kernels::backward as cpu;

use super::{assert_close, bench, noise, shape, upload};

/// What TF32 rounds.
const SHARE: f32 = 2e-3;

fn check(x: [usize; 4]) {
    let Some(bench) = bench() else { return };
    let what = |of: &str| format!("{of} of {x:?}");
    let [maps, rows, cols, channels] = x;
    let batch = Batch { maps, rows, cols, channels };
    // Far from 0, and in each map elsewhere.
    let far = |(i, x): (usize, f32)| x + 3.0 + (i / (rows * cols * channels)) as f32;
    let x: Vec<f32> = noise(1, batch.len()).into_iter().enumerate().map(far).collect();
    let x_on = upload(bench, &x);

    let want = cpu::gram(Cpu::detect(), &x, shape(batch));
    let got = gpu::gram(bench, &x_on, batch).expect("a matrix");
    assert_close(&what("matrix"), bench, &got, &want, SHARE);

    let gradient = noise(2, channels * channels);
    let want = cpu::gram_gradient(Cpu::detect(), &x, shape(batch), &gradient);
    let got = gpu::gram_gradient(bench, &x_on, batch, &upload(bench, &gradient)).expect("a gradient");
    assert_close(&what("gradient"), bench, &got, &want, SHARE);
}

#[test]
fn gram_matrices_and_their_gradients() {
    check([1, 3, 4, 1]);
    check([2, 5, 7, 15]);
    check([3, 8, 6, 20]);
    check([1, 10, 9, 64]);
    check([2, 4, 5, 96]);
}
