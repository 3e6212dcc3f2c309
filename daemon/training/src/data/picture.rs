//! A picture in memory.

use std::ops::Range;

use utsushi_engine::Layout;

use super::resample::{Area, resample};

/// Red, green and blue of every pixel, a byte each, gamma-encoded (sRGB).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Picture {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Interleaved, row after row: `width * height * 3` bytes.
    pub rgb: Vec<u8>,
}

/// A picture, and where it is transparent: a character without a ground, for example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// Laid over white.
    pub picture: Picture,
    /// How opaque it is, as a grey picture of the same size; nothing if it is opaque all over.
    pub opacity: Option<Picture>,
}

/// What a style is shown in training.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The picture.
    pub sheet: Sheet,
    /// Is it drawn already? Then only its colours and strokes are to change.
    pub is_drawn: bool,
}

impl From<Picture> for Sheet {
    fn from(picture: Picture) -> Self {
        Self { picture, opacity: None }
    }
}

impl From<Picture> for Content {
    fn from(photo: Picture) -> Self {
        Self { sheet: photo.into(), is_drawn: false }
    }
}

impl Sheet {
    /// From 8-bit samples of any layout, as [`Picture::new`].
    ///
    /// # Errors
    /// As there.
    pub fn new(width: u32, height: u32, layout: Layout, samples: &[u8]) -> Result<Self, WrongLength> {
        let channels = match layout {
            Layout::Grey => 1,
            Layout::GreyAlpha => 2,
            Layout::Rgb => 3,
            Layout::Rgba => 4,
        };
        let expected = (width as usize).saturating_mul(height as usize).saturating_mul(channels);
        if samples.len() != expected {
            return Err(WrongLength { expected, found: samples.len() });
        }
        let over_white = |colour: u8, alpha: u8| {
            let sum = u32::from(colour) * u32::from(alpha) + 255 * (255 - u32::from(alpha));
            ((sum + 127) / 255) as u8
        };
        let pixels = samples.chunks_exact(channels);
        let rgb = match layout {
            Layout::Grey => pixels.flat_map(|p| [p[0]; 3]).collect(),
            Layout::GreyAlpha => pixels.flat_map(|p| [over_white(p[0], p[1]); 3]).collect(),
            Layout::Rgb => samples.to_vec(),
            Layout::Rgba => pixels.flat_map(|p| [p[0], p[1], p[2]].map(|c| over_white(c, p[3]))).collect(),
        };
        let alphas = || samples.iter().skip(channels - 1).step_by(channels);
        let is_cut_out = matches!(layout, Layout::GreyAlpha | Layout::Rgba) && alphas().any(|a| *a < 255);
        let opacity =
            is_cut_out.then(|| Picture { width, height, rgb: alphas().flat_map(|a| [*a; 3]).collect() });
        Ok(Self { picture: Picture { width, height, rgb }, opacity })
    }

    /// Without the borders where there is nothing; as it is if there is nothing anywhere.
    #[must_use]
    pub fn trimmed(self) -> Self {
        let Some(opacity) = &self.opacity else { return self };
        let (width, height) = (opacity.width as usize, opacity.height as usize);
        let is_there = |x: usize, y: usize| opacity.rgb[(y * width + x) * 3] > 0;
        let rows = span(height, |y| (0..width).any(|x| is_there(x, y)));
        let cols = span(width, |x| (0..height).any(|y| is_there(x, y)));
        let (Some(rows), Some(cols)) = (rows, cols) else { return self };
        let cut = |picture: &Picture| {
            let row = |y: usize| &picture.rgb[(y * width + cols.start) * 3..(y * width + cols.end) * 3];
            let rgb = rows.clone().flat_map(row).copied().collect();
            Picture { width: cols.len() as u32, height: rows.len() as u32, rgb }
        };
        Self { picture: cut(&self.picture), opacity: Some(cut(opacity)) }
    }

    /// [`Picture::reduced`]
    #[must_use]
    pub fn reduced(&self, long_side_px: u32) -> Self {
        let reduced = |picture: &Picture| picture.reduced(long_side_px);
        Self { picture: reduced(&self.picture), opacity: self.opacity.as_ref().map(reduced) }
    }
}

/// From the first to the last of so many of which this is true.
fn span(of: usize, is: impl Fn(usize) -> bool) -> Option<Range<usize>> {
    let first = (0..of).find(|i| is(*i))?;
    let last = (first..of).rfind(|i| is(*i))?;
    Some(first..last + 1)
}

/// The samples are fewer or more than size and layout say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found} samples were given for a picture that has {expected}")]
pub struct WrongLength {
    /// By size and layout.
    pub expected: usize,
    /// Given.
    pub found: usize,
}

impl Picture {
    /// From 8-bit samples of any layout. Grey becomes RGB; what is transparent is laid over white.
    ///
    /// # Errors
    /// If there are more or fewer samples than that takes.
    pub fn new(width: u32, height: u32, layout: Layout, samples: &[u8]) -> Result<Self, WrongLength> {
        Sheet::new(width, height, layout, samples).map(|sheet| sheet.picture)
    }

    /// From interleaved values in -1..1; what is beyond is cut off.
    ///
    /// # Panics
    /// If the values are not `width * height * 3`.
    pub fn from_values(width: u32, height: u32, values: &[f32]) -> Self {
        assert_eq!(
            values.len(),
            width as usize * height as usize * 3,
            "values of a {width} x {height} picture"
        );
        Self { width, height, rgb: values.iter().map(|v| (v * 127.5 + 128.0) as u8).collect() }
    }

