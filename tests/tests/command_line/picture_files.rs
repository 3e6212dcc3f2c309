//! One picture: what comes out of it, and what is kept.

use std::fs;
use std::path::Path;

use utsushi::picture::{self, Format, Metadata, Picture, Resolution, WriteOptions};
use utsushi_ipc::pixels::{Channels, Depth, PixelFormat};
use utsushi_tests::binary::Home;
use utsushi_tests::pictures::{drawn, mean_difference, sample, write_drawn};

fn icc_of_rocket() -> Vec<u8> {
    let rocket = picture::read(&sample("rocket.jpg")).expect("a picture");
    rocket.metadata.icc.expect("the sample has a profile")
}

fn contains(content: &[u8], part: &[u8]) -> bool {
    content.windows(part.len()).any(|window| window == part)
}

#[test]
fn photographs_become_drawings_and_keep_size_and_profile() {
    let home = Home::new();
    assert!(home.daemons().is_empty());
    for name in ["astronaut.jpg", "chelsea.jpg", "coffee.jpg", "rocket.jpg"] {
        let source = picture::read(&sample(name)).expect("a picture");
        for output in ["out.png", "out.jpg", "out.webp", "out.tif"] {
            home.expect(0, &["stylize", sample(name).to_str().expect("UTF-8"), "-o", output]);
            let result = picture::read(&home.path().join(output)).expect("a picture");
            assert_eq!(result.raster, source.raster, "{name} {output}");
            assert_eq!(result.metadata.icc, source.metadata.icc, "{name} {output}");
            let difference = mean_difference(&source.pixels, &result.pixels);
            assert!((2.0..60.0).contains(&difference), "{name} {output}: mean difference {difference}");
        }
    }
    // Not as our own reader sees it: a JPEG holds the profile as it is.
    home.expect(0, &["stylize", sample("rocket.jpg").to_str().expect("UTF-8"), "-o", "rocket.jpg"]);
    let rocket = fs::read(home.path().join("rocket.jpg")).expect("a file");
    assert!(contains(&rocket, &icc_of_rocket()), "the profile's bytes");
    assert_eq!(home.daemons().len(), 1, "it was started, once");
    assert_eq!(home.status()["finished"], 17);
}

#[test]
fn what_a_file_tells_of_its_picture_is_kept() {
    /// The smallest EXIF data: the camera's make.
    const EXIF: &[u8] = b"II*\0\x08\0\0\0\x01\0\x0f\x01\x02\0\x04\0\0\0cam\0\0\0\0\0";
    let home = Home::new();
    let (raster, pixels) = drawn(90, 60, Channels::Rgb, Depth::U8);
    let resolution = Some(Resolution { x_ppi: 300.0, y_ppi: 150.0 });
    let metadata =
        Metadata { icc: Some(icc_of_rocket()), exif: Some(EXIF.into()), resolution, ..Metadata::default() };
    let picture = Picture { raster, pixels, metadata };
    for from in Format::ALL {
        let input = format!("in.{}", from.extensions()[0]);
        picture::write(&home.path().join(&input), from, &picture, &WriteOptions::default()).expect("written");
        for to in Format::ALL {
            let output = format!("out.{}", to.extensions()[0]);
            home.expect(0, &["stylize", &input, "-o", &output]);
            let result = picture::read(&home.path().join(&output)).expect("a picture").metadata;
            assert_eq!(result.icc, picture.metadata.icc, "{input} {output}");
            assert_eq!(result.resolution, resolution, "{input} {output}");
            let exif = result.exif.unwrap_or_default();
            assert!(contains(&exif, b"cam\0"), "{input} {output}: {exif:?}");
        }
    }
}

#[test]
fn a_rotated_photograph_comes_out_upright() {
    /// The smallest EXIF data: a camera that was held on its side.
    const EXIF: &[u8] = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let home = Home::new();
    let (raster, pixels) = drawn(90, 60, Channels::Rgb, Depth::U8);
    let metadata = Metadata { exif: Some(EXIF.into()), ..Default::default() };
    let picture = Picture { raster, pixels, metadata };
    let input = home.path().join("in.jpg");
    picture::write(&input, Format::Jpeg, &picture, &WriteOptions::default()).expect("written");
    home.expect(0, &["stylize", "in.jpg", "-o", "out.jpg"]);
    let result = picture::read(&home.path().join("out.jpg")).expect("a picture");
    assert_eq!((result.raster.width(), result.raster.height()), (60, 90));
    let result = fs::read(home.path().join("out.jpg")).expect("a file");
    assert!(!contains(&result, &EXIF[10..20]), "it would be turned again");
}

