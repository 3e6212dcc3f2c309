//! Pictures of other colour spaces than sRGB, and brighter than white: the style is that of the sRGB picture, and what
//! the network can't see isn't lost.

use std::sync::Arc;

use candle_core::Result;
use moxcms::{ColorProfile, ToneReprCurve};
use utsushi_engine::{
    BrushScale, ColourSpace, Depth, Generator, Grain, Layout, Region, RowStream, Settings, Stylizer,
};

/// A network that draws each value by a function of it, both -1..1.
struct Fake(fn(f32) -> f32);

impl Generator for Fake {
    fn stream(&self, _: Region, _: Grain) -> Box<dyn RowStream> {
        Box::new(FakeStream(self.0))
    }

    fn reach_px(&self) -> u32 {
        0
    }

    fn memory_bytes(&self, _: usize, _: usize) -> u64 {
        0
    }
}

struct FakeStream(fn(f32) -> f32);

impl RowStream for FakeStream {
    fn push(&mut self, rows: &[f32], out: &mut Vec<f32>) -> Result<()> {
        out.extend(rows.iter().map(|v| (self.0)(*v)));
        Ok(())
    }
}

const WIDTH: usize = 32;
const HEIGHT: usize = 24;
const DARKER: fn(f32) -> f32 = |v| v * 0.5 - 0.25;

fn settings(layout: Layout, depth: Depth, strength: f32) -> Settings {
    Settings {
        width: WIDTH,
        height: HEIGHT,
        layout,
        depth,
        strength,
        keep_colours: 0.0,
        brush: BrushScale::new(1.0).unwrap(),
        grain: Grain::default(),
        place: None,
    }
}

fn run(
    network: fn(f32) -> f32,
    settings: Settings,
    space: Option<&ColorProfile>,
    source: &[u8],
    band: usize,
) -> Vec<u8> {
    let mut stylizer = Stylizer::new(&vec![(Arc::new(Fake(network)) as _, 1.0)], settings);
    if let Some(profile) = space {
        let space = ColourSpace::from_icc(&profile.encode().unwrap()).unwrap();
        stylizer = stylizer.in_space(Arc::new(space.expect("it isn't sRGB")));
    }
    let mut out = Vec::new();
    for rows in source.chunks(band * source.len() / HEIGHT) {
        stylizer.push(rows, &mut out).unwrap();
    }
    assert_eq!(out.len(), source.len());
    out
}

fn linear() -> ColorProfile {
    let mut profile = ColorProfile::new_srgb();
    let curve = Some(ToneReprCurve::Parametric(vec![1.0]));
    profile.cicp = None;
    (profile.red_trc, profile.green_trc, profile.blue_trc) = (curve.clone(), curve.clone(), curve);
    profile
}

/// Saturated colours, all of which sRGB has.
fn srgb() -> Vec<u16> {
    let value = |i: usize| [i * 2081 % 65536, i * 7919 % 65536, 65535 - i * 31 % 65536].map(|v| v as u16);
    (0..WIDTH * HEIGHT).flat_map(value).collect()
}

fn converted(samples: &[u16], from: &ColorProfile, to: &ColorProfile) -> Vec<u16> {
    let layout = moxcms::Layout::Rgb;
    let transform = from.create_transform_16bit(layout, to, layout, moxcms::TransformOptions::default());
    let mut result = vec![0; samples.len()];
    transform.unwrap().transform(samples, &mut result).unwrap();
    result
}

fn bytes(samples: &[u16]) -> Vec<u8> {
    samples.iter().flat_map(|v| v.to_ne_bytes()).collect()
}

fn u16s(bytes: &[u8]) -> Vec<u16> {
    bytes.as_chunks().0.iter().map(|v| u16::from_ne_bytes(*v)).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|v| f32::from_ne_bytes(*v)).collect()
}

/// Of 255.
fn mean_difference(a: &[u16], b: &[u16]) -> f64 {
    let sum: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
    sum / a.len() as f64 / 257.0
}

