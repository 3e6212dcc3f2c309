//! The binomial filter, against one that goes pixel by pixel, and against what it is for.

use utsushi_kernels::backward::{blur, blur_gradient};
use utsushi_kernels::{Cpu, Shape};

mod noise;

use noise::noise;

/// Where a row or column beyond the border is reflected to.
fn reflected(at: isize, count: usize) -> usize {
    match at {
        -1 => 1,
        at if at as usize == count => count - 2,
        at => at as usize,
    }
}

/// The filter in `f64`.
fn naive(maps: &[f32], shape: Shape) -> Vec<f64> {
    let mut out = vec![0.0; maps.len()];
    for (i, out) in out.iter_mut().enumerate() {
        let (map, at) = (i / shape.len() * shape.len(), i % shape.len());
        let (y, x) = (at / shape.row_len(), at / shape.channels % shape.cols);
        for (dy, dx) in (-1..2).flat_map(|dy| (-1..2).map(move |dx| (dy, dx))) {
            let (y, x) = (reflected(y as isize + dy, shape.rows), reflected(x as isize + dx, shape.cols));
            let weight = f64::from((2 - dy.abs() as i32) * (2 - dx.abs() as i32)) / 16.0;
            let value = maps[map + y * shape.row_len() + x * shape.channels + at % shape.channels];
            *out += weight * f64::from(value);
        }
    }
    out
}

fn product(a: &[f32], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * b).sum()
}

#[test]
fn it_weighs_the_neighbours_and_its_gradient_turns_that_round() {
    for (maps, rows, cols, channels) in [(2, 5, 7, 12), (1, 2, 2, 1), (3, 2, 9, 5), (1, 40, 3, 24)] {
        let shape = Shape::new(rows, cols, channels);
        let (x, gradient) = (noise(1, maps * shape.len()), noise(2, maps * shape.len()));
        let want = naive(&x, shape);
        for cpu in Cpu::available() {
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-5 * (1.0 + b.abs());
            let got = blur(cpu, &x, shape);
            let is_near = got.iter().zip(&want).all(|(got, want)| close(f64::from(*got), *want));
            assert!(is_near, "{maps} {shape:?}, {cpu:?}");
            // What a single value changes in the weighted sum of all results, value by value.
            let turned = blur_gradient(cpu, &gradient, shape);
            for (i, turned) in turned.iter().enumerate() {
                let mut one = vec![0.0; x.len()];
                one[i] = 1.0;
                let want = product(&gradient, &naive(&one, shape));
                assert!(
                    close(f64::from(*turned), want),
                    "{maps} {shape:?}, {cpu:?}: {i}: {turned}, not {want}"
                );
            }
        }
    }
}

/// Whatever a network puts into the 2 x 2 pixels that it shuffles, where the surface is even so is the result: not
/// nearly, but to the last bit, in the corners, too.
#[test]
fn shuffled_surfaces_that_are_even_are_even_behind_the_filter() {
    let shape = Shape::new(6, 10, 17);
    for cpu in Cpu::available() {
        for seed in 0..20 {
            let four = noise(seed, 4 * 17);
            let x: Vec<f32> = (0..shape.len())
                .map(|i| four[i / shape.row_len() % 2 * 34 + i / 17 % 10 % 2 * 17 + i % 17])
                .collect();
            let out = blur(cpu, &x, shape);
            assert!(out.chunks_exact(17).all(|pixel| pixel == &out[..17]), "{cpu:?}, {seed}");
        }
    }
}
