//! A photo as a simple filter draws it: what a generator learns to draw first.
//!
//! ```text
//! photo > l0: flat surfaces, crisp edges     > cel: colours, contrast, lines > strokes, of its texture > abstraction
//!       > flow: smooth paint along the shapes >
//! ```
//!
//! It takes a good part of a second a photo and depends on nothing else, so that it is computed once ([`Cache`]). So is what
//! a style draws of it ([`redrawn()`]), where that is what a generator begins with.

mod brushwork;
mod cache;
mod cel;
mod cosine;
mod field;
mod flow;
mod gaussian;
mod l0;
mod redrawn;
mod strokes;

use serde::{Deserialize, Serialize};

use crate::data::Picture;

pub use brushwork::Brushwork;
pub use cache::{Cache, Prepared, Unprepared};
pub use flow::Flow;
pub use redrawn::redrawn;
pub use strokes::Strokes;

/// How a photo is abstracted. The values are what worked on photos of some 768 pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What an edge costs (λ of L0 gradient minimisation): the larger, the fewer edges stay. 0: all stay.
    pub lambda: f32,
    /// The growth of β from step to step (κ), over 1: the larger, the faster and the coarser.
    pub kappa: f32,
    /// Edges are weighed in the photo to this power: below 1, those in the dark count more.
    pub edges_gamma: f32,
    /// Luminance to this power: below 1, all is lighter, darks most.
    pub gamma: f32,
    /// Colours are so much stronger than in the photo.
    pub chroma: f32,
    /// Strength of the S-shaped curve that makes darks darker and lights lighter, at most 1; below 0, the other way.
    pub contrast: f32,
    /// What is added to black, in red, green and blue of 0..1, and by a square to what is not quite black.
    pub shadows: [f32; 3],
    /// What is added to white, likewise.
    pub lights: [f32; 3],
    /// Lines.
    pub lines: Lines,
    /// Smooth paint along the shapes, if the shapes are painted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<Flow>,
    /// Brush strokes, a kind after the other.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub strokes: Vec<Strokes>,
}

/// Dark lines where the picture is darker than around, by a difference of Gaussians.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lines {
    /// Standard deviation of the narrow Gaussian, in pixels.
    pub narrow_px: f32,
    /// Standard deviation of the wide Gaussian, in pixels.
    pub wide_px: f32,
    /// The least difference that is a line, of luminance in 0..1.
    pub threshold: f32,
    /// How fast a line grows full with the difference.
    pub gain: f32,
    /// What a full line takes from the luminance, a share; 0: no lines.
    pub darkness: f32,
    /// The ink of a line, in red, green and blue of 0..1.
    pub ink: [f32; 3],
    /// Lines of the photo, those that smoothing takes away, too.
    pub of_photo: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lambda: 0.012,
            kappa: 2.0,
            edges_gamma: 1.0,
            gamma: 1.0,
            chroma: 1.25,
            contrast: 0.12,
            shadows: [0.0; 3],
            lights: [0.0; 3],
            lines: Lines::default(),
            flow: None,
            strokes: Vec::new(),
        }
    }
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            narrow_px: 0.9,
            wide_px: 2.0,
            threshold: 0.012,
            gain: 7.0,
            darkness: 0.75,
            ink: [0.0; 3],
            of_photo: false,
        }
    }
}

/// A setting that can't be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the abstraction's {setting} is {value}, and it has to be {range}")]
pub struct OutOfRange {
    setting: &'static str,
    value: f32,
    range: &'static str,
}

