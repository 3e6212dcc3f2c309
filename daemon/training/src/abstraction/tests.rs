//! Against goldens (`tests/reference/abstraction.py`), and what a drawing has to look like.

use std::collections::HashMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use candle_core::{Device, Tensor};
use tempfile::TempDir;

use super::*;
use crate::data::Progress;

fn golden(name: &str) -> HashMap<String, Tensor> {
    let path = format!("{}/../../tests/data/goldens/{name}.safetensors", env!("CARGO_MANIFEST_DIR"));
    candle_core::safetensors::load(&path, &Device::Cpu).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn photo(case: &HashMap<String, Tensor>) -> Picture {
    let (height, width, _) = case["photo"].dims3().expect("a picture");
    let rgb = case["photo"].flatten_all().and_then(|photo| photo.to_vec1()).expect("bytes");
    Picture { width: width as u32, height: height as u32, rgb }
}

fn interleaved(planes: &Planes) -> Vec<f32> {
    let [r, g, b] = &planes.rgb;
    r.iter().zip(g).zip(b).flat_map(|((r, g), b)| [*r, *g, *b]).collect()
}

#[track_caller]
fn check(what: &str, values: &[f32], want: &Tensor, tolerance: f32) {
    let want: Vec<f32> = want.flatten_all().and_then(|want| want.to_vec1()).expect("values");
    let worst = values.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(values.len() == want.len() && worst <= tolerance, "{what}: off by {worst}");
}

#[test]
fn goldens() {
    for name in ["abstraction-40x56", "abstraction-37x53"] {
        let case = golden(name);
        let mut planes = Planes::of(&photo(&case));
        l0::smooth(&mut planes, 0.012, 2.0);
        check(&format!("{name}: smooth"), &interleaved(&planes), &case["smooth"], 2e-4);
        let drawn = abstraction(&photo(&case), &Settings::default());
        let values: Vec<f32> = drawn.rgb.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        check(&format!("{name}: abstraction"), &values, &case["abstraction"], 1.0 / 255.0);
    }
}

/// A picture of one grey level a pixel.
fn grey(width: u32, height: u32, value: impl Fn(u32, u32) -> f32) -> Picture {
    let value = |i: u32| (value(i % width, i / width) * 255.0).round() as u8;
    Picture { width, height, rgb: (0..width * height).flat_map(|i| [value(i); 3]).collect() }
}

#[test]
fn opposite_borders_do_not_touch() {
    let case = grey(64, 48, |x, y| 0.1 + 0.8 * (x / 32) as f32 + 0.05 * (y / 24) as f32);
    let mut planes = Planes::of(&case);
    l0::smooth(&mut planes, 0.012, 2.0);
    // Half black, half white: each half stays flat up to the outer border.
    for (x, want) in [(0, 0.125), (63, 0.925)] {
        for y in 0..48 {
            let value = planes.rgb[0][y * 64 + x];
            assert!((value - want).abs() < 0.03, "{x}, {y}: {value}");
        }
    }
}

#[test]
fn noise_goes_and_edges_stay() {
    let noise = |x: u32, y: u32| ((x * 7919 + y * 104_729) % 97) as f32 / 97.0 * 0.06;
    let mut planes = Planes::of(&grey(64, 64, |x, y| if x < 30 { 0.2 } else { 0.7 } + noise(x, y)));
    l0::smooth(&mut planes, 0.012, 2.0);
    let row = &planes.rgb[1][20 * 64..21 * 64];
    let within =
        |part: &[f32]| part.iter().copied().fold(0.0, f32::max) - part.iter().copied().fold(1.0, f32::min);
    assert!(within(&row[..30]) < 0.01 && within(&row[30..]) < 0.01, "flat: {row:?}");
    assert!(row[30] - row[29] > 0.45, "crisp: {} to {}", row[29], row[30]);
}

#[test]
fn any_size_and_unchanging_pictures() {
    for (width, height) in [(1, 1), (2, 1), (1, 9), (9, 1), (3, 2), (17, 31)] {
        let flat = grey(width, height, |_, _| 0.5);
        let drawn = abstraction(&flat, &Settings::default());
        assert_eq!((drawn.width, drawn.height), (width, height));
        assert!(drawn.rgb.iter().all(|byte| byte.abs_diff(128) <= 1), "{width} x {height}: {:?}", drawn.rgb);
    }
}

const FLOW: Flow =
    Flow { passes: 2, scale_px: 3.0, length_px: 6.0, edge_px: 1.5, width_px: 2.0, relief: 0.0 };

#[test]
fn strokes_run_along_the_shapes() {
    // Noise over slanting stripes: along them it goes, across them the stripes stay.
    let noise = |x: u32, y: u32| ((x * 7919 + y * 104_729) % 97) as f32 / 97.0 * 0.3 - 0.15;
    let stripe = |x: u32, y: u32| if ((x + y) / 8).is_multiple_of(2) { 0.3 } else { 0.7 };
    let photo = grey(96, 96, |x, y| stripe(x, y) + noise(x, y));
    let drawn = abstraction(&photo, &Settings { flow: Some(FLOW), ..flat() });
    let at = |picture: &Picture, x: u32, y: u32| f32::from(picture.rgb[((y * 96 + x) * 3) as usize]) / 255.0;
    let mean_step = |picture: &Picture, dx: u32, dy: u32| {
        let steps = (20..70).flat_map(|y| (20..70).map(move |x| (x, y)));
        steps.map(|(x, y)| (at(picture, x + dx, y) - at(picture, x, y + dy)).abs()).sum::<f32>() / 2500.0
    };
    // (x + 1, y) and (x, y + 1) lie on one line along the stripes.
    let (before, after) = (mean_step(&photo, 1, 1), mean_step(&drawn, 1, 1));
    assert!(after < 0.2 * before, "along: {before} to {after}");
    let across = (20..70).map(|i| (at(&drawn, i, 40) - stripe(i, 40)).abs()).sum::<f32>() / 50.0;
    assert!(across < 0.08, "across: {across}");
}

#[test]
fn strokes_leave_what_has_none_and_may_stand_out() {
    for (width, height) in [(1, 1), (2, 1), (1, 9), (17, 31)] {
        let even = grey(width, height, |_, _| 0.5);
        let drawn = abstraction(&even, &Settings { flow: Some(FLOW), ..flat() });
        assert!(drawn.rgb.iter().all(|byte| byte.abs_diff(128) <= 1), "{width} x {height}: {:?}", drawn.rgb);
    }
    let edge = grey(40, 40, |x, _| if x < 20 { 0.3 } else { 0.6 });
    let with = |relief| abstraction(&edge, &Settings { flow: Some(Flow { relief, ..FLOW }), ..flat() });
    let at = |picture: &Picture, x: usize| picture.rgb[(20 * 40 + x) * 3];
    assert!(at(&with(2.0), 20) > at(&with(0.0), 20) + 20);
    assert_eq!(at(&with(2.0), 3), at(&with(0.0), 3));
}

const STROKES: Strokes = Strokes {
    fine_px: 1.0,
    coarse_px: 3.0,
    around_px: 8.0,
    floor: 0.0005,
    curl_px: 4.0,
    length_px: 8.0,
    colour: [0.1, 0.1, 0.05],
};

#[test]
fn faint_texture_becomes_strokes_along_the_shapes() {
    // Hardly any noise over slanting waves.
    let noise = |x: u32, y: u32| ((x * 7919 + y * 104_729) % 97) as f32 / 97.0 * 0.02;
    let photo = grey(96, 96, |x, y| 0.5 + 0.2 * ((x + y) as f32 / 12.0).sin() + noise(x, y));
    let drawn = abstraction(&photo, &Settings { strokes: vec![STROKES], ..flat() });
    let added = |x: u32, y: u32, colour: u32| {
        let at = ((y * 96 + x) * 3 + colour) as usize;
        (f32::from(drawn.rgb[at]) - f32::from(photo.rgb[at])) / 255.0
    };
    let mean_of = |of: &dyn Fn(u32, u32) -> f32| {
        (20..70).flat_map(|y| (20..70).map(move |x| (x, y))).map(|(x, y)| of(x, y)).sum::<f32>() / 2500.0
    };
    let strength = mean_of(&|x, y| added(x, y, 0).abs());
    assert!((0.03..0.09).contains(&strength), "strength: {strength}");
    let blue = mean_of(&|x, y| added(x, y, 2).abs());
    assert!((blue / strength - 0.5).abs() < 0.1, "blue: {blue} of {strength}");
    let along = mean_of(&|x, y| (added(x, y, 0) - added(x + 3, y - 3, 0)).abs());
    let across = mean_of(&|x, y| (added(x, y, 0) - added(x + 3, y + 3, 0)).abs());
    assert!(along < 0.5 * across, "{along} along, {across} across");
}

#[test]
fn where_there_is_no_texture_there_are_no_strokes() {
    for (width, height) in [(1, 1), (2, 1), (1, 9), (17, 31)] {
        let drawn =
            abstraction(&grey(width, height, |_, _| 0.5), &Settings { strokes: vec![STROKES; 2], ..flat() });
        assert!(drawn.rgb.iter().all(|byte| byte.abs_diff(128) <= 1), "{width} x {height}: {:?}", drawn.rgb);
    }
}

#[test]
fn darks_lights_and_lines_have_colours() {
    fn check(value: f32, want: [u8; 3]) {
        let settings = Settings { shadows: [0.2, 0.0, 0.4], lights: [0.0, 0.0, -0.2], ..flat() };
        let drawn = abstraction(&grey(5, 5, |_, _| value), &settings);
        assert!(drawn.rgb[..3].iter().zip(want).all(|(a, b)| a.abs_diff(b) <= 1), "{value}: {:?}", drawn.rgb);
    }
    check(0.0, [51, 0, 102]);
    check(1.0, [255, 255, 204]);
    check(0.5, [140, 128, 140]);
    let lines = Lines { darkness: 1.0, gain: 100.0, ink: [0.5, 0.0, 0.0], ..Lines::default() };
    let line = grey(40, 40, |x, _| if x == 20 { 0.3 } else { 0.6 });
    let drawn = abstraction(&line, &Settings { lines, ..flat() });
    assert_eq!(drawn.rgb[(20 * 40 + 20) * 3..][..3], [128, 0, 0]);
}

/// Nothing but what is asked for.
fn flat() -> Settings {
    let lines = Lines { darkness: 0.0, ..Lines::default() };
    Settings { lambda: 0.0, chroma: 1.0, contrast: 0.0, lines, ..Settings::default() }
}

#[test]
fn dark_lines_are_drawn_darker() {
    let line = grey(40, 40, |x, _| if x == 20 { 0.3 } else { 0.6 });
    let with = abstraction(&line, &Settings::default());
    let without = Lines { darkness: 0.0, ..Lines::default() };
    let without = abstraction(&line, &Settings { lines: without, ..Settings::default() });
    let at = |picture: &Picture, x: usize| picture.rgb[(20 * 40 + x) * 3];
    assert!(at(&with, 20) + 20 < at(&without, 20), "{} and {}", at(&with, 20), at(&without, 20));
    assert_eq!(at(&with, 5), at(&without, 5));
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let lines = |lines| Settings { lines, ..Settings::default() };
    let cases = [
        (Settings { kappa: 1.0, ..Settings::default() }, "kappa"),
        (Settings { lambda: f32::NAN, ..Settings::default() }, "lambda"),
        (Settings { chroma: -0.1, ..Settings::default() }, "chroma"),
        (lines(Lines { wide_px: 0.0, ..Lines::default() }), "lines.wide_px"),
        (lines(Lines { darkness: 1.1, ..Lines::default() }), "lines.darkness"),
        (Settings { flow: Some(Flow { passes: 0, ..FLOW }), ..Settings::default() }, "flow.passes"),
        (Settings { flow: Some(Flow { relief: f32::NAN, ..FLOW }), ..Settings::default() }, "flow.relief"),
        (Settings { strokes: vec![STROKES, Strokes { floor: 0.0, ..STROKES }], ..flat() }, "strokes.floor"),
        (
            Settings { strokes: vec![Strokes { colour: [0.0, 2.0, 0.0], ..STROKES }], ..flat() },
            "strokes.colour",
        ),
        (Settings { shadows: [0.0, f32::NAN, 0.0], ..flat() }, "shadows"),
        (lines(Lines { ink: [0.0, 0.0, -2.0], ..Lines::default() }), "lines.ink"),
    ];
    for (settings, name) in cases {
        let error = settings.check().expect_err("out of range").to_string();
        assert!(error.starts_with(&format!("the abstraction's {name} is ")), "{error}");
    }
    assert_eq!(Settings::default().check(), Ok(()));
}

/// A cache in a folder that isn't there yet.
fn cache(folder: &TempDir, max_bytes: u64) -> Cache {
    Cache::new(folder.path().join("abstractions"), max_bytes)
}

fn prepare(cache: &Cache, photos: &[Picture]) -> Prepared {
    cache.prepare(photos, &Settings::default(), |_| ControlFlow::Continue(())).expect("not cancelled")
}

fn photos(count: u32) -> Vec<Picture> {
    let photo = |n| grey(24 + n, 20, move |x, y| ((x * (n + 3) + y * y) % 11) as f32 / 11.0);
    (0..count).map(photo).collect()
}

fn files(folder: &TempDir) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder.path().join("abstractions"))
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

