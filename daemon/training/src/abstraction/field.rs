//! Pictures as fields: the directions in them, and what lies along these.

use super::Planes;
use super::gaussian::gaussian;

/// Paths are followed over so many of their standard deviations.
const REACH: f32 = 2.0;
/// Where a pixel has its luminance, behind red, green and blue.
pub(super) const LUMA: usize = 3;

/// Values at pixels, and paths through them.
pub(super) struct Field<const N: usize> {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) pixels: Vec<[f32; N]>,
}

/// A place or a direction: columns, rows.
pub(super) type Vector = [f32; 2];

/// Red, green, blue and luminance.
impl Field<4> {
    pub(super) fn of(picture: &Planes) -> Self {
        let [r, g, b] = &picture.rgb;
        let pixel = |((r, g), b): ((&f32, &f32), &f32)| [*r, *g, *b, 0.299 * r + 0.587 * g + 0.114 * b];
        let pixels = r.iter().zip(g).zip(b).map(pixel).collect();
        Self { width: picture.width, height: picture.height, pixels }
    }

    pub(super) fn plane(&self, channel: usize) -> Vec<f32> {
        self.pixels.iter().map(|pixel| pixel[channel]).collect()
    }

    /// The direction of least change at each pixel: the structure tensor's minor eigenvector, of length 1.
    pub(super) fn directions(&self, scale_px: f32) -> Vec<Vector> {
        let mut tensor: [Vec<f32>; 3] = std::array::from_fn(|_| Vec::with_capacity(self.pixels.len()));
        for y in 0..self.height {
            let rows = [y.saturating_sub(1), y, (y + 1).min(self.height - 1)].map(|y| y * self.width);
            for x in 0..self.width {
                let [left, right] = [x.saturating_sub(1), (x + 1).min(self.width - 1)];
                let pixel = |row: usize, x: usize| &self.pixels[rows[row] + x];
                // Sobel's.
                let of = |c: usize| {
                    let side = |x: usize| pixel(0, x)[c] + 2.0 * pixel(1, x)[c] + pixel(2, x)[c];
                    let row = |y: usize| pixel(y, left)[c] + 2.0 * pixel(y, x)[c] + pixel(y, right)[c];
                    [side(right) - side(left), row(2) - row(0)]
                };
                let gradients = [of(0), of(1), of(2)];
                let sum = |f: fn(&Vector) -> f32| gradients.iter().map(f).sum();
                tensor[0].push(sum(|[x, _]| x * x));
                tensor[1].push(sum(|[x, y]| x * y));
                tensor[2].push(sum(|[_, y]| y * y));
            }
        }
        let [xx, xy, yy] = tensor.map(|plane| gaussian(&plane, (self.width, self.height), scale_px));
        let direction = |((xx, xy), yy): ((&f32, &f32), &f32)| {
            let across = 0.5 * (2.0 * xy).atan2(xx - yy);
            [-across.sin(), across.cos()]
        };
        xx.iter().zip(&xy).zip(&yy).map(direction).collect()
    }
}

impl<const N: usize> Field<N> {
    pub(super) fn places(&self) -> impl Iterator<Item = Vector> + use<N> {
        let (width, height) = (self.width, self.height);
        (0..height).flat_map(move |y| (0..width).map(move |x| [x as f32, y as f32]))
    }

    /// The index of the pixel nearest to a place; beyond the border, of that on it.
    pub(super) fn nearest(&self, [x, y]: Vector) -> usize {
        // `as` takes what is negative to 0.
        let (x, y) = ((x + 0.5) as usize, (y + 0.5) as usize);
        y.min(self.height - 1) * self.width + x.min(self.width - 1)
    }

    /// Between pixels on the lines between them.
    pub(super) fn at(&self, [x, y]: Vector) -> [f32; N] {
        let (x, y) = (x.clamp(0.0, (self.width - 1) as f32), y.clamp(0.0, (self.height - 1) as f32));
        let (left, top) = (x as usize, y as usize);
        let (right, bottom) = ((left + 1).min(self.width - 1), (top + 1).min(self.height - 1));
        let (across, down) = (x - left as f32, y - top as f32);
        let pixel = |x: usize, y: usize| &self.pixels[y * self.width + x];
        let (a, b, c, d) = (pixel(left, top), pixel(right, top), pixel(left, bottom), pixel(right, bottom));
        std::array::from_fn(|i| {
            let (above, below) = (a[i] + across * (b[i] - a[i]), c[i] + across * (d[i] - c[i]));
            above + down * (below - above)
        })
    }

    /// Smoothed by a Gaussian along the directions.
    pub(super) fn along(&self, directions: &[Vector], length_px: f32) -> Self {
        let steps = (REACH * length_px).ceil() as usize;
        let weights: Vec<f32> = (1..=steps).map(|i| (-0.5 * (i as f32 / length_px).powi(2)).exp()).collect();
        let total = 1.0 + 2.0 * weights.iter().sum::<f32>();
        let smoothed = self.places().zip(directions).zip(&self.pixels).map(|((start, direction), pixel)| {
            let mut sum = *pixel;
            for way in [1.0, -1.0] {
                let (mut place, mut heading) = (start, direction.map(|d| d * way));
                for weight in &weights {
                    place = [place[0] + heading[0], place[1] + heading[1]];
                    let next = directions[self.nearest(place)];
                    // A direction has no front.
                    let turn = (next[0] * heading[0] + next[1] * heading[1]).signum();
                    heading = next.map(|d| d * turn);
                    sum.iter_mut().zip(self.at(place)).for_each(|(sum, value)| *sum += weight * value);
                }
            }
            sum.map(|value| value / total)
        });
        Self { pixels: smoothed.collect(), ..*self }
    }
}
