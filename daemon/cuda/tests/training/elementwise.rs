//! What is done to each value for itself, and means of all values.

use utsushi_cuda::training::{add, before_activation, distance, distance_gradient, mean_abs};

use super::{assert_close, assert_same, bench, noise, upload};

fn check(len: usize, slope: f32) {
    let Some(bench) = bench() else { return };
    let what = |of: &str| format!("{of} of {len}");
    let (a, mut b) = (noise(1, len), noise(2, len));
    // Here and there they are equal.
    b.iter_mut().zip(&a).step_by(3).for_each(|(b, a)| *b = *a);
    let (a_on, b_on) = (upload(bench, &a), upload(bench, &b));
    let pairs = || a.iter().zip(&b);

    let want: Vec<f32> = pairs().map(|(a, b)| a + b).collect();
    assert_same(&what("sums"), bench, &add(bench, &a_on, &b_on).expect("sums"), &want);

    let want: Vec<f32> = pairs().map(|(a, b)| if *a > 0.0 { *b } else { b * slope }).collect();
    let got = before_activation(bench, &a_on, &b_on, slope).expect("a gradient");
    assert_same(&what(&format!("gradient before an activation of {slope}")), bench, &got, &want);

    let mean =
        |values: &mut dyn Iterator<Item = f32>| (values.map(f64::from).sum::<f64>() / len as f64) as f32;
    let (want, got) = (mean(&mut a.iter().map(|a| a.abs())), mean_abs(bench, &a_on).expect("a mean"));
    assert!((want - got).abs() <= 1e-6 * want, "mean of {len}: {got}, not {want}");
    let want = mean(&mut pairs().map(|(a, b)| (a - b).abs()));
    let got = distance(bench, &a_on, &b_on).expect("a distance");
    assert_close(&what("distance"), bench, &got, &[want], 1e-6);

    let given = -0.7;
    let sign = |difference: f32| if difference == 0.0 { 0.0 } else { difference.signum() };
    let want: Vec<f32> = pairs().map(|(a, b)| sign(a - b) * given / len as f32).collect();
    let given = upload(bench, &[given]);
    let got = distance_gradient(bench, &a_on, &b_on, &given).expect("a gradient");
    assert_close(&what("gradient of the distance"), bench, &got, &want, 1e-6);
}

#[test]
fn values_one_by_one() {
    check(1, 1.0);
    check(3, 0.0);
    check(4, 0.2);
    check(1023, 0.0);
    check(1024, 0.2);
    check(40_001, 0.2);
}
