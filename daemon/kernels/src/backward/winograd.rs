//! Whole maps by Winograd's method: convolutions of 3x3 with a stride of 1, and the gradients of their
//! inputs.
//!
//! A gradient of the input is a convolution of the result's gradient with the kernel turned round. Tiles lie
//! at fixed places of each map, so that the result doesn't depend on the number of threads.

use rayon::prelude::*;

use super::window::{Border, Resulting, copy_window, fold_row, mask_window, rows_made_from};
use super::{WholeConv, count};
use crate::cpu::Cpu;
use crate::gemm::Write;
use crate::scratch::with_buffers;
use crate::winograd::{Strip, TILE, Winograd};
use crate::{ConvWeights, Map, Shape, Source};

const KERNEL: usize = 3;
/// Rows of the result that a thread takes at a time.
const STRIP_ROWS: usize = 2 * TILE;

/// Can it be done for such a convolution, and is it faster?
pub(super) fn pays(conv: &WholeConv, inputs: usize, outputs: usize) -> bool {
    (conv.kernel, conv.stride) == (KERNEL, 1)
        && conv.pad < KERNEL
        && Winograd::pays(KERNEL, inputs, outputs)
        && Winograd::pays(KERNEL, outputs, inputs)
}

/// The weights of a convolution.
pub(super) fn of_forward(cpu: Cpu, ConvWeights { weight, bias }: ConvWeights) -> Winograd {
    let inputs = weight.len() / (bias.len() * KERNEL * KERNEL);
    Winograd::new(cpu, KERNEL, inputs, bias, |i, o, y, x| {
        weight[((o * inputs + i) * KERNEL + y) * KERNEL + x]
    })
}

/// The weights of a convolution's way back.
pub(super) fn of_input_gradient(cpu: Cpu, ConvWeights { weight, bias }: ConvWeights) -> Winograd {
    let outputs = bias.len();
    let inputs = weight.len() / (outputs * KERNEL * KERNEL);
    Winograd::new(cpu, KERNEL, outputs, &vec![0.0; inputs], |o, i, y, x| {
        weight[((o * inputs + i) * KERNEL + KERNEL - 1 - y) * KERNEL + KERNEL - 1 - x]
    })
}

/// See [`ForwardConv::run`](super::ForwardConv::run).
pub(super) fn forward(
    conv: &WholeConv,
    cpu: Cpu,
    winograd: &Winograd,
    of: (&[f32], Shape),
    out_shape: Shape,
) -> Vec<f32> {
    let write = if conv.slope == 1.0 { Write::Store } else { Write::Leaky(conv.slope) };
    convolve(cpu, winograd, of, None, (conv.pad, conv.border), write, out_shape)
}

/// See [`BackwardConv::run`](super::BackwardConv::run).
pub(super) fn input_gradient(
    conv: &WholeConv,
    cpu: Cpu,
    winograd: &Winograd,
    (result, out_shape): (Resulting, Shape),
    shape: Shape,
) -> Vec<f32> {
    let (inputs, pad) = (shape.channels, conv.pad);
    result.check(count(result.gradient, out_shape) * out_shape.len(), conv.slope);
    let masked = Some((result, conv.slope));
    let run = |pad, shape| {
        let of = (result.gradient, out_shape);
        convolve(cpu, winograd, of, masked, (pad, Border::Zero), Write::Store, shape)
    };
    if conv.border == Border::Zero || pad == 0 {
        return run(KERNEL - 1 - pad, shape);
    }
    // The padding's gradient belongs to what it repeats.
    let padded_shape = Shape::new(shape.rows + 2 * pad, shape.cols + 2 * pad, inputs);
    let padded = run(KERNEL - 1, padded_shape);
    let mut folded = vec![0.0; padded.len() / padded_shape.len() * shape.len()];
    let maps = folded.par_chunks_mut(shape.len()).zip(padded.par_chunks_exact(padded_shape.len()));
    maps.for_each(|(out, padded)| {
        out.par_chunks_mut(shape.row_len()).enumerate().for_each(|(row, out)| {
            for from in rows_made_from(row, shape.rows, pad, conv.border) {
                let wide = &padded[from * padded_shape.row_len()..][..padded_shape.row_len()];
                fold_row(wide, inputs, pad, conv.border, out);
            }
        });
    });
    folded
}

/// Convolves maps that have so many pixels more at each side, holding what the border says. If they are the gradients of
/// what an activation gave, they go back through it first.
fn convolve(
    cpu: Cpu,
    winograd: &Winograd,
    (x, shape): (&[f32], Shape),
    masked: Option<(Resulting, f32)>,
    (pad, border): (usize, Border),
    write: Write,
    out_shape: Shape,
) -> Vec<f32> {
    let mut out = vec![0.0; count(x, shape) * out_shape.len()];
    let (channels, padded_cols) = (shape.channels, shape.cols + 2 * pad);
    let maps = out.par_chunks_mut(out_shape.len()).zip(x.par_chunks_exact(shape.len())).enumerate();
    maps.for_each(|(map, (out, x))| {
        let masked = masked.map(|(result, slope)| (result.map(map, shape, slope), slope));
        let strips = out.par_chunks_mut(STRIP_ROWS * out_shape.row_len()).enumerate();
        strips.for_each_init(Vec::new, |window: &mut Vec<f32>, (i, out)| {
            let first = (i * STRIP_ROWS) as isize - pad as isize;
            let rows = out.len() / out_shape.row_len() + KERNEL - 1;
            window.resize(rows * padded_cols * channels, 0.0);
            let cols = -(pad as isize)..(shape.cols + pad) as isize;
            let range = first..first + rows as isize;
            copy_window(x, shape, range.clone(), cols.clone(), border, window);
            if let Some((result, slope)) = masked {
                mask_window(result.values, slope, shape, range, cols, window);
            }
            let rows: Vec<&[f32]> = window.chunks_exact(padded_cols * channels).collect();
            let source = Source::Map(Map::new(&rows, padded_cols, channels));
            let cols = out_shape.cols;
            with_buffers(|buffers| {
                cpu.run(Strip { winograd, source, pad: 0, cols, first: 0, write, buffers, out });
            });
        });
    });
    out
}
