//! A picture as one list of numbers: the mean of each feature over the picture.

use candle_core::{D, Result, Tensor};

use crate::networks::perceptual::Features;

/// Pooled features of pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct Pooled {
    rows: Vec<Vec<f32>>,
    /// The root mean square of each feature over the pictures.
    scales: Vec<f32>,
}

impl Pooled {
    /// From a list a picture, all of the same length.
    pub fn new(rows: Vec<Vec<f32>>) -> Self {
        let length = rows.first().map_or(0, Vec::len);
        let square = |i: usize| rows.iter().map(|row| row[i].powi(2)).sum::<f32>() / rows.len() as f32;
        let scales = (0..length).map(|i| square(i).sqrt()).collect();
        Self { rows, scales }
    }

    /// A list a picture.
    pub fn rows(&self) -> &[Vec<f32>] {
        &self.rows
    }

    /// Each feature divided by its root mean square over `reference`: then none outweighs the others because its
    /// layer's numbers are large. A feature that the reference never shows is left out.
    pub fn scaled_as(&self, reference: &Self) -> Self {
        let scaled = |row: &Vec<f32>| {
            let values = row.iter().zip(&reference.scales);
            values.map(|(value, &scale)| if scale > f32::EPSILON { value / scale } else { 0.0 }).collect()
        };
        Self { rows: self.rows.iter().map(scaled).collect(), scales: reference.scales.clone() }
    }
}

/// The features of pictures, `[pictures, height, width, 3]` in -1..1, each level's averaged over the picture, one
/// level after the other.
///
/// # Errors
/// If the network fails.
pub fn pooled(features: &dyn Features, pictures: &Tensor) -> Result<Pooled> {
    let pool = |i: usize| {
        // A picture at a time: maps are large.
        let maps = features.forward(&pictures.narrow(0, i, 1)?)?;
        let means = maps.iter().map(|map| map.flatten(0, 2)?.mean(0)).collect::<Result<Vec<_>>>()?;
        Tensor::cat(&means, D::Minus1)?.to_vec1()
    };
    Ok(Pooled::new((0..pictures.dim(0)?).map(pool).collect::<Result<_>>()?))
}
