//! A picture painted with three brushes, where the generator's own noise says.
//!
//! A painting can't be learned from a photo alone: where a stroke lies is random, and a network that is shown what it can't
//! foresee learns the mean, which is a blur. So what is random here is the noise that the generator sees
//! ([strokes](utsushi_engine::arch::brush::TrainableBrush::strokes)): what is painted is a function of photo and noise,
//! which a network can learn.
//!
//! The wide brush paints all, the medium and the fine one what has more contrast (Hertzmann 1998,
//! <https://doi.org/10.1145/280814.280951>). A stroke lies on a ridge of its brush's noise, and has the colours that the
//! picture has there, with a jitter of its own; paint is thicker in its middle, and light falls on it from above left.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use utsushi_engine::arch::brush::Sizes;

use super::gaussian::gaussian;
use super::{OutOfRange, checked, luminance};

/// How strokes are painted. Three values are of the wide, the medium and the fine brush.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brushwork {
    /// How much a ridge outweighs what lies beside it: the larger, the crisper strokes are.
    pub crispness: f32,
    /// How much strokes differ in lightness, as a standard deviation of 0..1, ...
    pub light: [f32; 3],
    /// ... between yellow and blue, ...
    pub warmth: [f32; 3],
    /// ... and between red and green.
    pub tint: [f32; 3],
    /// The local contrast, of 0..1, from which on the medium brush paints, the fine one, and the picture is left as it is.
    pub contrasts: [f32; 3],
    /// What light on thick paint adds and takes, of 0..1.
    pub relief: f32,
}

/// How many times smaller than the picture the noise is that says where strokes lie, by brush: their widths in pixels.
const FACTORS: [usize; 3] = [8, 4, 2];
/// Layers of noise for each brush: where its strokes lie, and their jitter of lightness, warmth and tint.
const NOISES: usize = 4;
/// Deviations of Gaussians, in widths of a stroke: over which noise is made even, ...
const SMOOTH: f32 = 0.35;
/// ... over which a ridge reaches, ...
const REACH: f32 = 0.6;
/// ... around which it is a ridge, ...
const AROUND: f32 = 1.2;
/// ... and over which contrast is measured, and spread.
const CONTRAST: [f32; 2] = [1.5, 0.7];
/// The same for what is left as it is, in pixels.
const DETAIL_PX: [f32; 2] = [2.0, 1.0];
/// How fast a brush, or the picture, takes over with contrast.
const SLOPES: [f32; 3] = [60.0, 60.0, 50.0];
/// How much of the relief is left there.
const DETAIL_RELIEF: f32 = 0.3;
/// The least share of the jitter that black and white get.
const LEAST_ROOM: f32 = 0.25;
/// From blue to yellow, and from green to red.
const WARMTH: [f32; 3] = [0.6, 0.1, -1.2];
const TINT: [f32; 3] = [1.0, -0.5, 0.0];
/// How fast light on thick paint grows with its slope.
const GLOSS: f32 = 3.0;

type Rgb = [Vec<f32>; 3];

impl Brushwork {
    pub(crate) fn check(&self) -> Result<(), OutOfRange> {
        let three = |name, values: [f32; 3]| {
            let wrong = values.into_iter().find(|value| !(0.0..=1.0).contains(value));
            (name, wrong.unwrap_or(0.0), wrong.is_none(), "within 0 and 1")
        };
        checked(&[
            ("crispness", self.crispness, (0.0..=10.0).contains(&self.crispness), "within 0 and 10"),
            three("light", self.light),
            three("warmth", self.warmth),
            three("tint", self.tint),
            three("contrasts", self.contrasts),
            three("relief", [self.relief; 3]),
        ])
    }

    /// The layers of a generator's noise that it takes: four for the wide and four for the medium brush, and one for the
    /// fine one, whose jitter is that of the medium one. In a small generator some layers serve twice.
    pub(crate) fn layers(sizes: &Sizes) -> [usize; 2 * NOISES + 1] {
        let [before, at_eighth, after] = sizes.blocks;
        std::array::from_fn(|i| match i {
            0..NOISES => before + i % at_eighth,
            NOISES..8 => match (i - NOISES) % (before + after) {
                layer if layer < before => layer,
                layer => layer + at_eighth,
            },
            _ => before + at_eighth + after,
        })
    }

