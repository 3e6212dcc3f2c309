//! Blurred planes.

/// A Gaussian of this standard deviation, over four of it to each side; the picture goes on mirrored.
pub(super) fn gaussian(plane: &[f32], (width, height): (usize, usize), sigma: f32) -> Vec<f32> {
    let reach = (4.0 * sigma).ceil() as isize;
    let weights: Vec<f32> = (-reach..=reach).map(|d| (-0.5 * (d as f32 / sigma).powi(2)).exp()).collect();
    let sum: f32 = weights.iter().sum();
    let taps = || (-reach..).zip(weights.iter().map(|weight| weight / sum));
    let mut down = vec![0.0; plane.len()];
    let mut blurred = vec![0.0; plane.len()];
    for (y, row) in down.chunks_exact_mut(width.max(1)).enumerate() {
        for (dy, weight) in taps() {
            let from = mirrored(y as isize + dy, height) * width;
            row.iter_mut().zip(&plane[from..]).for_each(|(sum, value)| *sum += weight * value);
        }
    }
    let mut wide = vec![0.0; width + 2 * reach as usize];
    for (row, blurred) in down.chunks_exact(width.max(1)).zip(blurred.chunks_exact_mut(width.max(1))) {
        wide.iter_mut().zip(-reach..).for_each(|(value, x)| *value = row[mirrored(x, width)]);
        for ((_, weight), values) in taps().zip(wide.windows(width)) {
            blurred.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
        }
    }
    blurred
}

/// A place beyond the border as one inside: `2 1 0 | 0 1 2 | 2 1 0`.
fn mirrored(at: isize, length: usize) -> usize {
    let around = at.rem_euclid(2 * length as isize) as usize;
    around.min(2 * length - 1 - around)
}
