//! Brush strokes that follow the shapes: coherence-enhancing filtering (Kyprianidis and Kang 2011,
//! doi 10.1111/j.1467-8659.2011.01882.x).
//!
//! Again and again, the picture is smoothed along the direction in which it changes least (line integral
//! convolution; section 3.2), and sharpened across it (a shock filter; section 3.3). What directions there are is told
//! by the structure tensor, smoothed (section 3.1): so where there is texture it becomes strokes, where there is an
//! edge strokes run along it, and where there is nothing nothing comes.

use serde::{Deserialize, Serialize};

use super::field::{Field, LUMA, Vector};
use super::gaussian::gaussian;
use super::{OutOfRange, Planes, checked, deviation};

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
/// Pixels between two places that are looked at across an edge.
const SHOCK_STEP_PX: f32 = 0.5;
/// The Gaussians whose difference is the relief, in pixels.
const RELIEF_PX: [f32; 2] = [0.8, 2.5];

impl Flow {
    pub(super) fn check(&self) -> Result<(), OutOfRange> {
        checked(&[
            ("flow.passes", self.passes as f32, (1..=20).contains(&self.passes), "within 1 and 20"),
            deviation("flow.scale_px", self.scale_px),
            deviation("flow.length_px", self.length_px),
            deviation("flow.edge_px", self.edge_px),
            deviation("flow.width_px", self.width_px),
            ("flow.relief", self.relief, (0.0..=8.0).contains(&self.relief), "within 0 and 8"),
        ])
    }

    /// Draws them in place.
    pub(super) fn draw(&self, picture: &mut Planes) {
        if picture.width == 0 || picture.height == 0 {
            return;
        }
        let mut map = Field::of(picture);
        for _ in 0..self.passes {
            map = map.along(&map.directions(self.scale_px), self.length_px);
            map = sharpened(&map, &map.directions(self.scale_px), self.edge_px, self.width_px);
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

/// Each pixel takes the brightest colour across the direction where the luminance bends down, the darkest where it
/// bends up.
fn sharpened(map: &Field<4>, directions: &[Vector], edge_px: f32, width_px: f32) -> Field<4> {
    let luma = gaussian(&map.plane(LUMA), (map.width, map.height), edge_px);
    let steps = (width_px / SHOCK_STEP_PX) as usize;
    let sharpened = map.places().zip(directions).zip(&map.pixels).map(|((place, [x, y]), pixel)| {
        let beside = |px: f32| [place[0] - y * px, place[1] + x * px];
        let bend =
            luma[map.nearest(beside(1.0))] + luma[map.nearest(beside(-1.0))] - 2.0 * luma[map.nearest(place)];
        if bend.abs() <= LEAST_BEND {
            return *pixel;
        }
        let mut best = *pixel;
        for px in (1..=steps).flat_map(|i| [1.0, -1.0].map(|way| way * i as f32 * SHOCK_STEP_PX)) {
            let other = map.at(beside(px));
            if (other[LUMA] - best[LUMA]) * bend < 0.0 {
                best = other;
            }
        }
        best
    });
    Field { pixels: sharpened.collect(), ..*map }
}