    /// Paints pictures of `width` x `height` pixels, RGB in -1..1, with the maps of their noise in these layers.
    pub(crate) fn paint(
        &self,
        pictures: &[f32],
        (width, height): (usize, usize),
        maps: &[Vec<f32>],
    ) -> Vec<f32> {
        let size = (width, height);
        let painted = pictures.par_chunks(width * height * 3).enumerate().flat_map_iter(|(i, picture)| {
            let noises: Vec<_> = maps
                .iter()
                .zip(factors())
                .map(|(map, factor)| {
                    let len = (width / factor) * (height / factor);
                    enlarged(&map[i * len..][..len], size, factor)
                })
                .collect();
            self.paint_one(picture, size, &noises)
        });
        painted.collect()
    }

    fn paint_one(&self, picture: &[f32], size: (usize, usize), noises: &[Vec<f32>]) -> Vec<f32> {
        let photo: Rgb =
            std::array::from_fn(|c| picture.iter().skip(c).step_by(3).map(|v| (v + 1.0) / 2.0).collect());
        let mut painted: Rgb = photo.clone();
        let mut thickness = vec![0.0; photo[0].len()];
        for (brush, factor) in FACTORS.into_iter().enumerate() {
            let px = factor as f32;
            let ridges = &noises[brush * NOISES];
            let jitter = &noises[brush.min(1) * NOISES + 1..][..NOISES - 1];
            let strokes = self.strokes(brush, &photo, ridges, jitter, size);
            let around = gaussian(ridges, size, AROUND * px);
            let shares = if brush == 0 {
                vec![1.0; ridges.len()]
            } else {
                let spans = CONTRAST.map(|widths| widths * px);
                let contrasts = contrasts(&photo, size, spans);
                let from = self.contrasts[brush - 1];
                let share =
                    |(contrast, ridge): (f32, &f32)| sigmoid((contrast - from) * SLOPES[brush - 1] + ridge);
                contrasts.into_iter().zip(ridges).map(share).collect()
            };
            lay(&mut painted, &strokes, &shares);
            for (((thickness, share), ridge), around) in
                thickness.iter_mut().zip(&shares).zip(ridges).zip(&around)
            {
                *thickness += ((ridge - around).tanh() - *thickness) * share;
            }
        }
        let detail: Vec<f32> = contrasts(&photo, size, DETAIL_PX)
            .into_iter()
            .map(|contrast| sigmoid((contrast - self.contrasts[2]) * SLOPES[2]))
            .collect();
        lay(&mut painted, &photo, &detail);
        thickness
            .iter_mut()
            .zip(&detail)
            .for_each(|(value, share)| *value *= 1.0 - (1.0 - DETAIL_RELIEF) * share);
        let light = slopes(&thickness, size);
        let lit = |i: usize| {
            let light = self.relief * (GLOSS * light[i]).tanh();
            [0, 1, 2].map(|c| (painted[c][i] + light).clamp(0.0, 1.0) * 2.0 - 1.0)
        };
        (0..light.len()).flat_map(lit).collect()
    }

    /// What a brush paints: at each pixel the mean around, where ridges outweigh the rest by far, of the picture's colours
    /// and of the jitter, which is the same all along a ridge.
    fn strokes(
        &self,
        brush: usize,
        photo: &Rgb,
        ridges: &[f32],
        jitter: &[Vec<f32>],
        size: (usize, usize),
    ) -> Rgb {
        let sigma = REACH * FACTORS[brush] as f32;
        let weights: Vec<f32> = ridges.iter().map(|ridge| (self.crispness * (ridge - 2.0)).exp()).collect();
        let sums = gaussian(&weights, size, sigma);
        let picked = |plane: &Vec<f32>| -> Vec<f32> {
            let weighted: Vec<f32> =
                plane.iter().zip(&weights).map(|(value, weight)| value * weight).collect();
            let mut picked = gaussian(&weighted, size, sigma);
            picked.iter_mut().zip(&sums).for_each(|(value, sum)| *value /= sum);
            picked
        };
        let mut colours = photo.each_ref().map(picked);
        let jitter: Vec<_> = jitter.iter().map(picked).collect();
        let strengths = [self.light[brush], self.warmth[brush], self.tint[brush]];
        for i in 0..ridges.len() {
            let luminance = luminance(colours.each_ref().map(|plane| plane[i]));
            let room = (4.0 * luminance * (1.0 - luminance)).clamp(LEAST_ROOM, 1.0);
            let [light, warmth, tint] = [0, 1, 2].map(|kind| room * strengths[kind] * jitter[kind][i]);
            for (c, plane) in colours.iter_mut().enumerate() {
                plane[i] += light + warmth * WARMTH[c] + tint * TINT[c];
            }
        }
        colours
    }
}