    /// Interleaved values in -1..1, as networks take them.
    pub fn values(&self) -> Vec<f32> {
        self.rgb.iter().map(|&byte| f32::from(byte) / 127.5 - 1.0).collect()
    }

    /// Reduced so that no side is longer than `long_side_px`; means over areas. Never enlarged.
    pub fn reduced(&self, long_side_px: u32) -> Self {
        let long = self.width.max(self.height);
        if long <= long_side_px {
            return self.clone();
        }
        let scale = f64::from(long_side_px) / f64::from(long);
        let side = |full: u32| ((f64::from(full) * scale).round() as u32).clamp(1, long_side_px);
        self.resized(side(self.width), side(self.height))
    }

    /// [`Picture::reduced`], but no further than that its short side is as long as this, if it is.
    pub fn reduced_within(&self, long_side_px: u32, short_side_px: u32) -> Self {
        let (long, short) = (self.width.max(self.height), self.width.min(self.height).max(1));
        let least = u64::from(long) * u64::from(short_side_px);
        let least = u32::try_from(least.div_ceil(u64::from(short))).unwrap_or(u32::MAX);
        self.reduced(long_side_px.max(least))
    }

    /// At another size, whatever its shape becomes.
    pub(crate) fn resized(&self, width: u32, height: u32) -> Self {
        let values = resample(self, Area::of(self), (width as usize, height as usize));
        Self { width, height, rgb: values.into_iter().map(|v| (v + 0.5) as u8).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(layout: Layout, samples: &[u8], rgb: &[u8]) {
        let picture = Picture::new(2, 1, layout, samples).expect("the right length");
        assert_eq!(picture.rgb, rgb, "{layout:?}");
        assert_eq!(Picture::from_values(2, 1, &picture.values()), picture, "there and back");
    }

    #[test]
    fn every_layout_becomes_rgb() {
        check(Layout::Grey, &[7, 200], &[7, 7, 7, 200, 200, 200]);
        check(Layout::GreyAlpha, &[7, 255, 7, 0], &[7, 7, 7, 255, 255, 255]);
        check(Layout::Rgb, &[1, 2, 3, 4, 5, 6], &[1, 2, 3, 4, 5, 6]);
        check(Layout::Rgba, &[1, 2, 3, 255, 0, 100, 200, 128], &[1, 2, 3, 127, 177, 227]);
        let error = Picture::new(2, 1, Layout::Rgb, &[0; 5]).expect_err("a byte is missing");
        assert_eq!(error, WrongLength { expected: 6, found: 5 });
    }

    #[test]
    fn what_is_transparent_is_known_and_trimmed() {
        let pixel = |alpha: u8| [100, 0, 200, alpha];
        let samples: Vec<u8> = [0, 0, 0, 0, 9, 255, 0, 0, 0, 128, 0, 0].into_iter().flat_map(pixel).collect();
        let sheet = Sheet::new(4, 3, Layout::Rgba, &samples).expect("the right length");
        let opacity = sheet.opacity.clone().expect("it is transparent in parts");
        assert_eq!(opacity.rgb[4 * 3..6 * 3], [9, 9, 9, 255, 255, 255]);
        let trimmed = sheet.trimmed();
        assert_eq!((trimmed.picture.width, trimmed.picture.height), (2, 2));
        assert_eq!(trimmed.picture.rgb[3..6], [100, 0, 200]);
        let alphas: Vec<_> = trimmed.opacity.expect("still").rgb.into_iter().step_by(3).collect();
        assert_eq!(alphas, [9, 255, 0, 128]);
        let opaque = Sheet::new(1, 1, Layout::Rgba, &[1, 2, 3, 255]).expect("the right length");
        assert_eq!(opaque.opacity, None);
        let nothing = Sheet::new(2, 1, Layout::GreyAlpha, &[1, 0, 1, 0]).expect("the right length");
        assert_eq!(nothing.clone().trimmed(), nothing);
    }

    #[test]
    fn values_beyond_are_cut_off() {
        let picture = Picture::from_values(2, 1, &[-3.0, -1.0, 0.0, 1.0, 3.0, f32::NAN]);
        assert_eq!(picture.rgb, [0, 0, 128, 255, 255, 0]);
    }

    #[test]
    fn reducing_keeps_the_shape_and_the_mean() {
        let rgb: Vec<u8> = (0..90 * 40 * 3).map(|i| (i * 7 % 251) as u8).collect();
        let picture = Picture { width: 90, height: 40, rgb };
        let reduced = picture.reduced(30);
        assert_eq!((reduced.width, reduced.height), (30, 13));
        let mean = |p: &Picture| p.rgb.iter().map(|&b| f64::from(b)).sum::<f64>() / p.rgb.len() as f64;
        assert!((mean(&reduced) - mean(&picture)).abs() < 0.5);
        assert_eq!(picture.reduced(90), picture);
        let within = |short| {
            let reduced = picture.reduced_within(30, short);
            (reduced.width, reduced.height)
        };
        assert_eq!((within(13), within(20), within(60)), ((30, 13), (45, 20), (90, 40)));
        let thin = Picture { width: 1, height: 900, rgb: vec![9; 2700] };
        assert_eq!(thin.reduced(9), Picture { width: 1, height: 9, rgb: vec![9; 27] });
    }
}
