//! Convolutions of every kind that the networks have.

use utsushi_cuda::training::{Batch, Conv};
use utsushi_kernels::backward::{Border, Resulting, WholeConv};
use utsushi_kernels::{ConvWeights, Cpu};

use super::{assert_close, bench, noise, shape, upload};

/// What TF32 rounds: a part in 2^11 of each factor.
const SHARE: f32 = 2e-3;

fn check(conv: Conv, x: [usize; 4], outputs: usize, adds: bool) {
    let Some(bench) = bench() else { return };
    let what = format!("{conv:?} of {x:?} to {outputs}");
    let [maps, rows, cols, channels] = x;
    let batch = Batch { maps, rows, cols, channels };
    let border = if conv.repeats { Border::Replicate } else { Border::Zero };
    let Conv { kernel, stride, pad, slope, .. } = conv;
    let whole = WholeConv { kernel, stride, pad, border, slope };
    let (cpu, of) = (Cpu::detect().single(), shape(batch));

    let (x, weight) = (noise(1, batch.len()), noise(2, outputs * channels * kernel * kernel));
    let bias = noise(3, outputs);
    let out = conv.output(batch, outputs).expect("maps that can be convolved");
    let (added, gradient) = (noise(4, out.len()), noise(5, out.len()));
    let on = |values: &[f32]| upload(bench, values);
    let (x_on, weight_on, bias_on, gradient_on) = (on(&x), on(&weight), on(&bias), on(&gradient));

    let weights = ConvWeights { weight: &weight, bias: &bias };
    let mut want = whole.forward(cpu, weights, &x, of);
    if adds {
        want.iter_mut().zip(&added).for_each(|(want, added)| *want += added);
    }
    let added = adds.then(|| on(&added));
    let got = conv.forward(bench, &x_on, batch, (&weight_on, &bias_on), added.as_ref()).expect("convolved");
    assert_close(&format!("{what}: forward"), bench, &got, &want, SHARE);

    // On the GPU the way back through the activation is an operation of its own.
    let whole = WholeConv { slope: 1.0, ..whole };
    let result = Resulting { values: &[], gradient: &gradient };
    let want = whole.input_gradient(cpu, weights, result, of);
    let got = conv.input_gradient(bench, &weight_on, &gradient_on, batch).expect("a gradient");
    assert_close(&format!("{what}: of the input"), bench, &got, &want, SHARE);

    let (want, want_bias) = whole.weight_gradients(cpu, &x, of, result, outputs);
    let got = conv.weight_gradients(bench, &x_on, batch, &gradient_on, outputs).expect("gradients");
    assert_close(&format!("{what}: of the weights"), bench, &got.weight, &want, SHARE);
    assert_close(&format!("{what}: of the bias"), bench, &got.bias, &want_bias, SHARE);
}

#[test]
fn convolutions_and_their_gradients() {
    let same = Conv { kernel: 3, stride: 1, pad: 1, repeats: true, slope: 1.0 };
    let zero = Conv { repeats: false, slope: 0.0, ..same };
    let point = Conv { kernel: 1, pad: 0, ..same };
    let down = Conv { kernel: 2, stride: 2, pad: 0, ..same };
    let patch = Conv { kernel: 4, stride: 2, pad: 1, repeats: false, slope: 0.2 };
    // brush's, the perceptual network's, VGG19's, the discriminators'.
    check(same, [1, 6, 8, 48], 20, false);
    check(Conv { slope: 0.0, ..same }, [2, 9, 7, 15], 12, false);
    check(same, [1, 16, 12, 12], 3, true);
    check(point, [3, 5, 7, 20], 80, false);
    check(Conv { slope: 0.0, ..point }, [1, 11, 13, 68], 33, true);
    check(down, [2, 8, 6, 20], 24, false);
    check(zero, [1, 10, 9, 3], 64, false);
    check(zero, [2, 7, 9, 64], 70, false);
    check(patch, [2, 12, 10, 1], 32, false);
    check(patch, [1, 9, 11, 18], 16, false);
    check(Conv { stride: 1, ..patch }, [1, 6, 5, 32], 1, false);
    check(Conv { kernel: 4, stride: 4, pad: 0, ..same }, [1, 8, 8, 2], 2, false);
    // Of colours.
    check(point, [2, 5, 7, 3], 1, true);
    check(Conv { slope: 0.2, ..point }, [1, 4, 5, 2], 3, false);
}
