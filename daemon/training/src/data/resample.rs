//! A part of a picture at another size.
//!
//! Reduced, a pixel is the mean of the area that it covers, parts of pixels counted as parts. Enlarged, it lies on
//! the line between its two neighbours (half-pixel centres).

use super::Picture;

/// A part of a picture, in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Area {
    /// All of it.
    pub(super) fn of(picture: &Picture) -> Self {
        Self { left: 0, top: 0, width: picture.width as usize, height: picture.height as usize }
    }
}

/// What a row or column of the result takes.
struct Taps {
    first: usize,
    /// Shares of the source's rows or columns from `first`; their sum is 1.
    shares: Vec<f32>,
}

fn taps(from: usize, to: usize) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    let mean = |i: usize| {
        let (begin, end) = (i as f64 * scale, ((i + 1) as f64 * scale).min(from as f64));
        let first = (begin as usize).min(from - 1);
        let last = (end.ceil() as usize).clamp(first + 1, from);
        let cover = |p: usize| ((p + 1) as f64).min(end) - (p as f64).max(begin);
        Taps { first, shares: (first..last).map(|p| (cover(p) / (end - begin)) as f32).collect() }
    };
    let line = |i: usize| {
        let at = ((i as f64 + 0.5) * scale - 0.5).clamp(0.0, (from - 1) as f64);
        let share = at.fract() as f32;
        let shares = if share > 0.0 { vec![1.0 - share, share] } else { vec![1.0] };
        Taps { first: at as usize, shares }
    };
    (0..to).map(|i| if to <= from { mean(i) } else { line(i) }).collect()
}

/// An area of a picture at a size of columns, rows: interleaved values in 0..255.
pub(super) fn resample(picture: &Picture, area: Area, (cols, rows): (usize, usize)) -> Vec<f32> {
    let stride = picture.width as usize * 3;
    let across = taps(area.width, cols);
    let mut sum = vec![0.0; area.width * 3];
    let mut values = Vec::with_capacity(cols * rows * 3);
    for down in taps(area.height, rows) {
        sum.fill(0.0);
        for (row, share) in (area.top + down.first..).zip(&down.shares) {
            let row = &picture.rgb[row * stride + area.left * 3..][..area.width * 3];
            for (sum, &byte) in sum.iter_mut().zip(row) {
                *sum += share * f32::from(byte);
            }
        }
        for col in &across {
            let mut pixel = [0.0; 3];
            for (rgb, share) in sum[col.first * 3..].chunks_exact(3).zip(&col.shares) {
                for (pixel, value) in pixel.iter_mut().zip(rgb) {
                    *pixel += share * value;
                }
            }
            values.extend(pixel);
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_whole_and_inside() {
        for (from, to) in
            [(1, 1), (10, 10), (10, 3), (7, 2), (1000, 999), (5000, 37), (3, 1), (1, 5), (9, 40)]
        {
            let taps = taps(from, to);
            assert_eq!(taps.len(), to);
            for tap in taps {
                assert!((tap.shares.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{from} to {to}");
                assert!(tap.first + tap.shares.len() <= from, "{from} to {to}");
            }
        }
    }

    #[track_caller]
    fn check(row: &[u8], part: (usize, usize), to: usize, want: &[f32]) {
        let rgb = row.iter().flat_map(|&v| [v; 3]).collect();
        let picture = Picture { width: row.len() as u32, height: 1, rgb };
        let area = Area { left: part.0, width: part.1, ..Area::of(&picture) };
        let values: Vec<f32> = resample(&picture, area, (to, 1)).into_iter().step_by(3).collect();
        let off = values.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(values.len() == want.len() && off < 1e-3, "{values:?}, not {want:?}");
    }

    #[test]
    fn means_when_reducing_and_lines_when_enlarging() {
        check(&[0, 10, 20, 30], (0, 4), 2, &[5.0, 25.0]);
        check(&[0, 10, 20, 30], (1, 3), 3, &[10.0, 20.0, 30.0]);
        check(&[0, 30, 60], (0, 3), 2, &[10.0, 50.0]);
        check(&[9, 0, 100, 9], (1, 2), 4, &[0.0, 25.0, 75.0, 100.0]);
        check(&[42], (0, 1), 3, &[42.0, 42.0, 42.0]);
    }
}
