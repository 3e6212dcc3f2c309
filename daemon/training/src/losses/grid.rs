//! What a generator that enlarges by shuffling leaves on every surface if nobody minds.

use candle_core::{Result, Tensor, bail};

/// The generator works at this many pixels to one of its coarsest.
const PERIOD: usize = 8;

/// How much a picture differs from its target by a pattern that repeats every 8 pixels: with m(i, j) the mean of
/// x - t over all pixels whose row is i and whose column is j modulo 8, mean |m(i, j) - mean m|.
///
/// A discriminator, or a Gram matrix, that misses fine texture is easily pleased by such a grid (Odena et al. 2016,
/// <https://doi.org/10.23915/distill.00003>), and no other loss minds it much.
///
/// # Errors
/// If the shapes differ, or sides are no multiples of 8.
pub fn grid(x: &Tensor, target: &Tensor) -> Result<Tensor> {
    let (pictures, height, width, channels) = x.dims4()?;
    if !height.is_multiple_of(PERIOD) || !width.is_multiple_of(PERIOD) {
        bail!("{height} x {width} pixels are no multiples of {PERIOD}");
    }
    let rows = (x - target)?.reshape((pictures * height / PERIOD, PERIOD, width * channels))?.mean(0)?;
    let pattern = rows.reshape((PERIOD, width / PERIOD, PERIOD * channels))?.mean(1)?;
    let pattern = pattern.reshape((PERIOD * PERIOD, channels))?;
    pattern.broadcast_sub(&pattern.mean_keepdim(0)?)?.abs()?.mean_all()
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    /// Two pictures of 16 x 24 pixels, of a value by picture, row and column.
    fn pictures(value: impl Fn(usize, usize, usize) -> f32) -> Tensor {
        let places = (0..2).flat_map(|n| (0..16).flat_map(move |y| (0..24).map(move |x| (n, y, x))));
        let values: Vec<f32> = places.flat_map(|(n, y, x)| [value(n, y, x); 3]).collect();
        Tensor::from_vec(values, (2, 16, 24, 3), &Device::Cpu).expect("pictures")
    }

    #[test]
    fn only_what_repeats_counts() {
        fn check(what: &str, value: impl Fn(usize, usize, usize) -> f32, want: f32) {
            let target = pictures(|n, y, x| (n + y * x) as f32 * 0.01);
            let x = (pictures(value) + &target).expect("pictures");
            let got = grid(&x, &target).and_then(|g| g.to_scalar::<f32>()).expect("a loss");
            assert!((got - want).abs() < 1e-5, "{what}: {got}, not {want}");
        }

        check("nothing", |_, _, _| 0.0, 0.0);
        check("brighter", |_, _, _| 0.3, 0.0);
        check("another brightness each", |n, _, _| n as f32, 0.0);
        check("a chequerboard", |_, y, x| if (y + x) % 2 == 0 { 0.1 } else { -0.1 }, 0.1);
        check("one that cancels out", |n, y, x| if (n + y + x) % 2 == 0 { 0.1 } else { -0.1 }, 0.0);
        check("every eighth column", |_, _, x| if x % 8 == 0 { 0.8 } else { 0.0 }, 0.175);
        assert!(
            grid(&pictures(|_, _, _| 0.0).narrow(1, 0, 12).expect("rows"), &pictures(|_, _, _| 0.0)).is_err()
        );
    }

    #[test]
    fn it_is_learned_away() {
        let target = pictures(|_, y, x| (y * x) as f32 * 0.001);
        let chequered =
            (pictures(|_, y, x| if (y + x) % 2 == 0 { 0.1 } else { -0.1 }) + &target).expect("pictures");
        let x = Var::from_tensor(&chequered).expect("a variable");
        let gradients = grid(&x, &target).and_then(|loss| loss.backward()).expect("gradients");
        let steps = (gradients.get(&x).expect("a gradient") * (0.5 * x.elem_count() as f64)).expect("steps");
        let moved = (x.as_tensor() - (steps * 0.1).expect("a step")).expect("pictures");
        let left = grid(&moved, &target).and_then(|g| g.to_scalar::<f32>()).expect("a loss");
        assert!(left < 0.06, "{left}");
    }
}
