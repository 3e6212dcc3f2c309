//! The depthwise 5x5 convolution, which repeats borders.

use utsushi_cuda::training::{
    Batch, depthwise_forward, depthwise_input_gradient, depthwise_weight_gradients,
};
use utsushi_kernels::backward::{Border, Resulting, WholeConv};
use utsushi_kernels::{ConvWeights, Cpu};

use super::{assert_close, bench, noise, shape, upload};

const TAPS: usize = 25;
const SHARE: f32 = 1e-5;

fn check(x: [usize; 4]) {
    let Some(bench) = bench() else { return };
    let what = |of: &str| format!("{of} of {x:?}");
    let [maps, rows, cols, channels] = x;
    let batch = Batch { maps, rows, cols, channels };
    let (cpu, of) = (Cpu::detect().single(), shape(batch));
    let (x, gradient) = (noise(1, batch.len()), noise(2, batch.len()));
    let (weight, bias) = (noise(3, channels * TAPS), noise(4, channels));
    let on = |values: &[f32]| upload(bench, values);
    let (x_on, gradient_on, weight_on, bias_on) = (on(&x), on(&gradient), on(&weight), on(&bias));

    // The processor's has no name outside of a block: it is the convolution by a diagonal.
    let whole = WholeConv { kernel: 5, stride: 1, pad: 2, border: Border::Replicate, slope: 1.0 };
    let mut dense = vec![0.0; channels * channels * TAPS];
    for (channel, taps) in weight.chunks_exact(TAPS).enumerate() {
        dense[channel * (channels + 1) * TAPS..][..TAPS].copy_from_slice(taps);
    }
    let weights = ConvWeights { weight: &dense, bias: &bias };

    let want = whole.forward(cpu, weights, &x, of);
    let got = depthwise_forward(bench, &x_on, batch, &weight_on, &bias_on).expect("convolved");
    assert_close(&what("forward"), bench, &got, &want, SHARE);

    let result = Resulting { values: &[], gradient: &gradient };
    let want = whole.input_gradient(cpu, weights, result, of);
    let got = depthwise_input_gradient(bench, &weight_on, &gradient_on, batch).expect("a gradient");
    assert_close(&what("gradient"), bench, &got, &want, SHARE);

    let (dense, want_bias) = whole.weight_gradients(cpu, &x, of, result, channels);
    let of_channel = |channel: usize| &dense[channel * (channels + 1) * TAPS..][..TAPS];
    let want: Vec<f32> = (0..channels).flat_map(of_channel).copied().collect();
    let got = depthwise_weight_gradients(bench, &x_on, batch, &gradient_on).expect("gradients");
    assert_close(&what("gradient of the weights"), bench, &got.weight, &want, SHARE);
    assert_close(&what("gradient of the bias"), bench, &got.bias, &want_bias, SHARE);
}

#[test]
fn depthwise_convolutions_and_their_gradients() {
    check([1, 1, 1, 1]);
    check([2, 1, 6, 3]);
    check([1, 2, 3, 2]);
    check([3, 4, 1, 15]);
    check([2, 8, 10, 20]);
    check([1, 9, 17, 48]);
    check([2, 21, 5, 12]);
    check([1, 11, 12, 96]);
    // In parts.
    check([3, 40, 38, 3]);
    check([1, 5, 4, 256]);
}
