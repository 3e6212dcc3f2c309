//! What the art is like on the whole, measured once.
//!
//! Gram matrices against the mean of the art's, not those of a batch: less noise, and no pass through the perceptual
//! network at every step. A palette for all pictures, and no local one: no blotches.

use candle_core::{DType, Device, Result, Tensor, bail};

use super::snapshot::Snapshot;
use crate::losses::{Colours, Palette, chroma};
use crate::networks::perceptual::Level;

/// Sums over the batches so far.
#[derive(Default)]
pub(super) struct Statistics {
    batches: u64,
    grams: Vec<Tensor>,
    art: ColourSums,
    pictures: ColourSums,
}

/// How many pixels; the sums of U and V, and of their squares.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct ColourSums([f64; 5]);

impl Statistics {
    /// The levels whose Gram matrices are looked at: the first of each stride.
    pub(super) fn levels(levels: &[Level]) -> Vec<usize> {
        let is_first = |i: &usize| *i == 0 || levels[i - 1].stride != levels[*i].stride;
        (0..levels.len()).filter(is_first).collect()
    }

    /// Adds a batch of art, the Gram matrices of its luminance's features at [`Self::levels`], and a batch of what photos
    /// become.
    pub(super) fn add(&mut self, art: &Tensor, grams: Vec<Tensor>, pictures: &Tensor) -> Result<()> {
        for (i, gram) in grams.into_iter().enumerate() {
            match self.grams.get_mut(i) {
                Some(sum) => *sum = (&*sum + gram)?,
                None => self.grams.push(gram),
            }
        }
        self.batches += 1;
        self.art.add(art)?;
        self.pictures.add(pictures)
    }

    /// The mean Gram matrix at each level.
    pub(super) fn grams(&self) -> Result<Vec<Tensor>> {
        self.grams.iter().map(|sum| sum / self.batches as f64).collect()
    }

    /// From what photos become to the art.
    pub(super) fn palette(&self) -> Palette {
        Palette::new(self.pictures.colours(), self.art.colours())
    }

    pub(super) fn save(&self, name: &str, to: &mut Snapshot) -> Result<()> {
        let named = |(i, tensor): (usize, &Tensor)| (format!("gram.{i}"), tensor.clone());
        to.put(name, self.grams.iter().enumerate().map(named).collect());
        let colours = [self.art.0, self.pictures.0].concat();
        let colours = Tensor::from_vec(colours, 10, &Device::Cpu)?;
        to.put(name, [("colours".to_owned(), colours)].into());
        to.steps.insert(name.to_owned(), self.batches);
        Ok(())
    }

    pub(super) fn restored(name: &str, levels: &[Level], from: &Snapshot) -> Result<Self> {
        let (tensors, batches) = (from.get(name), from.steps_of(name)?);
        let Some(Ok(colours)) = tensors.get("colours").map(|t| t.to_vec1::<f64>()) else {
            bail!("{name} has no colours")
        };
        let (Ok(art), Ok(pictures)) = (
            <[f64; 5]>::try_from(colours.get(..5).unwrap_or_default()),
            <[f64; 5]>::try_from(colours.get(5..).unwrap_or_default()),
        ) else {
            bail!("{name} has {} numbers of colours", colours.len())
        };
        let mut grams = Vec::new();
        for (i, level) in Self::levels(levels).into_iter().enumerate() {
            let channels = levels[level].channels;
            match tensors.get(&format!("gram.{i}")) {
                Some(gram) if gram.dims() == [channels; 2] && gram.dtype() == DType::F32 => {
                    grams.push(gram.clone());
                }
                None if batches == 0 => {}
                _ => bail!("{name} has no Gram matrix of {channels} channels"),
            }
        }
        Ok(Self { batches, grams, art: ColourSums(art), pictures: ColourSums(pictures) })
    }
}

impl ColourSums {
    fn add(&mut self, pictures: &Tensor) -> Result<()> {
        let [pixels, u, v, uu, vv] = &mut self.0;
        let values: Vec<f32> = chroma(&pictures.clone().into())?.here()?.flatten_all()?.to_vec1()?;
        for [a, b] in values.as_chunks().0 {
            let (a, b) = (f64::from(*a), f64::from(*b));
            *pixels += 1.0;
            *u += a;
            *v += b;
            *uu += a * a;
            *vv += b * b;
        }
        Ok(())
    }

    fn colours(self) -> Colours {
        let [pixels, u, v, uu, vv] = self.0;
        let pixels = pixels.max(1.0);
        let (u, v) = (u / pixels, v / pixels);
        let deviation = |squares: f64, mean: f64| (squares / pixels - mean * mean).max(0.0).sqrt();
        Colours { mean: [u, v], deviation: [deviation(uu, u), deviation(vv, v)] }
    }
}
