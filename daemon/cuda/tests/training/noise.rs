//! Noise: bit for bit the processor's, which pictures are drawn with; what it is added to, and its weights' gradient.

use utsushi_cuda::training as gpu;
use utsushi_cuda::training::Batch;
use utsushi_kernels::Noise;

use super::{assert_close, assert_same, bench, noise, upload};

/// Of the processor, and as the GPU is told.
fn noises(maps: usize) -> (Vec<Noise>, Vec<utsushi_cuda::Noise>) {
    let far = u32::MAX - 2;
    let at = |map: usize| [(0, 0), (5, 1000), (1 << 20, 3), (far, far)][map % 4];
    let of = |map: usize| Noise::new((map as u64) << 31 | 7, map as u32, 1.0 / (map + 1) as f32, at(map));
    let all: Vec<_> = (0..maps).map(of).collect();
    let parts = all.iter().map(|noise| {
        let (key, scale, (x, y)) = noise.parts();
        utsushi_cuda::Noise { key, scale, x, y }
    });
    (all.clone(), parts.collect())
}

fn check([maps, rows, cols, channels]: [usize; 4]) {
    let Some(bench) = bench() else { return };
    let of = Batch { maps, rows, cols, channels };
    let (here, parts) = noises(maps);
    let mut values = vec![0.0; of.pixels()];
    for (i, row) in values.chunks_exact_mut(cols).enumerate() {
        here[i / rows].row(i % rows, 0, row);
    }
    let on = gpu::noise(bench, &parts, rows, cols).expect("noise");
    assert_same(&format!("noise of {of:?}"), bench, &on, &values);

    let (x, weights, gradient) = (noise(1, of.len()), noise(2, channels), noise(3, of.len()));
    let added = x.iter().enumerate().map(|(i, x)| x + weights[i % channels] * values[i / channels]);
    let (x_on, weights_on) = (upload(bench, &x), upload(bench, &weights));
    let got = gpu::add_noise(bench, &x_on, of, &weights_on, &on).expect("sums");
    // A GPU rounds product and sum together.
    assert_close(&format!("noise added to {of:?}"), bench, &got, &added.collect::<Vec<_>>(), 1e-6);

    let mut want = vec![0.0f64; channels];
    for (i, gradient) in gradient.iter().enumerate() {
        want[i % channels] += f64::from(gradient * values[i / channels]);
    }
    let want: Vec<_> = want.iter().map(|sum| *sum as f32).collect();
    let got = gpu::noise_gradient(bench, &upload(bench, &gradient), of, &on).expect("a gradient");
    assert_close(&format!("gradient of noise in {of:?}"), bench, &got, &want, 1e-5);
}

#[test]
fn noise_by_position() {
    for maps in [[1, 1, 1, 1], [2, 3, 5, 4], [4, 9, 7, 3], [5, 16, 40, 24], [2, 30, 33, 48], [1, 8, 300, 160]]
    {
        check(maps);
    }
}
