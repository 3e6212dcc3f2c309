//! Against goldens (`tests/reference/evaluation.py`), and of what the numbers have to say of pictures.

use std::collections::HashMap;

use candle_core::{DType, Device};

use utsushi_engine::differentiable::Maps;

use super::*;
use crate::networks::perceptual::{Level, Perceptual};

fn golden() -> HashMap<String, Tensor> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/goldens/evaluation.safetensors");
    candle_core::safetensors::load(path, &Device::Cpu).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Sees the picture as it is, and how steep it is across.
struct Eyes;

impl Features for Eyes {
    fn levels(&self) -> &[Level] {
        const LEVELS: [Level; 2] = [
            Level { name: "steep", channels: 3, stride: 1 },
            Level { name: "pixels", channels: 3, stride: 1 },
        ];
        &LEVELS
    }

    fn see(&self, pictures: &Maps) -> Result<Vec<Maps>> {
        let pictures = pictures.here()?;
        let width = pictures.dim(2)?;
        let steep = (pictures.narrow(2, 1, width - 1)? - pictures.narrow(2, 0, width - 1)?)?.abs()?;
        Ok(vec![steep.into(), pictures.clone().into()])
    }
}

#[track_caller]
fn assert_close(what: &str, got: f64, want: f64) {
    assert!((got - want).abs() <= 1e-5 * want.abs().max(1.0), "{what}: {got}, not {want}");
}

#[test]
fn energy_equals_its_golden() {
    let case = golden();
    let cells = |name: &str| Pooled::of_cells(&case[name]).expect("cells");
    for name in ["same", "other"] {
        let want = case[&format!("energy.{name}")].to_vec1::<f64>().expect("two numbers");
        let got = energy(&cells("a"), &cells(name));
        assert_close(name, got.value, want[0]);
        assert_close(&format!("{name}, its error"), got.standard_error, want[1]);
        let back = energy(&cells(name), &cells("a"));
        assert_close("the other way round", back.value, got.value);
        assert_close("the other way round, its error", back.standard_error, got.standard_error);
    }
    assert_close("of itself", energy(&cells("a"), &cells("a")).value, 0.0);
}

#[test]
fn content_equals_its_golden() {
    let case = golden();
    let want = case["content"].to_vec1::<f64>().expect("a number");
    let got = content_distance(&Eyes, &case["results"], &case["photos"]).expect("compared");
    assert_close("content", got, want[0]);
    assert_close(
        "of itself",
        content_distance(&Eyes, &case["photos"], &case["photos"]).expect("compared"),
        0.0,
    );
}

/// Waves, as steep as `waves` are many, each picture in another phase and colour.
fn pictures(count: usize, first: usize, waves: f32) -> Tensor {
    let value = |i: usize| {
        let (picture, y, x, c) = (i / 3072 + first, i / 96 % 32, i / 3 % 32, i % 3);
        let phase = (picture * 7919 % 101) as f32;
        0.6 * (x as f32 * waves + y as f32 * 0.1 + phase).sin() + 0.3 * (phase * 1.7 + c as f32).sin()
    };
    Tensor::from_vec((0..count * 3072).map(value).collect(), (count, 32, 32, 3), &Device::Cpu)
        .expect("pictures")
}

#[test]
fn sets_that_are_alike_are_near_and_others_far() {
    let features = |tensor: &Tensor| pooled(&Eyes, tensor).expect("pooled");
    let art = features(&pictures(40, 0, 1.1));
    let to_art = |pictures: &Tensor| energy(&features(pictures).scaled_as(&art), &art.scaled_as(&art));
    let (same, other) = (to_art(&pictures(40, 40, 1.1)), to_art(&pictures(40, 0, 0.2)));
    // Above 0, since cells of one picture, which are more alike, count in the means within a set, too.
    assert!(same.value < 5.0 * same.standard_error, "{same:?}");
    assert!(other.value > 10.0 * other.standard_error && other.value > 10.0 * same.value, "{other:?}");
}

/// Pictures of 128 pixels, each of its own grey, with something drawn on it.
fn drawn(count: usize, pen: impl Fn(usize, usize, usize) -> f32) -> Tensor {
    let value = |i: usize| {
        let (picture, y, x) = (i / 49152, i / 384 % 128, i / 3 % 128);
        (picture * 7919 % 101) as f32 / 101.0 - 0.5 + pen(picture, y, x)
    };
    Tensor::from_vec((0..count * 49152).map(value).collect(), (count, 128, 128, 3), &Device::Cpu)
        .expect("pictures")
}

#[test]
fn grain_and_grids_are_not_strokes() {
    let noise =
        |i: usize, y: usize, x: usize| ((i * 73 + y * 1291 + x * 2749) * 7919 % 1009) as f32 / 1009.0 - 0.5;
    // Bars of four pixels, in another place in each picture.
    let strokes =
        |first: usize| move |i: usize, y: usize, _| if (y + 3 * (i + first)) % 8 < 4 { 0.2 } else { -0.2 };
    let features = Perceptual::embedded();
    let judge = Judge::new(&features, &drawn(9, strokes(0)), &drawn(9, |_, _, _| 0.0)).expect("a judge");
    let distance = |results: Tensor| judge.judge(&features, &results).expect("judged").distance;
    let stroked = distance(drawn(9, strokes(20)));
    let grid = |_, y: usize, x: usize| if (x + y).is_multiple_of(2) { 0.2 } else { -0.2 };
    for (what, results) in
        [("even", drawn(9, |_, _, _| 0.0)), ("grain", drawn(9, noise)), ("a grid", drawn(9, grid))]
    {
        let found = distance(results);
        assert!(found > 3.0 * stroked, "{what}: {found}; strokes: {stroked}");
    }
}

#[test]
fn a_judge_tells_good_from_copied_and_collapsed() {
    let (art, photos) = (pictures(20, 0, 1.1), pictures(12, 50, 0.2));
    let judge = Judge::new(&Eyes, &art, &photos).expect("a judge");
    let scores = |results: &Tensor| judge.judge(&Eyes, results).expect("judged");
    let copied = scores(&photos);
    assert!(copied.distance > 4.0 * copied.distance_error, "{copied:?}");
    assert_close("a copy's content", copied.content, 0.0);
    assert_close("a copy's diversity", copied.diversity, 1.0);
    let stylized = scores(&pictures(12, 80, 1.1));
    assert!(stylized.distance < 0.2 * copied.distance && stylized.content > 0.5, "{stylized:?}");
    let one = pictures(1, 3, 1.1).broadcast_as((12, 32, 32, 3)).expect("twelve times the same");
    let collapsed = scores(&one.contiguous().expect("pictures"));
    assert!(collapsed.diversity < 1e-6, "{collapsed:?}");
}

#[test]
fn what_cannot_be_judged_is_an_error() {
    let few = pictures(2, 0, 1.0);
    assert!(Judge::new(&Eyes, &few, &pictures(9, 0, 1.0)).is_err(), "too little art");
    assert!(Judge::new(&Eyes, &pictures(9, 0, 1.0), &few).is_err(), "too few photos");
    let judge = Judge::new(&Eyes, &pictures(9, 0, 1.0), &pictures(9, 0, 1.0)).expect("a judge");
    assert!(judge.judge(&Eyes, &pictures(8, 0, 1.0)).is_err(), "a result is missing");
    let empty = Tensor::zeros((9, 32, 32, 3), DType::F32, &Device::Cpu).expect("pictures");
    let flat = judge.judge(&Eyes, &empty).expect("judged");
    assert!([flat.distance, flat.distance_error, flat.content].iter().all(|v| v.is_finite()), "{flat:?}");
}
