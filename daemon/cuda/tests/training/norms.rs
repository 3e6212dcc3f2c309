//! Norms over the channels of a pixel, and over the pixels of a map.

use utsushi_cuda::training as gpu;
use utsushi_cuda::training::Batch;
use utsushi_kernels::Cpu;
use utsushi_kernels::backward as cpu;

use super::{assert_close, bench, noise, shape, upload};

const SHARE: f32 = 1e-4;

fn check(x: [usize; 4]) {
    let Some(bench) = bench() else { return };
    let what = |of: &str| format!("{of} of {x:?}");
    let [maps, rows, cols, channels] = x;
    let batch = Batch { maps, rows, cols, channels };
    let (detected, of) = (Cpu::detect(), shape(batch));
    let on = |values: &[f32]| upload(bench, values);

    // Channels far from 0, by different lengths.
    let far = |(i, x): (usize, f32)| 2.0 * x + (i % channels % 7) as f32;
    let x: Vec<f32> = noise(1, batch.len()).into_iter().enumerate().map(far).collect();
    let gradient = noise(2, batch.len());
    let (scale, shift) = (noise(3, channels), noise(4, channels));
    let (x_on, gradient_on, scale_on, shift_on) = (on(&x), on(&gradient), on(&scale), on(&shift));

    let affine = Some((&scale_on, &shift_on));
    let want = cpu::norm_forward(detected, &scale, &shift, &x);
    let got = gpu::norm_forward(bench, &x_on, batch, affine).expect("a norm");
    assert_close(&what("norm"), bench, &got, &want, SHARE);
    let want = cpu::norm_gradients(detected, &scale, &x, &gradient);
    let got = gpu::norm_gradients(bench, Some(&scale_on), &x_on, batch, &gradient_on).expect("gradients");
    let (d_scale, d_shift) = got.affine.expect("scale and shift have gradients");
    // With one channel the result doesn't depend on the input: its gradient is made of what was rounded.
    if channels > 1 {
        assert_close(&what("norm's gradient"), bench, &got.x, &want.x, SHARE);
    }
    assert_close(&what("scale's gradient"), bench, &d_scale, &want.scale, SHARE);
    assert_close(&what("shift's gradient"), bench, &d_shift, &want.shift, SHARE);

    let (ones, zeros) = (vec![1.0; channels], vec![0.0; channels]);
    let want = cpu::norm_forward(detected, &ones, &zeros, &x);
    let got = gpu::norm_forward(bench, &x_on, batch, None).expect("a norm");
    assert_close(&what("plain norm"), bench, &got, &want, SHARE);
    let want = cpu::norm_gradients(detected, &ones, &x, &gradient).x;
    let got = gpu::norm_gradients(bench, None, &x_on, batch, &gradient_on).expect("gradients");
    assert!(got.affine.is_none());
    if channels > 1 {
        assert_close(&what("plain norm's gradient"), bench, &got.x, &want, SHARE);
    }

    let want = cpu::pixel_norm(detected, channels, &x);
    let got = gpu::pixel_norm(bench, &x_on, batch).expect("a norm");
    assert_close(&what("pixel norm"), bench, &got, &want, SHARE);
    let want = cpu::pixel_norm_gradient(detected, channels, &x, &gradient);
    let got = gpu::pixel_norm_gradient(bench, &x_on, batch, &gradient_on).expect("a gradient");
    assert_close(&what("pixel norm's gradient"), bench, &got, &want, SHARE);

    let floor = 0.01;
    let want = cpu::instance_norm(&x, of, floor);
    let result = gpu::instance_norm(bench, &x_on, batch, floor).expect("a norm");
    assert_close(&what("instance norm"), bench, &result, &want, SHARE);
    let want = cpu::instance_norm_gradient(&x, of, floor, &want, &gradient);
    let got = gpu::instance_norm_gradient(bench, &x_on, batch, floor, &result, &gradient_on);
    assert_close(&what("instance norm's gradient"), bench, &got.expect("a gradient"), &want, SHARE);
}

#[test]
fn norms_and_their_gradients() {
    check([1, 3, 5, 1]);
    check([2, 4, 5, 2]);
    check([3, 9, 7, 3]);
    check([1, 13, 11, 15]);
    check([2, 6, 7, 20]);
    check([1, 8, 9, 48]);
    check([2, 33, 35, 12]);
    check([2, 5, 3, 96]);
    check([1, 4, 4, 256]);
    // So many that a thread doesn't keep all it has.
    check([2, 3, 3, 230]);
    check([1, 2, 5, 516]);
}
