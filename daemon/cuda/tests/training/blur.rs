//! The binomial filter and its gradient: bit for bit the processor's, since all but two sums are exact.

use utsushi_cuda::training as gpu;
use utsushi_cuda::training::Batch;
use utsushi_kernels::Cpu;
use utsushi_kernels::backward as cpu;

use super::{assert_same, bench, noise, shape, upload};

fn check([maps, rows, cols, channels]: [usize; 4]) {
    let Some(bench) = bench() else { return };
    let of = Batch { maps, rows, cols, channels };
    let (x, gradient) = (noise(1, of.len()), noise(2, of.len()));
    let (x_on, gradient_on) = (upload(bench, &x), upload(bench, &gradient));

    let got = gpu::blur(bench, &x_on, of).expect("filtered");
    assert_same(&format!("filtered {of:?}"), bench, &got, &cpu::blur(Cpu::detect(), &x, shape(of)));
    let got = gpu::blur_gradient(bench, &gradient_on, of).expect("a gradient");
    let want = cpu::blur_gradient(Cpu::detect(), &gradient, shape(of));
    assert_same(&format!("gradient of filtered {of:?}"), bench, &got, &want);

    // By the definition: <B x, g> is <x, B^T g>.
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    let filtered = gpu::blur(bench, &x_on, of).expect("filtered");
    let both = bench.download(&[&filtered, &got]).expect("values");
    let (there, back) = (dot(&both[..of.len()], &gradient), dot(&x, &both[of.len()..]));
    assert!((there - back).abs() < 1e-5 * of.len() as f64, "{of:?}: {there} and {back}");
}

#[test]
fn filters() {
    for maps in [[1, 2, 2, 1], [2, 2, 5, 3], [1, 3, 2, 4], [3, 6, 11, 24], [2, 8, 9, 15], [1, 33, 17, 12]] {
        check(maps);
    }
}
