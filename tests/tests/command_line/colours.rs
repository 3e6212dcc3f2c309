//! Pictures in other colour spaces than sRGB, and brighter than white.

use std::path::Path;

use moxcms::{ColorProfile, Layout, TransformOptions};
use utsushi::picture::{self, Format, Metadata, Picture, WriteOptions};
use utsushi_ipc::pixels::{Channels, Depth, PixelFormat, Raster};
use utsushi_tests::binary::Home;
use utsushi_tests::pictures::sample;

const RGB16: PixelFormat = PixelFormat { channels: Channels::Rgb, depth: Depth::U16 };

fn case(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/cases").join(name)
}

/// Samples of 16 bits.
fn samples(picture: &Picture) -> Vec<u16> {
    match picture.raster.format().depth {
        Depth::U8 => picture.pixels.iter().map(|value| u16::from(*value) * 257).collect(),
        Depth::U16 => picture.pixels.as_chunks().0.iter().map(|value| u16::from_ne_bytes(*value)).collect(),
        Depth::F32 => panic!("a picture of floats"),
    }
}

fn floats(picture: &Picture) -> Vec<f32> {
    picture.pixels.as_chunks().0.iter().map(|value| f32::from_ne_bytes(*value)).collect()
}

fn profile(picture: &Picture) -> ColorProfile {
    let icc = picture.metadata.icc.as_deref();
    icc.map_or_else(ColorProfile::new_srgb, |icc| ColorProfile::new_from_slice(icc).expect("a profile"))
}

/// The picture in another space, of 16 bits; it carries the profile, unless that is sRGB's.
fn converted(picture: &Picture, to: &ColorProfile, icc: Option<Vec<u8>>) -> Picture {
    let options = TransformOptions::default();
    let transform = profile(picture).create_transform_16bit(Layout::Rgb, to, Layout::Rgb, options);
    let source = samples(picture);
    let mut result = vec![0; source.len()];
    transform.expect("a transform").transform(&source, &mut result).expect("it is transformed");
    let (width, height) = (picture.raster.width(), picture.raster.height());
    let raster = Raster::new(width, height, RGB16).expect("a raster");
    let pixels = result.into_iter().flat_map(u16::to_ne_bytes).collect();
    Picture { raster, pixels, metadata: Metadata { icc, ..Metadata::default() } }
}

/// Of 255.
fn mean_difference(a: &Picture, b: &Picture) -> f64 {
    let (a, b) = (samples(a), samples(b));
    assert_eq!(a.len(), b.len());
    a.iter().zip(&b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64 / 257.0
}

#[test]
fn every_space_is_drawn_as_srgb_is() {
    let home = Home::new();
    let path = |name: &str| home.path().join(name);
    let write = |name: &str, picture: &Picture| {
        picture::write(&path(name), Format::Png, picture, &WriteOptions::default()).expect("it is written");
    };
    let draw = |from: &str, to: &str, options: &[&str]| {
        home.expect(0, &[&["stylize", from, "-o", to], options].concat());
        picture::read(&path(to)).expect("a picture")
    };
    let srgb = ColorProfile::new_srgb();
    let check = |name: &str, source: &Picture, most: f64| {
        write("in.png", source);
        write("srgb.png", &converted(source, &srgb, None));
        for options in
            [&["--strength", "1"][..], &["--strength", "0.3"], &["--brush-size", "2"], &["--style", "cel"]]
        {
            let expected = draw("srgb.png", "srgb-drawn.png", options);
            let drawn = draw("in.png", "drawn.png", options);
            assert_eq!(drawn.metadata.icc, source.metadata.icc, "{name}");
            let off = mean_difference(&converted(&drawn, &srgb, None), &expected);
            println!("{name} {options:?}: {off:.2} of 255 off on the average");
            assert!(off < most, "{name} {options:?}: {off} of 255 off");
        }
        let same = draw("in.png", "same.png", &["--strength", "0"]);
        assert!(same == *source, "{name}: a strength of 0 changes nothing");
    };
    check("linear", &picture::read(&case("icc-linear.png")).expect("a picture"), 3.0);
    let photo = picture::read(&sample("coffee.jpg")).expect("a picture");
    for (name, space) in [
        ("Display P3", ColorProfile::new_display_p3()),
        ("Adobe RGB", ColorProfile::new_adobe_rgb()),
        ("ProPhoto", ColorProfile::new_pro_photo_rgb()),
    ] {
        // As if the photo had more colours than sRGB: its values are those of the wider space.
        let mut saturated = converted(&photo, &srgb, picture::encode_profile(&space));
        check(&format!("{name}, saturated"), &saturated, 2.0);
        saturated = converted(&photo, &space, saturated.metadata.icc);
        check(name, &saturated, 2.0);
    }
}

#[test]
fn what_is_brighter_than_white_stays_so() {
    let home = Home::new();
    let input = case("hdr-float.tif");
    let source = picture::read(&input).expect("a picture");
    let draw = |options: &[&str]| {
        let input = input.to_str().expect("plain names");
        home.expect(0, &[&["stylize", input, "-o", "out.tif"], options].concat());
        picture::read(&home.path().join("out.tif")).expect("a picture")
    };
    assert!(draw(&["--strength", "0"]) == source);
    let drawn = floats(&draw(&[]));
    let source = floats(&source);
    let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
    let bright = |values: &[f32]| values.iter().filter(|value| **value > 2.0).count();
    assert!(drawn != source);
    assert!(bright(&drawn) * 2 > bright(&source), "{} of {} are bright", bright(&drawn), bright(&source));
    let told = home.expect(0, &["stylize", input.to_str().expect("plain names"), "-o", "out.png"]);
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.contains("hdr-float.tif: its values above 1 are clipped to white; write TIFF"), "{told}");
    assert!(
        (mean(&drawn) - mean(&source)).abs() < 0.2 * mean(&source),
        "{}, {}",
        mean(&drawn),
        mean(&source)
    );
}

#[test]
fn a_profile_that_cannot_be_used_is_told() {
    let home = Home::new();
    let photo = picture::read(&sample("coffee.jpg")).expect("a picture");
    let mut broken = vec![0; 300];
    broken[16..20].copy_from_slice(b"RGB ");
    let odd = Picture { metadata: Metadata { icc: Some(broken), ..Metadata::default() }, ..photo.clone() };
    let write = |name: &str, picture: &Picture| {
        picture::write(&home.path().join(name), Format::Png, picture, &WriteOptions::default())
            .expect("written");
    };
    write("odd.png", &odd);
    write("plain.png", &Picture { metadata: Metadata::default(), ..photo });
    let told = home.expect(0, &["stylize", "odd.png", "-o", "odd-drawn.png"]);
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.contains("odd.png: its colour profile can't be used, and it is drawn as sRGB"), "{told}");
    home.expect(0, &["stylize", "plain.png", "-o", "plain-drawn.png"]);
    let read = |name: &str| picture::read(&home.path().join(name)).expect("a picture");
    assert_eq!(read("odd-drawn.png").metadata.icc, odd.metadata.icc);
    assert!(read("odd-drawn.png").pixels == read("plain-drawn.png").pixels);
}