#[test]
fn every_space_is_drawn_as_srgb() {
    let to_srgb = ColorProfile::new_srgb();
    let source = srgb();
    for strength in [1.0, 0.4] {
        let settings = settings(Layout::Rgb, Depth::U16, strength);
        let expected = u16s(&run(DARKER, settings, None, &bytes(&source), HEIGHT));
        for (name, space) in [
            ("linear", linear()),
            ("Display P3", ColorProfile::new_display_p3()),
            ("Adobe RGB", ColorProfile::new_adobe_rgb()),
            ("ProPhoto", ColorProfile::new_pro_photo_rgb()),
        ] {
            let original = converted(&source, &to_srgb, &space);
            let drawn = run(DARKER, settings, Some(&space), &bytes(&original), HEIGHT);
            for band in [1, 5] {
                assert!(
                    run(DARKER, settings, Some(&space), &bytes(&original), band) == drawn,
                    "{name}, {band}"
                );
            }
            let found = converted(&u16s(&drawn), &space, &to_srgb);
            let off = mean_difference(&found, &expected);
            assert!(off < 0.5, "{name} at {strength}: {off} of 255 off");
            let without = run(DARKER, settings, None, &bytes(&original), HEIGHT);
            let without = mean_difference(&converted(&u16s(&without), &space, &to_srgb), &expected);
            assert!(
                without > 2.0 * off,
                "{name} at {strength}: without its profile it is only {without} off"
            );
        }
    }
}

#[test]
fn grey_is_drawn_as_srgb_is() {
    let grey: Vec<u16> = (0..WIDTH * HEIGHT).map(|i| (i * 83 % 65536) as u16).collect();
    let settings = settings(Layout::Grey, Depth::U16, 1.0);
    let expected = u16s(&run(DARKER, settings, None, &bytes(&grey), HEIGHT));
    let curve = |v: &u16| f64::from(*v) / 65535.0;
    let to_linear = |v: f64| if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) };
    let linear = |samples: &[u16]| -> Vec<u16> {
        samples.iter().map(|v| (to_linear(curve(v)) * 65535.0).round() as u16).collect()
    };
    let space = ColorProfile::new_gray_with_gamma(1.0);
    let found = u16s(&run(DARKER, settings, Some(&space), &bytes(&linear(&grey)), HEIGHT));
    assert!(mean_difference(&found, &linear(&expected)) < 0.1);
}

#[test]
fn a_weak_style_leaves_what_srgb_has_not() {
    let space = ColorProfile::new_display_p3();
    // Pure colours of Display P3, none of which sRGB has.
    let source: Vec<u8> = (0..WIDTH * HEIGHT)
        .flat_map(|i| [[255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 255, 255], [255, 0, 255]][i % 5])
        .collect();
    let weak = run(DARKER, settings(Layout::Rgb, Depth::U8, 0.02), Some(&space), &source, HEIGHT);
    let most = weak.iter().zip(&source).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
    assert!((1..=4).contains(&most), "off by {most}");
    // What the style doesn't touch stays as it is, at full strength, too.
    let same = run(|v| v, settings(Layout::Rgb, Depth::U8, 1.0), Some(&space), &source, HEIGHT);
    assert!(same == source);
}

#[test]
fn light_beyond_white_survives() {
    let light: Vec<f32> = (0..WIDTH * HEIGHT * 3).map(|i| (i % 97) as f32 / 24.0).collect();
    let source: Vec<u8> = light.iter().flat_map(|v| v.to_ne_bytes()).collect();
    for space in [None, Some(linear())] {
        let draw = |network, strength| {
            let settings = settings(Layout::Rgb, Depth::F32, strength);
            floats(&run(network, settings, space.as_ref(), &source, HEIGHT))
        };
        for strength in [0.5, 1.0] {
            for (found, light) in draw(|v| v, strength).iter().zip(&light) {
                assert!((found - light).abs() < 1e-3 * light.max(1.0), "{found} of {light}");
            }
        }
        // Half of 0..1.
        let darker = draw(|v| v * 0.5 - 0.5, 1.0);
        for (found, light) in darker.iter().zip(&light) {
            let expected = if space.is_some() { light * 0.5_f32.powf(2.3) } else { light * 0.5 };
            assert!((found - expected).abs() < 0.12 * expected.max(0.1), "{found} of {light}");
        }
    }
}

#[test]
fn what_is_hidden_stays_as_it_is() {
    let space = ColorProfile::new_display_p3();
    for space in [None, Some(&space)] {
        for layout in [Layout::Rgba, Layout::GreyAlpha] {
            let n = if layout == Layout::Rgba { 4 } else { 2 };
            let source: Vec<u8> = (0..WIDTH * HEIGHT * n)
                .map(|i| if i % n < n - 1 { (i % 251) as u8 } else { [0, 0, 255, 90][i / n % 4] })
                .collect();
            let result = run(|v| -v, settings(layout, Depth::U8, 1.0), space, &source, HEIGHT);
            for (found, before) in result.chunks(n).zip(source.chunks(n)) {
                let is_hidden = before[n - 1] == 0;
                assert_eq!(found[n - 1], before[n - 1]);
                assert!(!is_hidden || found == before, "{found:?} of {before:?}");
            }
            assert!(result != source);
        }
    }
}