/// Those of the layers, in their order.
fn factors() -> impl Iterator<Item = usize> {
    let [wide, medium, fine] = FACTORS;
    [wide; NOISES].into_iter().chain([medium; NOISES]).chain([fine])
}

/// A map as large as the picture, and smooth.
fn enlarged(map: &[f32], (width, height): (usize, usize), factor: usize) -> Vec<f32> {
    let cols = width / factor;
    let large: Vec<f32> =
        (0..width * height).map(|i| map[i / width / factor * cols + i % width / factor]).collect();
    gaussian(&large, (width, height), SMOOTH * factor as f32)
}

/// How far colours are from those around, within the first deviation, as the mean within the second.
fn contrasts(photo: &Rgb, size: (usize, usize), [around, spread]: [f32; 2]) -> Vec<f32> {
    let mut most = vec![0.0f32; photo[0].len()];
    for plane in photo {
        let blurred = gaussian(plane, size, around);
        for ((most, value), blurred) in most.iter_mut().zip(plane).zip(blurred) {
            *most = most.max((value - blurred).abs());
        }
    }
    gaussian(&most, size, spread)
}

/// Lays paint over what is there, so much of it at each pixel.
fn lay(below: &mut Rgb, paint: &Rgb, shares: &[f32]) {
    for (below, paint) in below.iter_mut().zip(paint) {
        for ((below, paint), share) in below.iter_mut().zip(paint).zip(shares) {
            *below += (paint - *below) * share;
        }
    }
}

/// How much a plane rises to the right and downwards, by Sobel's operator.
fn slopes(plane: &[f32], (width, height): (usize, usize)) -> Vec<f32> {
    let at = |x: isize, y: isize| {
        let (x, y) = (x.clamp(0, width as isize - 1), y.clamp(0, height as isize - 1));
        plane[y as usize * width + x as usize]
    };
    let slope = |i: usize| {
        let (x, y) = ((i % width) as isize, (i / width) as isize);
        let diagonal = 2.0 * (at(x + 1, y + 1) - at(x - 1, y - 1));
        (diagonal + 2.0 * (at(x + 1, y) - at(x - 1, y) + at(x, y + 1) - at(x, y - 1))) / 8.0
    };
    (0..plane.len()).map(slope).collect()
}

