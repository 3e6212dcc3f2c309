//! Bilinear enlargement.

use rayon::prelude::*;

use crate::Shape;

/// Enlarges `low` twice, bilinearly with half-pixel centres, and adds it to `out`.
///
/// `low` carries a row of context above and below: `n + 2` rows give `2 n`, and `out` is `2 n` rows of twice
/// `low`'s columns and as many channels. Weights of 3/4 and 1/4, columns repeated at the sides.
///
/// # Panics
/// If the lengths don't fit together.
pub fn upsample2_add(low: &[f32], shape: Shape, out: &mut [f32]) {
    let Shape { rows, cols, channels } = shape;
    assert_eq!(low.len(), shape.len());
    assert_eq!(out.len(), (rows - 2) * 2 * cols * 2 * channels);
    out.par_chunks_mut(2 * cols * channels).enumerate().for_each_init(
        || vec![0.0; cols * channels],
        |mixed, (y, out)| {
            let near = &low[(y / 2 + 1) * shape.row_len()..][..shape.row_len()];
            let far = &low[(y / 2 + if y % 2 == 0 { 0 } else { 2 }) * shape.row_len()..][..shape.row_len()];
            for ((mixed, near), far) in mixed.iter_mut().zip(near).zip(far) {
                *mixed = 0.75 * near + 0.25 * far;
            }
            for x in 0..2 * cols {
                let far_x = if x % 2 == 0 { (x / 2).saturating_sub(1) } else { (x / 2 + 1).min(cols - 1) };
                let near = &mixed[x / 2 * channels..][..channels];
                let far = &mixed[far_x * channels..][..channels];
                for ((out, near), far) in out[x * channels..][..channels].iter_mut().zip(near).zip(far) {
                    *out += 0.75 * near + 0.25 * far;
                }
            }
        },
    );
}