#[test]
fn what_was_computed_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = cache(&folder, 1 << 20);
    let first = prepare(&cache, &photos(3));
    let want: Vec<_> = photos(3).iter().map(|photo| abstraction(photo, &Settings::default())).collect();
    assert_eq!((first.cached, &first.trouble, &first.pictures), (0, &None, &want));
    let again = prepare(&cache, &photos(3));
    assert_eq!((again.cached, &again.pictures), (3, &want));

    // Other settings are other pictures.
    let strong = Settings { lambda: 0.05, ..Settings::default() };
    let other = cache.prepare(&photos(3), &strong, |_| ControlFlow::Continue(())).expect("not cancelled");
    assert_eq!(other.cached, 0);
    assert_eq!(files(&folder).len(), 6);
}

#[test]
fn what_something_else_draws_is_kept_by_its_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = cache(&folder, 1 << 20);
    let inverted = |photo: &Picture| -> Result<Picture, String> {
        Ok(Picture { rgb: photo.rgb.iter().map(|byte| 255 - byte).collect(), ..photo.clone() })
    };
    let by = |key: &str, draw: &(dyn Fn(&Picture) -> Result<Picture, String> + Sync)| {
        cache.prepare_by(&photos(2), key, draw, |_| ControlFlow::Continue(()))
    };
    let first = by("a", &inverted).expect("drawn");
    assert_eq!(first.pictures[1], inverted(&photos(2)[1]).expect("drawn"));
    let fails = |_: &Picture| Err("no network".to_owned());
    let again = by("a", &fails).expect("kept");
    assert_eq!((again.cached, again.pictures), (2, first.pictures));
    assert_eq!(by("b", &fails).err(), Some(Unprepared::Undrawn("no network".into())));
}

