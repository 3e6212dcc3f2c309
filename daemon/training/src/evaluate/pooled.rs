//! A picture as lists of numbers: the mean of each feature over cells of it, at full and at half size.
//!
//! Cells, since few pictures have many of them, and what is painted differs less from cell to cell than what is shown does
//! from picture to picture. Half size, since grain is gone there, and strokes and lines aren't; full size, since there a
//! grid can be seen.

use candle_core::{D, Result, Tensor};

use crate::networks::perceptual::Features;

/// A cell's side, in pixels of the picture.
const CELL_PX: usize = 64;

/// Pooled features of pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct Pooled {
    /// Of the pictures in each size that they are looked at in.
    pub(super) sizes: Vec<Cells>,
}

/// The features of the cells of pictures in one size.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cells {
    /// Features of a cell.
    pub(super) features: usize,
    /// For each picture its cells, one after the other.
    values: Vec<Vec<f32>>,
    /// The standard deviation of each feature over all cells, before they were scaled.
    deviations: Vec<f32>,
}

impl Cells {
    fn new(features: usize, values: Vec<Vec<f32>>) -> Self {
        let cells = || values.iter().flat_map(|picture| picture.chunks_exact(features));
        let count = cells().count() as f32;
        let mean = |of: &dyn Fn(&[f32]) -> f32| cells().map(of).sum::<f32>() / count;
        let deviation = |i: usize| {
            let centre = mean(&|cell| cell[i]);
            mean(&|cell| (cell[i] - centre).powi(2)).sqrt()
        };
        let deviations = (0..features).map(deviation).collect();
        Self { features, values, deviations }
    }

    /// For each picture its cells, one after the other.
    pub(super) fn pictures(&self) -> impl Iterator<Item = &[f32]> {
        self.values.iter().map(Vec::as_slice)
    }

    fn scaled_as(&self, reference: &Self) -> Self {
        let by = &reference.deviations;
        // A feature that hardly varies in the reference says nothing.
        let least = 1e-4 * by.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        let value = |(value, &by): (&f32, &f32)| if by > least { value / by } else { 0.0 };
        let picture = |picture: &Vec<f32>| {
            picture.chunks_exact(self.features).flat_map(|cell| cell.iter().zip(by).map(value)).collect()
        };
        let values = self.values.iter().map(picture).collect();
        Self { features: self.features, values, deviations: by.clone() }
    }
}

impl Pooled {
    /// How many pictures.
    pub fn pictures(&self) -> usize {
        self.sizes.first().map_or(0, |cells| cells.values.len())
    }

    /// Each feature divided by its standard deviation over the cells of `reference`: then none outweighs the others because
    /// its layer's numbers are large.
    pub fn scaled_as(&self, reference: &Self) -> Self {
        let sizes = self.sizes.iter().zip(&reference.sizes);
        Self { sizes: sizes.map(|(cells, reference)| cells.scaled_as(reference)).collect() }
    }

    /// The mean distance between two pictures: the root mean square difference of their features at full size, each the
    /// mean over the picture's cells.
    pub(super) fn diversity(&self) -> f64 {
        let Some(cells) = self.sizes.first() else { return 0.0 };
        let row = |picture: &[f32]| -> Vec<f64> {
            let count = picture.len() / cells.features;
            let sum =
                |i: usize| picture.iter().skip(i).step_by(cells.features).map(|&v| f64::from(v)).sum::<f64>();
            (0..cells.features).map(|i| sum(i) / count as f64).collect()
        };
        let rows: Vec<_> = cells.pictures().map(row).collect();
        let distance = |a: &[f64], b: &[f64]| {
            let sum: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
            (sum / a.len() as f64).sqrt()
        };
        let pairs = (0..rows.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
        let count = rows.len() * rows.len().saturating_sub(1) / 2;
        pairs.map(|(i, j)| distance(&rows[i], &rows[j])).sum::<f64>() / count.max(1) as f64
    }

    /// From cells, `[pictures, cells, features]`, in one size.
    #[cfg(test)]
    pub(super) fn of_cells(cells: &Tensor) -> Result<Self> {
        let features = cells.dim(D::Minus1)?;
        Ok(Self { sizes: vec![Cells::new(features, cells.flatten_from(1)?.to_vec2()?)] })
    }
}

/// The features of pictures, `[pictures, height, width, 3]` in -1..1, those of all levels one after the other.
///
/// # Errors
/// If the network fails, or the pictures are too small for it.
pub fn pooled(features: &dyn Features, pictures: &Tensor) -> Result<Pooled> {
    let in_size = |pictures: &Tensor| -> Result<Cells> {
        let (count, height, width, _) = pictures.dims4()?;
        let grid = (height.div_ceil(CELL_PX), width.div_ceil(CELL_PX));
        // A picture at a time: maps are large.
        let pool = |i: usize| {
            let maps = features.forward(&pictures.narrow(0, i, 1)?)?;
            let means =
                maps.iter().map(|map| averaged(map, grid)?.flatten(0, 2)).collect::<Result<Vec<_>>>()?;
            let cells = Tensor::cat(&means, D::Minus1)?;
            Ok((cells.dim(D::Minus1)?, cells.flatten_all()?.to_vec1()?))
        };
        let cells = (0..count).map(pool).collect::<Result<Vec<_>>>()?;
        let features = cells.first().map_or(0, |(features, _)| *features);
        Ok(Cells::new(features, cells.into_iter().map(|(_, values)| values).collect()))
    };
    let (_, height, width, _) = pictures.dims4()?;
    let half = averaged(pictures, (height / 2, width / 2))?;
    Ok(Pooled { sizes: vec![in_size(pictures)?, in_size(&half)?] })
}

/// Maps reduced to this height and width; what doesn't divide is left out.
fn averaged(maps: &Tensor, (rows, columns): (usize, usize)) -> Result<Tensor> {
    let (count, height, width, channels) = maps.dims4()?;
    let (tall, wide) = (height / rows.max(1), width / columns.max(1));
    if tall == 0 || wide == 0 {
        candle_core::bail!("a picture of {width} x {height} pixels is too small to be judged");
    }
    let maps = maps.narrow(1, 0, tall * rows)?.narrow(2, 0, wide * columns)?.contiguous()?;
    maps.reshape((count * rows, tall, columns, wide * channels))?
        .mean(1)?
        .reshape((count, rows, columns, wide, channels))?
        .mean(3)
}
