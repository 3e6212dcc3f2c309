//! What a generator that enlarges by shuffling leaves on every surface if nobody minds.

use candle_core::{Result, Tensor};

/// How uneven surfaces are that should be even, `[surfaces, height, width, channels]`: with m the mean of one of them,
/// mean |x - m|.
///
/// A discriminator, or a Gram matrix, that misses fine texture is easily pleased by a grid (Odena et al. 2016,
/// <https://doi.org/10.23915/distill.00003>), and no other loss minds it much. On a surface of one colour a network without
/// noise can draw nothing else: whatever it draws there repeats with its coarsest pixels. So nothing is lost by forbidding
/// it there.
///
/// # Errors
/// If memory can't be had.
pub fn grid(surfaces: &Tensor) -> Result<Tensor> {
    surfaces.broadcast_sub(&surfaces.mean_keepdim((1, 2))?)?.abs()?.mean_all()
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    /// Two surfaces of 16 x 24 pixels, of a value by surface, row and column.
    fn surfaces(value: impl Fn(usize, usize, usize) -> f32) -> Tensor {
        let places = (0..2).flat_map(|n| (0..16).flat_map(move |y| (0..24).map(move |x| (n, y, x))));
        let values: Vec<f32> = places.flat_map(|(n, y, x)| [value(n, y, x); 3]).collect();
        Tensor::from_vec(values, (2, 16, 24, 3), &Device::Cpu).expect("surfaces")
    }

    #[test]
    fn only_what_is_uneven_counts() {
        fn check(what: &str, value: impl Fn(usize, usize, usize) -> f32, want: f32) {
            let got = grid(&surfaces(value)).and_then(|g| g.to_scalar::<f32>()).expect("a loss");
            assert!((got - want).abs() < 1e-6, "{what}: {got}, not {want}");
        }
        check("black", |_, _, _| -1.0, 0.0);
        check("a colour each", |n, _, _| n as f32, 0.0);
        check("a chequerboard", |_, y, x| if (y + x).is_multiple_of(2) { 0.1 } else { -0.1 }, 0.1);
        check("two that cancel out", |n, y, x| if (n + y + x).is_multiple_of(2) { 0.1 } else { -0.1 }, 0.1);
        check("every eighth column", |_, _, x| if x % 8 == 0 { 0.8 } else { 0.0 }, 0.175);
        check("one of two", |n, y, _| if n == 1 && y % 2 == 0 { 0.2 } else { 0.0 }, 0.05);
    }

    #[test]
    fn it_is_learned_away() {
        let chequered = surfaces(|_, y, x| if (y + x).is_multiple_of(2) { 0.1 } else { -0.1 });
        let x = Var::from_tensor(&chequered).expect("a variable");
        let gradients = grid(&x).and_then(|loss| loss.backward()).expect("gradients");
        let steps = (gradients.get(&x).expect("a gradient") * (0.5 * x.elem_count() as f64)).expect("steps");
        let moved = (x.as_tensor() - (steps * 0.1).expect("a step")).expect("surfaces");
        let left = grid(&moved).and_then(|g| g.to_scalar::<f32>()).expect("a loss");
        assert!(left < 0.06, "{left}");
    }
}
