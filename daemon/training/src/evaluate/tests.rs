//! Against goldens (`tests/reference/evaluation.py`), and of what the numbers have to say of pictures.

use std::collections::HashMap;

use candle_core::{DType, Device};

use utsushi_engine::differentiable::Maps;

use super::*;
use crate::networks::perceptual::Level;

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
fn kid_equals_its_golden() {
    let case = golden();
    let rows = |name: &str| case[name].to_vec2::<f32>().expect("rows");
    for name in ["same", "other"] {
        let want = case[&format!("kid.{name}")].to_vec1::<f64>().expect("two numbers");
        let got = kid(&rows("a"), &rows(name));
        assert_close(name, got.value, want[0]);
        assert_close(&format!("{name}, its error"), got.standard_error, want[1]);
        let back = kid(&rows(name), &rows("a"));
        assert_close("the other way round", back.value, got.value);
        assert_close("the other way round, its error", back.standard_error, got.standard_error);
    }
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
    let to_art =
        |pictures: &Tensor| kid(features(pictures).scaled_as(&art).rows(), art.scaled_as(&art).rows());
    let (same, other) = (to_art(&pictures(40, 40, 1.1)), to_art(&pictures(40, 0, 0.2)));
    assert!(same.value.abs() < 3.0 * same.standard_error, "{same:?}");
    assert!(other.value > 10.0 * other.standard_error && other.value > 10.0 * same.value.abs(), "{other:?}");
}

#[test]
fn a_judge_tells_good_from_copied_and_collapsed() {
    let (art, photos) = (pictures(20, 0, 1.1), pictures(12, 50, 0.2));
    let judge = Judge::new(&Eyes, &art, &photos).expect("a judge");
    let scores = |results: &Tensor| judge.judge(&Eyes, results).expect("judged");
    let copied = scores(&photos);
    assert!(copied.kid > 4.0 * copied.kid_error, "{copied:?}");
    assert_close("a copy's content", copied.content, 0.0);
    assert_close("a copy's diversity", copied.diversity, 1.0);
    let stylized = scores(&pictures(12, 80, 1.1));
    assert!(stylized.kid < 0.2 * copied.kid && stylized.content > 0.5, "{stylized:?}");
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
    assert!([flat.kid, flat.kid_error, flat.content].iter().all(|v| v.is_finite()), "{flat:?}");
}
