//! Pixels into channels and back, channels joined and parted, the largest of four, and maps enlarged twice.

use std::ops::Range;

use utsushi_cuda::training as gpu;
use utsushi_cuda::training::Batch;
use utsushi_kernels::backward as cpu;

use super::{assert_close, assert_same, bench, noise, shape, upload};

fn batch([maps, rows, cols, channels]: [usize; 4]) -> Batch {
    Batch { maps, rows, cols, channels }
}

fn check_shuffle(x: [usize; 4], factor: usize) {
    let Some(bench) = bench() else { return };
    let (what, fine) = (format!("{x:?} by {factor}"), batch(x));
    let x = noise(1, fine.len());
    let want = cpu::pixel_unshuffle(&x, shape(fine), factor);
    let got = gpu::pixel_unshuffle(bench, &upload(bench, &x), fine, factor).expect("unshuffled");
    assert_same(&format!("unshuffled {what}"), bench, &got, &want);

    let coarse = Batch {
        rows: fine.rows / factor,
        cols: fine.cols / factor,
        channels: fine.channels * factor * factor,
        ..fine
    };
    let want = cpu::pixel_shuffle(&x, shape(coarse), factor);
    let got = gpu::pixel_shuffle(bench, &upload(bench, &x), coarse, factor).expect("shuffled");
    assert_same(&format!("shuffled to {what}"), bench, &got, &want);
}

fn check_channels(pixels: usize, a_channels: usize, b_channels: usize, some: Range<usize>) {
    let Some(bench) = bench() else { return };
    let (a, b) = (noise(1, pixels * a_channels), noise(2, pixels * b_channels));
    let want = cpu::join(&a, a_channels, &b, b_channels);
    let got = gpu::join(bench, &upload(bench, &a), a_channels, &upload(bench, &b), b_channels);
    let got = got.expect("joined");
    assert_same(&format!("{pixels} joined of {a_channels} and {b_channels}"), bench, &got, &want);

    let channels = a_channels + b_channels;
    let want = cpu::part(&want, channels, some.clone());
    let got = gpu::part(bench, &got, channels, some.clone()).expect("a part");
    assert_same(&format!("{pixels} with {some:?} of {channels}"), bench, &got, &want);
}

fn check_maps(x: [usize; 4]) {
    let Some(bench) = bench() else { return };
    let (what, of) = (|how: &str| format!("{how} {x:?}"), batch(x));
    // Of few kinds, so that some are equal.
    let x: Vec<f32> = noise(1, of.len()).iter().map(|x| (x * 4.0).round()).collect();
    let x_on = upload(bench, &x);

    let want = cpu::max_pool2(&x, shape(of));
    let got = gpu::max_pool2(bench, &x_on, of).expect("pooled");
    assert_close(&what("pooled"), bench, &got, &want, 0.0);
    let gradient = noise(2, want.len());
    let want = cpu::max_pool2_gradient(&x, shape(of), &gradient);
    let got = gpu::max_pool2_gradient(bench, &x_on, of, &upload(bench, &gradient)).expect("a gradient");
    assert_same(&what("gradient of pooled"), bench, &got, &want);

    let (x, base) = (noise(3, of.len()), noise(4, 4 * of.len()));
    let want = cpu::upsample2_add_whole(&x, shape(of), &base);
    let got = gpu::upsample2_add(bench, &upload(bench, &x), of, &upload(bench, &base)).expect("enlarged");
    assert_close(&what("enlarged"), bench, &got, &want, 1e-6);
    let want = cpu::upsample2_gradient(&base, shape(of));
    let got = gpu::upsample2_gradient(bench, &upload(bench, &base), of).expect("a gradient");
    assert_close(&what("gradient of enlarged"), bench, &got, &want, 1e-6);
}

#[test]
fn pixels_become_channels() {
    check_shuffle([1, 4, 4, 3], 4);
    check_shuffle([2, 6, 10, 3], 2);
    check_shuffle([3, 4, 8, 5], 4);
    check_shuffle([1, 2, 6, 16], 2);
    check_shuffle([2, 3, 3, 2], 1);
}

#[test]
fn channels_are_joined_and_parted() {
    check_channels(1, 1, 1, 1..2);
    check_channels(35, 12, 3, 10..14);
    check_channels(400, 3, 1, 0..3);
    check_channels(99, 64, 20, 64..84);
    check_channels(50, 16, 16, 16..24);
}

#[test]
fn maps_are_halved_and_doubled() {
    check_maps([1, 2, 2, 1]);
    check_maps([2, 5, 7, 3]);
    check_maps([1, 9, 4, 20]);
    check_maps([3, 6, 11, 64]);
    check_maps([2, 8, 8, 15]);
}