fn sigmoid(value: f32) -> f32 {
    1.0 / (1.0 + (-value).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 64;
    const PLAIN: Brushwork = Brushwork {
        crispness: 5.0,
        light: [0.0; 3],
        warmth: [0.0; 3],
        tint: [0.0; 3],
        contrasts: [1.0; 3],
        relief: 0.0,
    };

    /// Values from -1 to 1, others for every layer.
    fn maps(pictures: usize, value: impl Fn(usize, usize, usize) -> f32) -> Vec<Vec<f32>> {
        let of_layer = |(layer, factor): (usize, usize)| -> Vec<f32> {
            let side = SIDE / factor;
            (0..pictures * side * side).map(|i| value(layer, i / side % side, i % side)).collect()
        };
        factors().enumerate().map(of_layer).collect()
    }

    fn waves(layer: usize, row: usize, col: usize) -> f32 {
        ((row * 7 + col * (3 + layer)) as f32).sin()
    }

    fn even(rgb: [f32; 3]) -> Vec<f32> {
        rgb.repeat(SIDE * SIDE)
    }

    fn paint(brushwork: Brushwork, picture: &[f32], maps: &[Vec<f32>]) -> Vec<f32> {
        brushwork.check().expect("a brushwork");
        brushwork.paint(picture, (SIDE, SIDE), maps)
    }

    #[test]
    fn without_jitter_what_is_even_stays_even() {
        let picture = even([0.5, -0.25, -0.9]);
        let painted = paint(PLAIN, &picture, &maps(1, waves));
        assert!(painted.iter().zip(&picture).all(|(a, b)| (a - b).abs() < 1e-4));
    }

    #[test]
    fn jitter_is_of_its_kind() {
        let picture = even([0.0; 3]);
        let maps = maps(1, waves);
        // Which channels differ from which, on an even grey.
        for (name, brushwork, factors) in [
            ("light", Brushwork { light: [0.1; 3], ..PLAIN }, [1.0; 3]),
            ("warmth", Brushwork { warmth: [0.1; 3], ..PLAIN }, WARMTH),
            ("tint", Brushwork { tint: [0.1; 3], ..PLAIN }, TINT),
        ] {
            let painted = paint(brushwork, &picture, &maps);
            let most = painted.iter().fold(0.0f32, |most, value| most.max(value.abs()));
            assert!(most > 0.02, "{name}: {most}");
            for rgb in painted.as_chunks::<3>().0 {
                let jitter = rgb.iter().zip(factors).find(|(_, factor)| *factor != 0.0).map(|(v, f)| v / f);
                let jitter = jitter.expect("one that counts");
                assert!(
                    rgb.iter().zip(factors).all(|(v, f)| (v - jitter * f).abs() < 1e-4),
                    "{name}: {rgb:?}"
                );
            }
        }
    }

    #[test]
    fn a_stroke_has_the_colours_of_its_ridge() {
        // Black on the left and white on the right, and a ridge of the wide brush on either side of where they meet.
        let picture: Vec<f32> =
            (0..SIDE * SIDE).flat_map(|i| [if i % SIDE < SIDE / 2 { -1.0 } else { 1.0 }; 3]).collect();
        let beside =
            |ridge: usize| maps(1, move |layer, _, col| if layer == 0 && col == ridge { 3.0 } else { -1.0 });
        let painted = |ridge| paint(PLAIN, &picture, &beside(ridge));
        let middle = 3 * (SIDE / 2 * SIDE + SIDE / 2);
        let [left, right] = [painted(3), painted(4)];
        assert!(left[middle] < -0.6, "{}", left[middle]);
        assert!(right[middle - 3] > 0.6, "{}", right[middle - 3]);
    }

    #[test]
    fn detail_is_left_as_it_is() {
        let stripes: Vec<f32> =
            (0..SIDE * SIDE).flat_map(|i| [if i % 2 < 1 { -1.0 } else { 1.0 }; 3]).collect();
        let painted = |contrasts| {
            let brushwork = Brushwork { light: [0.2; 3], relief: 0.1, contrasts, ..PLAIN };
            let painted = paint(brushwork, &stripes, &maps(1, waves));
            painted.iter().zip(&stripes).map(|(a, b)| (a - b).abs()).sum::<f32>() / stripes.len() as f32
        };
        assert!(painted([0.1; 3]) < 0.05, "{}", painted([0.1; 3]));
        assert!(painted([1.0; 3]) > 0.3, "{}", painted([1.0; 3]));
    }

    #[test]
    fn each_picture_has_its_own_noise() {
        let brushwork = Brushwork { light: [0.1; 3], relief: 0.1, ..PLAIN };
        let picture = even([0.2; 3]);
        let [first, second] = [maps(1, waves), maps(1, |layer, row, col| waves(layer + 1, col, row))];
        let both: Vec<_> = first.iter().zip(&second).map(|(a, b)| [a.as_slice(), b].concat()).collect();
        let alone = [paint(brushwork, &picture, &first), paint(brushwork, &picture, &second)];
        assert_ne!(alone[0], alone[1]);
        assert_eq!(paint(brushwork, &[picture.clone(), picture].concat(), &both), alone.concat());
    }

    #[test]
    fn every_generator_has_the_layers() {
        let layers = |blocks| Brushwork::layers(&Sizes { blocks, ..Sizes::default() });
        assert_eq!(layers([3, 6, 3]), [3, 4, 5, 6, 0, 1, 2, 9, 12]);
        assert_eq!(layers([1, 1, 1]), [1, 1, 1, 1, 0, 2, 0, 2, 3]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let refused = [
            Brushwork { crispness: 11.0, ..PLAIN },
            Brushwork { warmth: [0.0, f32::NAN, 0.0], ..PLAIN },
            Brushwork { contrasts: [0.1, 0.1, -0.1], ..PLAIN },
            Brushwork { relief: 1.5, ..PLAIN },
        ];
        for brushwork in refused {
            assert!(brushwork.check().is_err(), "{brushwork:?}");
        }
    }
}