impl Settings {
    /// Can these be used?
    pub fn check(&self) -> Result<(), OutOfRange> {
        let sigma = |sigma: f32| (0.1..=50.0).contains(&sigma);
        let lines = &self.lines;
        checked(&[
            (
                "lambda",
                self.lambda,
                self.lambda == 0.0 || (1e-6..=1.0).contains(&self.lambda),
                "0, or within 0.000001 and 1",
            ),
            ("kappa", self.kappa, (1.05..=16.0).contains(&self.kappa), "within 1.05 and 16"),
            ("edges_gamma", self.edges_gamma, (0.2..=2.0).contains(&self.edges_gamma), "within 0.2 and 2"),
            ("gamma", self.gamma, (0.2..=2.0).contains(&self.gamma), "within 0.2 and 2"),
            ("chroma", self.chroma, (0.0..=4.0).contains(&self.chroma), "within 0 and 4"),
            ("contrast", self.contrast, (-1.0..=1.0).contains(&self.contrast), "within -1 and 1"),
            colour("shadows", self.shadows),
            colour("lights", self.lights),
            colour("lines.ink", lines.ink),
            ("lines.narrow_px", lines.narrow_px, sigma(lines.narrow_px), "within 0.1 and 50"),
            ("lines.wide_px", lines.wide_px, sigma(lines.wide_px), "within 0.1 and 50"),
            ("lines.threshold", lines.threshold, (0.0..=1.0).contains(&lines.threshold), "within 0 and 1"),
            ("lines.gain", lines.gain, (0.0..=1000.0).contains(&lines.gain), "within 0 and 1000"),
            ("lines.darkness", lines.darkness, (0.0..=1.0).contains(&lines.darkness), "within 0 and 1"),
        ])?;
        self.flow.as_ref().map_or(Ok(()), Flow::check)?;
        self.strokes.iter().try_for_each(Strokes::check)
    }
}

/// A setting's name and value, whether that is one, and what is.
type Checked = (&'static str, f32, bool, &'static str);

fn checked(settings: &[Checked]) -> Result<(), OutOfRange> {
    match settings.iter().find(|(_, _, is_good, _)| !is_good) {
        Some(&(setting, value, _, range)) => Err(OutOfRange { setting, value, range }),
        None => Ok(()),
    }
}

/// A Gaussian's standard deviation, in pixels.
fn deviation(setting: &'static str, px: f32) -> Checked {
    (setting, px, (0.3..=50.0).contains(&px), "within 0.3 and 50")
}

/// What is added to red, green and blue.
fn colour(setting: &'static str, colour: [f32; 3]) -> Checked {
    let wrong = colour.into_iter().find(|part| !(-1.0..=1.0).contains(part));
    (setting, wrong.unwrap_or(0.0), wrong.is_none(), "within -1 and 1")
}

/// The abstraction of a photo, on one thread.
///
/// # Panics
/// With settings that [`Settings::check`] refuses.
pub fn abstraction(photo: &Picture, settings: &Settings) -> Picture {
    settings.check().expect("settings were checked");
    let mut planes = Planes::of(photo);
    let luminance = planes.luminance();
    if settings.lambda > 0.0 {
        planes.raise(settings.edges_gamma);
        l0::smooth(&mut planes, settings.lambda, settings.kappa);
        planes.raise(1.0 / settings.edges_gamma);
    }
    if let Some(flow) = &settings.flow {
        flow.draw(&mut planes);
    }
    cel::draw(&mut planes, &luminance, settings);
    strokes::draw(&luminance, &mut planes, &settings.strokes);
    planes.to_picture()
}

/// A value of 0..1 to a power; to the power 1 it is as it was, beyond these bounds, too.
fn raised(value: f32, power: f32) -> f32 {
    if power == 1.0 { value } else { value.clamp(0.0, 1.0).powf(power) }
}

fn luminance([r, g, b]: [f32; 3]) -> f32 {
    0.299 * r + 0.587 * g + 0.114 * b
}

/// Red, green and blue apart, in 0..1.
#[derive(Clone)]
struct Planes {
    width: usize,
    height: usize,
    rgb: [Vec<f32>; 3],
}

impl Planes {
    fn of(picture: &Picture) -> Self {
        let plane = |c: usize| picture.rgb.iter().skip(c).step_by(3).map(|&b| f32::from(b) / 255.0).collect();
        Self {
            width: picture.width as usize,
            height: picture.height as usize,
            rgb: std::array::from_fn(plane),
        }
    }

    /// Each value to this power.
    fn raise(&mut self, power: f32) {
        self.rgb.iter_mut().flatten().for_each(|value| *value = raised(*value, power));
    }

    fn luminance(&self) -> Vec<f32> {
        let [r, g, b] = &self.rgb;
        r.iter().zip(g).zip(b).map(|((r, g), b)| luminance([*r, *g, *b])).collect()
    }

    fn to_picture(&self) -> Picture {
        let [r, g, b] = &self.rgb;
        let byte = |value: &f32| (value * 255.0 + 0.5) as u8;
        let rgb = r.iter().zip(g).zip(b).flat_map(|((r, g), b)| [byte(r), byte(g), byte(b)]).collect();
        Picture { width: self.width as u32, height: self.height as u32, rgb }
    }
}

#[cfg(test)]
mod tests;
