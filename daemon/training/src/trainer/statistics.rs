//! What the art is like on the whole, measured once.
//!
//! Gram matrices against the mean of the art's, not those of a batch: less noise, and no pass through the perceptual
//! network at every step. A palette for all pictures, and no local one: no blotches.

use candle_core::{DType, Device, Result, Tensor, bail};

use super::snapshot::Snapshot;
use crate::losses::{Colours, Palette, luminance_and_chroma};
use crate::networks::perceptual::Level;

/// Sums over the batches so far.
#[derive(Default)]
pub(super) struct Statistics {
    batches: u64,
    grams: Vec<Tensor>,
    art: ColourSums,
    pictures: ColourSums,
}

/// How many pixels; the sums of Y, U and V, and of their products: YY, YU, YV, UU, UV, VV.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct ColourSums([f64; SUMS]);

const SUMS: usize = 1 + 3 + 6;

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

    /// From what photos become a share of the way to the art.
    pub(super) fn palette(&self, share: f64) -> Palette {
        Palette::new(self.pictures.colours(), self.art.colours(), share)
    }

    pub(super) fn save(&self, name: &str, to: &mut Snapshot) -> Result<()> {
        let named = |(i, tensor): (usize, &Tensor)| (format!("gram.{i}"), tensor.clone());
        to.put(name, self.grams.iter().enumerate().map(named).collect());
        let colours = [self.art.0, self.pictures.0].concat();
        let colours = Tensor::from_vec(colours, 2 * SUMS, &Device::Cpu)?;
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
            <[f64; SUMS]>::try_from(colours.get(..SUMS).unwrap_or_default()),
            <[f64; SUMS]>::try_from(colours.get(SUMS..).unwrap_or_default()),
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
        let maps = luminance_and_chroma(&pictures.clone().into())?;
        let values: Vec<f32> = maps.here()?.flatten_all()?.to_vec1()?;
        for pixel in values.as_chunks::<3>().0 {
            let [y, u, v] = pixel.map(f64::from);
            let of_pixel = [1.0, y, u, v, y * y, y * u, y * v, u * u, u * v, v * v];
            self.0.iter_mut().zip(of_pixel).for_each(|(sum, value)| *sum += value);
        }
        Ok(())
    }

    fn colours(self) -> Colours {
        let pixels = self.0[0].max(1.0);
        let [_, y, u, v, yy, yu, yv, uu, uv, vv] = self.0.map(|sum| sum / pixels);
        let (mean, products) = ([y, u, v], [[yy, yu, yv], [yu, uu, uv], [yv, uv, vv]]);
        let covariance = std::array::from_fn(|i| std::array::from_fn(|j| products[i][j] - mean[i] * mean[j]));
        Colours { mean, covariance }
    }
}
