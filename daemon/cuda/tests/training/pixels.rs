//! What losses make of pictures, and how discriminators see them changed.

use utsushi_cuda::training::{
    Batch, Change, change, change_gradient, deviation, reduce, reduction_gradient, subtract, variation,
    variation_gradient,
};
use utsushi_kernels::backward;

use super::{assert_close, bench, noise, shape, upload};

const EXACT: f32 = 1e-5;

#[test]
fn changes_of_pictures() {
    let Some(bench) = bench() else { return };
    let cases = [
        (0.2, 1.3, [0, 0], [20, 20]),
        (-0.4, 0.7, [2, -3], [-2, 3]),
        (0.0, 0.5, [-2, 1], [4, 5]),
        (0.5, 1.0, [0, 3], [0, -4]),
    ];
    for channels in [1, 3] {
        let batch = Batch { maps: cases.len(), rows: 12, cols: 14, channels };
        let (x, given) = (noise(1, batch.len()), noise(2, batch.len()));
        let ours =
            cases.map(|(brightness, contrast, shift, hole)| Change { brightness, contrast, shift, hole });
        let reference = cases.map(|(brightness, contrast, shift, hole)| backward::Change {
            brightness,
            contrast,
            shift,
            hole,
            hole_px: 6,
        });
        let got = change(bench, &upload(bench, &x), batch, &ours, 6).expect("changed");
        assert_close("changed", bench, &got, &backward::change(&x, shape(batch), &reference), EXACT);
        let got = change_gradient(bench, &upload(bench, &given), batch, &ours, 6).expect("a gradient");
        let want = backward::change_gradient(&given, shape(batch), &reference);
        assert_close("its gradient", bench, &got, &want, EXACT);
    }
}

#[test]
fn means_differences_and_deviations() {
    let Some(bench) = bench() else { return };
    let batch = Batch { maps: 2, rows: 12, cols: 8, channels: 3 };
    let (x, other) = (noise(1, batch.len()), noise(2, batch.len()));
    let on = upload(bench, &x);
    let want: Vec<_> = x.iter().zip(&other).map(|(a, b)| a - b).collect();
    let got = subtract(bench, &on, &upload(bench, &other)).expect("differences");
    assert_close("differences", bench, &got, &want, EXACT);

    let mean = x.iter().sum::<f32>() / x.len() as f32;
    let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / x.len() as f32;
    let got = deviation(bench, &on).expect("a number");
    assert!((got - f64::from(variance.sqrt())).abs() < 1e-4, "{got}, not {}", variance.sqrt());

    let at = |n: usize, y: usize, i: usize, c: usize| ((n * 12 + y) * 8 + i) * 3 + c;
    for factor in [1, 2, 4] {
        let small = Batch { rows: 12 / factor, cols: 8 / factor, ..batch };
        let given = noise(3, small.len());
        let (mut want, mut want_gradient) = (vec![0.0; small.len()], vec![0.0; batch.len()]);
        for (i, gradient) in want_gradient.iter_mut().enumerate() {
            let (c, col, row, n) = (i % 3, i / 3 % 8, i / 24 % 12, i / 24 / 12);
            let to = ((n * small.rows + row / factor) * small.cols + col / factor) * 3 + c;
            want[to] += x[at(n, row, col, c)] / (factor * factor) as f32;
            *gradient = given[to] / (factor * factor) as f32;
        }
        let got = reduce(bench, &on, batch, factor).expect("reduced");
        assert_close("reduced", bench, &got, &want, EXACT);
        let got = reduction_gradient(bench, &upload(bench, &given), batch, factor).expect("a gradient");
        assert_close("its gradient", bench, &got, &want_gradient, EXACT);
    }

    // Its gradient, by the definition: what a value's own four differences give.
    let (across, down) = (1.0 / (2 * 12 * 7 * 3) as f32, 1.0 / (2 * 11 * 8 * 3) as f32);
    let (mut want, mut want_gradient) = (0.0, vec![0.0; batch.len()]);
    for i in 0..x.len() {
        let (col, row) = (i / 3 % 8, i / 24 % 12);
        for (step, share, is_there) in [(3, across, col < 7), (24, down, row < 11)] {
            if is_there {
                let difference = x[i + step] - x[i];
                want += difference.abs() * share;
                want_gradient[i + step] += 0.5 * difference.signum() * share;
                want_gradient[i] -= 0.5 * difference.signum() * share;
            }
        }
    }
    let got = variation(bench, &on, batch).expect("a number");
    assert_close("variation", bench, &got, &[want], EXACT);
    let got = variation_gradient(bench, &on, batch, &upload(bench, &[0.5])).expect("a gradient");
    assert_close("its gradient", bench, &got, &want_gradient, EXACT);
}