#[test]
fn every_kind_of_pixel_stays_what_it_is() {
    let home = Home::new();
    let check = |name: &str, channels: Channels, depth: Depth| {
        write_drawn(&home.path().join(name), 70, 50, channels, depth);
        let output = format!("drawn-{name}");
        home.expect(0, &["stylize", name, "-o", &output]);
        let format = picture::read(&home.path().join(&output)).expect("a picture").raster.format();
        assert_eq!(format, PixelFormat { channels, depth }, "{name} {channels:?} {depth:?}");
        output
    };
    for channels in [Channels::Grey, Channels::GreyAlpha, Channels::Rgb, Channels::Rgba] {
        for depth in [Depth::U8, Depth::U16] {
            let output = check("in.png", channels, depth);
            // What the file itself says of its samples, at a fixed place.
            let bits = fs::read(home.path().join(&output)).expect("a file")[24];
            assert_eq!(usize::from(bits), 8 * depth.bytes(), "{channels:?}");
        }
        for depth in [Depth::U8, Depth::U16, Depth::F32] {
            check("in.tif", channels, depth);
        }
    }
    check("in.webp", Channels::Rgb, Depth::U8);
    check("in.webp", Channels::Rgba, Depth::U8);
    check("in.jpg", Channels::Grey, Depth::U8);
    check("in.jpg", Channels::Rgb, Depth::U8);
}

#[test]
fn the_same_command_makes_the_same_file() {
    let home = Home::new();
    let read = |name: &str| fs::read(home.path().join(name)).expect("a file");
    let input = sample("coffee.jpg");
    let input = input.to_str().expect("UTF-8");
    for output in ["out.png", "out.jpg", "out.webp", "out.tif"] {
        let args = ["stylize", input, "-o", output, "--strength", "0.8", "--keep-colours", "0.3"];
        home.expect(0, &args);
        let first = read(output);
        home.expect(0, &args);
        assert!(first == read(output), "{output}: the same daemon");
        home.expect(0, &["stop"]);
        home.expect(0, &args);
        assert!(first == read(output), "{output}: another daemon");
        home.expect(0, &["stylize", input, "-o", output]);
        assert!(first != read(output), "{output}: other settings");
    }
}

#[test]
fn settings_do_what_they_say() {
    let home = Home::new();
    let input = sample("coffee.jpg");
    let source = picture::read(&input).expect("a picture");
    let draw = |settings: &[&str]| {
        let args = [&["stylize", input.to_str().expect("UTF-8"), "-o", "out.png"], settings].concat();
        home.expect(0, &args);
        picture::read(&home.path().join("out.png")).expect("a picture").pixels
    };
    let whole = draw(&[]);
    assert!(draw(&["--strength", "0"]) == source.pixels, "nothing of the style is the picture itself");
    let half = mean_difference(&source.pixels, &draw(&["--strength", "0.5"]));
    assert!((0.3..0.7).contains(&(half / mean_difference(&source.pixels, &whole))), "{half}");
    assert!(draw(&["--brush-size", "4"]) != whole);
    assert!(draw(&["--keep-colours", "1"]) != whole);
    assert!(draw(&["--style", "anime=3"]) == whole, "a mix of one style is that style");
}

#[test]
fn a_picture_is_replaced_in_its_place() {
    let home = Home::new();
    let path = home.path().join("in.png");
    write_drawn(&path, 80, 60, Channels::Rgb, Depth::U8);
    home.expect(0, &["stylize", "in.png", "-o", "out.png"]);
    let drawn = fs::read(home.path().join("out.png")).expect("a file");
    std::os::unix::fs::symlink("in.png", home.path().join("link.png")).expect("a link");
    home.expect(0, &["stylize", "link.png", "--in-place"]);
    assert!(fs::read(&path).expect("a file") == drawn);
    assert_eq!(fs::read_link(home.path().join("link.png")).expect("still a link"), Path::new("in.png"));
    assert_eq!(home.names("."), ["in.png", "link.png", "out.png", "run", "state"]);
}
