//! A picture at twice the size, by a bicubic filter (Keys 1981, <https://doi.org/10.1109/TASSP.1981.1163711>,
//! a = -1/2), its border repeated beyond its edges. What is even stays so, to the last bit.

/// How many pixels away the filter looks.
pub(crate) const REACH: usize = 2;
/// What the two pixels that one becomes take from it and those around it, the first from two before it on.
pub(crate) const TAPS: [[f32; 2 * REACH + 1]; 2] = [
    [-3.0 / 128.0, 29.0 / 128.0, 111.0 / 128.0, -9.0 / 128.0, 0.0],
    [0.0, -9.0 / 128.0, 111.0 / 128.0, 29.0 / 128.0, -3.0 / 128.0],
];

/// The two rows that the middle one of five becomes by these taps, [`TAPS`] or others; interleaved values of `channels`
/// a pixel. Each is as long as twice a row.
///
/// # Panics
/// If the lengths don't fit together.
pub(crate) fn enlarge(
    rows: [&[f32]; 2 * REACH + 1],
    channels: usize,
    taps: &[[f32; 2 * REACH + 1]; 2],
    out: [&mut [f32]; 2],
) {
    let mut mixed = vec![0.0; rows[REACH].len()];
    for (down, out) in taps.iter().zip(out) {
        for (i, mixed) in mixed.iter_mut().enumerate() {
            *mixed = apply(down, |tap| rows[tap][i]);
        }
        along(&mixed, channels, taps, out);
    }
}

fn along(row: &[f32], channels: usize, taps: &[[f32; 2 * REACH + 1]; 2], out: &mut [f32]) {
    assert_eq!(out.len(), 2 * row.len());
    let last = row.len() / channels - 1;
    for (x, out) in out.chunks_exact_mut(2 * channels).enumerate() {
        let pixels: [&[f32]; 2 * REACH + 1] = std::array::from_fn(|tap| {
            let at = (x + tap).saturating_sub(REACH).min(last);
            &row[at * channels..][..channels]
        });
        for (across, out) in taps.iter().zip(out.chunks_exact_mut(channels)) {
            for (c, out) in out.iter_mut().enumerate() {
                *out = apply(across, |tap| pixels[tap][c]);
            }
        }
    }
}

/// The middle value and what the others differ from it by: of equal values, nothing.
#[inline(always)]
fn apply(taps: &[f32; 2 * REACH + 1], value: impl Fn(usize) -> f32) -> f32 {
    let middle = value(REACH);
    let mut sum = 0.0;
    for (tap, weight) in taps.iter().enumerate() {
        if tap != REACH {
            sum += weight * (value(tap) - middle);
        }
    }
    middle + sum
}
