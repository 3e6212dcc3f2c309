//! Pictures as networks take them.

use candle_core::{Device, Result, Tensor};

use crate::data::Picture;

/// The longest side that is judged, in pixels.
const MOST_SIDE_PX: u32 = 256;

/// The side of the largest square, a multiple of 8 and at most 256 pixels, that all these pictures have.
pub fn common_side<'a>(pictures: impl IntoIterator<Item = &'a Picture>) -> usize {
    let shortest = pictures.into_iter().map(|picture| picture.width.min(picture.height)).min();
    shortest.unwrap_or(0).min(MOST_SIDE_PX) as usize / 8 * 8
}

/// The middles of pictures, `side` x `side` pixels each: `[pictures, side, side, 3]` in -1..1.
///
/// # Errors
/// If one is smaller than that.
pub fn stacked(pictures: &[Picture], side: usize) -> Result<Tensor> {
    let mut values = Vec::with_capacity(pictures.len() * side * side * 3);
    for picture in pictures {
        let (width, height) = (picture.width as usize, picture.height as usize);
        if width.min(height) < side {
            candle_core::bail!("a picture of {width} x {height} pixels has no part of {side} x {side}");
        }
        let (left, top) = ((width - side) / 2, (height - side) / 2);
        for row in picture.rgb.chunks_exact(width * 3).skip(top).take(side) {
            values.extend(row[left * 3..][..side * 3].iter().map(|value| f32::from(*value) / 127.5 - 1.0));
        }
    }
    Tensor::from_vec(values, (pictures.len(), side, side, 3), &Device::Cpu)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn middles() {
        let grey = |value: u8| [value; 3];
        let rgb = [0, 0, 0, 0, 0, 255, 0, 51, 0, 0, 102, 0].into_iter().flat_map(grey).collect();
        let picture = Picture { width: 2, height: 6, rgb };
        let stack = stacked(std::slice::from_ref(&picture), 2).expect("it fits");
        assert_eq!(stack.dims(), [1, 2, 2, 3]);
        let values: Vec<f32> = stack.flatten_all().and_then(|stack| stack.to_vec1()).expect("values");
        let expected = [-1.0, 1.0, -1.0, -0.6].into_iter().flat_map(|value| [value; 3]);
        assert!(values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{values:?}");
        assert!(stacked(&[picture], 3).is_err());
    }
}
