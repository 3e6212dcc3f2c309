//! Art without its clear edges: what the discriminator must not take for art.
//!
//! Clear edges are what drawings are recognised by, and they are a small part of the picture. So copies of the art
//! whose edges were smoothed are shown to the discriminator as fakes: edges are found, widened, and a Gaussian is
//! applied there and nowhere else (Chen, Lai and Liu 2018, CartoonGAN, section 3.2.1).

use std::cmp::Ordering;

/// How edges are found and smoothed; in pixels of the crop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EdgeSmoothing {
    /// The least slope of luminance that is an edge: change a pixel, in 0..1.
    pub slope: f32,
    /// So far around an edge the picture is smoothed.
    pub radius_px: usize,
    /// Standard deviation of the Gaussian, which reaches twice as far.
    pub sigma_px: f32,
}

impl Default for EdgeSmoothing {
    fn default() -> Self {
        Self { slope: 0.08, radius_px: 2, sigma_px: 1.2 }
    }
}

/// The same crops (NHWC, `size` x `size`, -1..1) with smoothed edges.
pub fn smooth_edges(crops: &[f32], size: usize, settings: EdgeSmoothing) -> Vec<f32> {
    crops.chunks_exact(size * size * 3).flat_map(|crop| smooth_one(crop, size, settings)).collect()
}

fn smooth_one(crop: &[f32], size: usize, settings: EdgeSmoothing) -> Vec<f32> {
    let near_edge = widen(&edges(crop, size, settings.slope), size, settings.radius_px);
    let reach = (settings.sigma_px * 2.0).ceil() as usize;
    let weight = |d: usize| (-0.5 * (d as f32 / settings.sigma_px).powi(2)).exp();
    let mut smooth = crop.to_vec();
    for at in (0..size * size).filter(|&at| near_edge[at]) {
        let (row, col) = (at / size, at % size);
        let (mut sum, mut weights) = ([0.0; 3], 0.0);
        for y in row.saturating_sub(reach)..=(row + reach).min(size - 1) {
            for x in col.saturating_sub(reach)..=(col + reach).min(size - 1) {
                let weight = weight(y.abs_diff(row)) * weight(x.abs_diff(col));
                weights += weight;
                (0..3).for_each(|c| sum[c] += weight * crop[(y * size + x) * 3 + c]);
            }
        }
        (0..3).for_each(|c| smooth[at * 3 + c] = sum[c] / weights);
    }
    smooth
}

/// Where the luminance is steep (Sobel's operator) and steepest across the edge.
fn edges(crop: &[f32], size: usize, slope: f32) -> Vec<bool> {
    let grey: Vec<f32> =
        crop.chunks_exact(3).map(|p| 0.5 * (0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2])).collect();
    let at = |y: usize, x: usize, dy: isize, dx: isize| {
        let inside = |p: usize, d: isize| p.saturating_add_signed(d).min(size - 1);
        grey[inside(y, dy) * size + inside(x, dx)]
    };
    let side = |y, x, dy, dx| {
        // The three pixels at one side, the middle one twice.
        let along = (dx, dy);
        2.0 * at(y, x, dy, dx) + at(y, x, dy + along.0, dx + along.1) + at(y, x, dy - along.0, dx - along.1)
    };
    let gradient = |i: usize| {
        let (y, x) = (i / size, i % size);
        ((side(y, x, 0, 1) - side(y, x, 0, -1)) / 8.0, (side(y, x, 1, 0) - side(y, x, -1, 0)) / 8.0)
    };
    let gradients: Vec<(f32, f32)> = (0..size * size).map(gradient).collect();
    let steep: Vec<f32> = gradients.iter().map(|(h, v)| h.hypot(*v)).collect();
    let is_edge = |i: usize| {
        let (y, x) = (i / size, i % size);
        let (h, v) = gradients[i];
        let across = match h.abs().partial_cmp(&v.abs()) {
            Some(Ordering::Less) => {
                [y.checked_sub(1).map(|y| y * size + x), (y + 1 < size).then_some(i + size)]
            }
            _ => [x.checked_sub(1).map(|x| y * size + x), (x + 1 < size).then_some(i + 1)],
        };
        steep[i] >= slope && across.into_iter().flatten().all(|n| steep[n] <= steep[i])
    };
    (0..size * size).map(is_edge).collect()
}

/// All places within a square of `radius` around a marked one.
fn widen(marked: &[bool], size: usize, radius: usize) -> Vec<bool> {
    let mut wide = vec![false; marked.len()];
    for at in (0..marked.len()).filter(|&at| marked[at]) {
        let (row, col) = (at / size, at % size);
        for y in row.saturating_sub(radius)..=(row + radius).min(size - 1) {
            wide[y * size + col.saturating_sub(radius)..=y * size + (col + radius).min(size - 1)].fill(true);
        }
    }
    wide
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 24;

    fn crop(value: impl Fn(usize, usize) -> f32) -> Vec<f32> {
        (0..SIZE * SIZE).flat_map(|i| [value(i % SIZE, i / SIZE); 3]).collect()
    }

    /// The columns of row 12 that were changed.
    fn changed(crop: &[f32]) -> Vec<usize> {
        let smooth = smooth_edges(crop, SIZE, EdgeSmoothing::default());
        let differs = |x: &usize| (crop[(12 * SIZE + x) * 3] - smooth[(12 * SIZE + x) * 3]).abs() > 1e-4;
        (0..SIZE).filter(differs).collect()
    }

    #[track_caller]
    fn check(what: &str, crop: &[f32], want: &[usize]) {
        assert_eq!(changed(crop), want, "{what}");
    }

    #[test]
    fn edges_are_smoothed_and_nothing_else() {
        check("flat", &crop(|_, _| 0.3), &[]);
        check("a slow ramp", &crop(|x, _| x as f32 * 0.05 - 0.6), &[]);
        // The edge's two sides are equally steep; two pixels around them are looked at, and the Gaussian reaches so far.
        check("a step", &crop(|x, _| if x < 10 { -0.8 } else { 0.8 }), &[7, 8, 9, 10, 11, 12]);
        check("a faint step", &crop(|x, _| if x < 10 { 0.0 } else { 0.1 }), &[]);
        check("a step across", &crop(|_, y| if y < 12 { -0.8 } else { 0.8 }), &(0..SIZE).collect::<Vec<_>>());
    }

    #[test]
    fn a_batch_is_smoothed_crop_by_crop() {
        let step = crop(|x, _| if x < 10 { -0.8 } else { 0.8 });
        let flat = crop(|_, _| 0.3);
        let smooth = smooth_edges(&[flat.clone(), step.clone()].concat(), SIZE, EdgeSmoothing::default());
        assert!(smooth[..flat.len()].iter().all(|v| (v - 0.3).abs() < 1e-5));
        assert_eq!(smooth[flat.len()..], smooth_edges(&step, SIZE, EdgeSmoothing::default()));
        // A step becomes a slope that is symmetric around its middle.
        let row = &smooth[flat.len() + 12 * SIZE * 3..];
        assert!((row[9 * 3] + row[10 * 3]).abs() < 1e-5 && row[9 * 3] > -0.6);
    }
}
