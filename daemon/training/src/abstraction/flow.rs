//! Brush strokes that follow the shapes: coherence-enhancing filtering (Kyprianidis and Kang 2011,
//! doi 10.1111/j.1467-8659.2011.01882.x).
//!
//! Again and again, the picture is smoothed along the direction in which it changes least (line integral
//! convolution; section 3.2), and sharpened across it (a shock filter; section 3.3). What directions there are is told
//! by the structure tensor, smoothed (section 3.1): so where there is texture it becomes strokes, where there is an
//! edge strokes run along it, and where there is nothing nothing comes.

use serde::{Deserialize, Serialize};

use super::gaussian::gaussian;
use super::{OutOfRange, Planes};

/// Brush strokes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// How often it is smoothed and sharpened.
    pub passes: u32,
    /// Directions are those of surroundings of this standard deviation, in pixels.
    pub scale_px: f32,
    /// Strokes have this length, as a standard deviation, in pixels.
    pub length_px: f32,
    /// Differences finer than this are no edges, in pixels.
    pub edge_px: f32,
    /// Edges are sharpened from so far around, in pixels: the larger, the wider the strokes.
    pub width_px: f32,
    /// How much the strokes stand out, as paint does that is lit from a side.
    pub relief: f32,
}

/// Strokes are smooth along a path of this length in the end, as a standard deviation, in pixels.
const FINISH_PX: f32 = 2.0;
/// What the luminance must bend by to be the one side of an edge or the other.
const LEAST_BEND: f32 = 0.005;
/// Paths are followed over so many of their standard deviations.
const REACH: f32 = 2.0;
/// Pixels between two places that are looked at across an edge.
const SHOCK_STEP_PX: f32 = 0.5;
/// The Gaussians whose difference is the relief, in pixels.
const RELIEF_PX: [f32; 2] = [0.8, 2.5];

impl Flow {
    pub(super) fn check(&self) -> Result<(), OutOfRange> {
        let sigma = |px: f32| (0.3..=50.0).contains(&px);
        let settings = [
            ("flow.passes", self.passes as f32, (1..=20).contains(&self.passes), "within 1 and 20"),
            ("flow.scale_px", self.scale_px, sigma(self.scale_px), "within 0.3 and 50"),
            ("flow.length_px", self.length_px, sigma(self.length_px), "within 0.3 and 50"),
            ("flow.edge_px", self.edge_px, sigma(self.edge_px), "within 0.3 and 50"),
            ("flow.width_px", self.width_px, sigma(self.width_px), "within 0.3 and 50"),
            ("flow.relief", self.relief, (0.0..=8.0).contains(&self.relief), "within 0 and 8"),
        ];
        match settings.into_iter().find(|(_, _, is_good, _)| !is_good) {
            Some((setting, value, _, range)) => Err(OutOfRange { setting, value, range }),
            None => Ok(()),
        }
    }

    /// Draws them in place.
    pub(super) fn draw(&self, picture: &mut Planes) {
        if picture.width == 0 || picture.height == 0 {
            return;
        }
        let mut map = Map::of(picture);
        for _ in 0..self.passes {
            map = map.along(&map.directions(self.scale_px), self.length_px);
            map = map.sharpened(&map.directions(self.scale_px), self.edge_px, self.width_px);
        }
        map = map.along(&map.directions(self.scale_px), FINISH_PX);
        let luma = map.plane(LUMA);
        let [narrow, wide] = RELIEF_PX.map(|sigma| gaussian(&luma, (map.width, map.height), sigma));
        for (at, pixel) in map.pixels.iter().enumerate() {
            let light = self.relief * (narrow[at] - wide[at]);
            for (plane, value) in picture.rgb.iter_mut().zip(pixel) {
                plane[at] = (value + light).clamp(0.0, 1.0);
            }
        }
    }
}

/// Where a pixel has its luminance, behind red, green and blue.
const LUMA: usize = 3;

struct Map {
    width: usize,
    height: usize,
    pixels: Vec<[f32; 4]>,
}

/// A place or a direction: columns, rows.
type Vector = [f32; 2];

impl Map {
    fn of(picture: &Planes) -> Self {
        let [r, g, b] = &picture.rgb;
        let pixel = |((r, g), b): ((&f32, &f32), &f32)| [*r, *g, *b, 0.299 * r + 0.587 * g + 0.114 * b];
        let pixels = r.iter().zip(g).zip(b).map(pixel).collect();
        Self { width: picture.width, height: picture.height, pixels }
    }

    fn plane(&self, channel: usize) -> Vec<f32> {
        self.pixels.iter().map(|pixel| pixel[channel]).collect()
    }

    fn places(&self) -> impl Iterator<Item = Vector> + use<> {
        let (width, height) = (self.width, self.height);
        (0..height).flat_map(move |y| (0..width).map(move |x| [x as f32, y as f32]))
    }

    /// The index of the pixel nearest to a place; beyond the border, of that on it.
    fn nearest(&self, [x, y]: Vector) -> usize {
        // `as` takes what is negative to 0.
        let (x, y) = ((x + 0.5) as usize, (y + 0.5) as usize);
        y.min(self.height - 1) * self.width + x.min(self.width - 1)
    }

    /// Between pixels on the lines between them.
    fn at(&self, [x, y]: Vector) -> [f32; 4] {
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

    /// The direction of least change at each pixel: the structure tensor's minor eigenvector, of length 1.
    fn directions(&self, scale_px: f32) -> Vec<Vector> {
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

    /// Smoothed by a Gaussian along the directions.
    fn along(&self, directions: &[Vector], length_px: f32) -> Self {
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

    /// Each pixel takes the brightest colour across the direction where the luminance bends down, the darkest where it
    /// bends up.
    fn sharpened(&self, directions: &[Vector], edge_px: f32, width_px: f32) -> Self {
        let luma = gaussian(&self.plane(LUMA), (self.width, self.height), edge_px);
        let steps = (width_px / SHOCK_STEP_PX) as usize;
        let sharpened = self.places().zip(directions).zip(&self.pixels).map(|((place, [x, y]), pixel)| {
            let beside = |px: f32| [place[0] - y * px, place[1] + x * px];
            let bend = luma[self.nearest(beside(1.0))] + luma[self.nearest(beside(-1.0))]
                - 2.0 * luma[self.nearest(place)];
            if bend.abs() <= LEAST_BEND {
                return *pixel;
            }
            let mut best = *pixel;
            for px in (1..=steps).flat_map(|i| [1.0, -1.0].map(|way| way * i as f32 * SHOCK_STEP_PX)) {
                let other = self.at(beside(px));
                if (other[LUMA] - best[LUMA]) * bend < 0.0 {
                    best = other;
                }
            }
            best
        });
        Self { pixels: sharpened.collect(), ..*self }
    }
}