#[test]
fn broken_files_are_computed_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = cache(&folder, 1 << 20);
    let first = prepare(&cache, &photos(4));
    let paths = files(&folder);
    fs::write(&paths[0], b"").expect("emptied");
    let whole = fs::read(&paths[1]).expect("a file");
    fs::write(&paths[1], &whole[..whole.len() - 20]).expect("cut short");
    fs::copy(&paths[3], &paths[2]).expect("another photo's");
    let again = prepare(&cache, &photos(4));
    assert_eq!((again.cached, again.pictures), (1, first.pictures));
    assert_eq!(prepare(&cache, &photos(4)).cached, 4);
}

#[test]
fn the_cache_stays_small_and_touches_no_other_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = cache(&folder, 0);
    let alien = folder.path().join("abstractions/holiday.png");
    fs::create_dir_all(folder.path().join("abstractions")).expect("made");
    fs::write(&alien, b"not ours").expect("written");
    assert_eq!(prepare(&cache, &photos(3)).pictures.len(), 3);
    assert_eq!(files(&folder), [alien]);
}

#[test]
fn a_cache_that_cannot_be_written_is_told_of() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("abstractions"), b"a file").expect("written");
    let prepared = prepare(&cache(&folder, 1 << 20), &photos(2));
    assert_eq!(prepared.pictures.len(), 2);
    assert!(prepared.trouble.is_some_and(|trouble| trouble.contains("abstractions: ")));
}

#[test]
fn preparing_can_be_cancelled() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut seen = Vec::new();
    let stop = |progress: Progress| {
        seen.push(progress);
        ControlFlow::Break(())
    };
    assert_eq!(
        cache(&folder, 0).prepare(&photos(2), &Settings::default(), stop).err(),
        Some(Unprepared::Cancelled)
    );
    assert_eq!(seen, [Progress { done: 0, of: 2 }]);
    assert!(!Path::new(&folder.path().join("abstractions")).exists());
}
