//! Bilinear enlargement.

use rayon::prelude::*;

use crate::{Map, Shape};

/// `low`, enlarged twice bilinearly with half-pixel centres, added to `base`, to `out`.
///
/// `low` carries a row of context above and below: `n + 2` rows give `2 n`, of twice `low`'s columns and as many
/// channels. Weights of 3/4 and 1/4, columns repeated at the sides.
///
/// # Panics
/// If the sizes don't fit together.
pub fn upsample2_add(low: Map, base: Map, out: &mut [f32]) {
    let Shape { rows, cols, channels } = low.shape();
    assert_eq!(base.shape(), Shape::new((rows - 2) * 2, cols * 2, channels));
    assert_eq!(out.len(), base.shape().len());
    out.par_chunks_mut(2 * cols * channels).enumerate().for_each_init(
        || vec![0.0; cols * channels],
        |mixed, (y, out)| {
            let near = low.row(y / 2 + 1);
            let far = low.row(y / 2 + if y % 2 == 0 { 0 } else { 2 });
            for ((mixed, near), far) in mixed.iter_mut().zip(near).zip(far) {
                *mixed = 0.75 * near + 0.25 * far;
            }
            let pixels = out.chunks_exact_mut(channels).zip(base.row(y).chunks_exact(channels));
            for (x, (out, base)) in pixels.enumerate() {
                let far_x = if x % 2 == 0 { (x / 2).saturating_sub(1) } else { (x / 2 + 1).min(cols - 1) };
                let near = &mixed[x / 2 * channels..][..channels];
                let far = &mixed[far_x * channels..][..channels];
                for (((out, base), near), far) in out.iter_mut().zip(base).zip(near).zip(far) {
                    *out = base + (0.75 * near + 0.25 * far);
                }
            }
        },
    );
}
