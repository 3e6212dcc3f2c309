//! Layers of images with a colour profile, and brighter than white.

use moxcms::ColorProfile;
use utsushi::picture::{self, Format, Metadata, Picture, WriteOptions};
use utsushi_ipc::pixels::{Channels, Depth};
use utsushi_tests::gimp::{Session, installed};
use utsushi_tests::pictures::drawn;

use crate::{assert_alike, read, stylize};

const DEFAULTS: [&str; 9] = ["\"anime\"", "1.0", "1.0", "0.0", "\"\"", "0.5", "0", "0", "1.0"];
/// Converts to gamma-encoded or linear floating point numbers.
const FLOAT: &str = "(gimp-image-convert-precision image 650)";
const LINEAR_FLOAT: &str = "(gimp-image-convert-precision image 600)";

fn write(session: &Session, name: &str, format: Format, picture: &Picture) {
    let path = session.home().path().join(name);
    picture::write(&path, format, picture, &WriteOptions::default()).expect("it is written");
}

fn floats(picture: &Picture) -> Vec<f32> {
    assert_eq!(picture.raster.format().depth, Depth::F32);
    picture.pixels.as_chunks().0.iter().map(|value| f32::from_ne_bytes(*value)).collect()
}

#[test]
fn the_profile_of_an_image_is_heard() {
    for gimp in installed() {
        let session = Session::new(gimp);
        let check = |name: &str, profile: &ColorProfile, channels, depth, precision: &str, most| {
            let (raster, pixels) = drawn(150, 110, channels, depth);
            let icc = picture::encode_profile(profile);
            let with = Picture { raster, pixels, metadata: Metadata { icc, ..Metadata::default() } };
            let input = format!("{name}.png");
            write(&session, &input, Format::Png, &with);
            let expected = stylize(&session, &input, &[]);
            let back = if precision.is_empty() { "" } else { "(gimp-image-convert-precision image 250)" };
            let body = format!("{precision} {} {back}", session.stylize(1, DEFAULTS));
            let output = format!("{name}-gimp.png");
            let log = session.run(&session.step(&input, &body, &output));
            let found = read(&session, &output, &log);
            let what = format!("{name} in GIMP {}\n{log}", session.gimp().version);
            assert_alike(&found, &expected, most, &what);
            // Without its profile the picture is another.
            write(&session, "bare.png", Format::Png, &Picture { metadata: Metadata::default(), ..with });
            let bare = stylize(&session, "bare.png", &[]);
            assert!(bare.pixels != expected.pixels, "{name}: the profile makes no difference");
        };
        let p3 = ColorProfile::new_display_p3();
        check("p3", &p3, Channels::Rgb, Depth::U8, "", 257);
        check("p3-alpha", &p3, Channels::Rgba, Depth::U16, "", 257);
        check("adobe", &ColorProfile::new_adobe_rgb(), Channels::Rgb, Depth::U16, "", 257);
        check("p3-float", &p3, Channels::Rgb, Depth::U16, FLOAT, 400);
        check("p3-linear", &p3, Channels::Rgb, Depth::U16, LINEAR_FLOAT, 400);
    }
}

#[test]
fn what_is_brighter_than_white_stays_so() {
    for gimp in installed() {
        let session = Session::new(gimp);
        let (raster, pixels) = drawn(120, 90, Channels::Rgb, Depth::F32);
        let pixels = pixels.as_chunks().0.iter();
        let pixels = pixels.flat_map(|value| (f32::from_ne_bytes(*value) * 4.0).to_ne_bytes()).collect();
        let picture = Picture { raster, pixels, metadata: Metadata::default() };
        write(&session, "hdr.tif", Format::Tiff, &picture);
        let run = |strength, to: &str| {
            let mut values = DEFAULTS;
            values[1] = strength;
            let log = session.run(&session.step("hdr.tif", &session.stylize(1, values), to));
            floats(&read(&session, to, &log))
        };
        let (before, drawn) = (run("0.0", "same.tif"), run("1.0", "drawn.tif"));
        let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
        let bright = |values: &[f32]| values.iter().filter(|value| **value > 2.0).count();
        let what =
            format!("GIMP {}: {} and {} bright", session.gimp().version, bright(&before), bright(&drawn));
        assert!(bright(&before) > 1000, "{what}");
        assert!(bright(&drawn) * 2 > bright(&before), "{what}");
        assert!(drawn != before, "{what}");
        assert!((mean(&drawn) - mean(&before)).abs() < 0.2 * mean(&before), "{what}");
    }
}

#[test]
fn hidden_pixels_keep_their_colours() {
    for gimp in installed() {
        let session = Session::new(gimp);
        let (raster, pixels) = drawn(60, 50, Channels::Rgb, Depth::U8);
        let picture = Picture { raster, pixels, metadata: Metadata::default() };
        write(&session, "in.png", Format::Png, &picture);
        let call = session.stylize(1, DEFAULTS);
        // A layer whose left part is hidden by a layer mask that is then applied: what was there is still there.
        let hide = "(gimp-layer-add-alpha layer)
            (let ((mask (car (gimp-layer-create-mask layer 0))))
                (gimp-layer-add-mask layer mask)
                (gimp-image-select-rectangle image 2 0 0 30 50)
                (gimp-context-set-foreground '(0 0 0))
                (gimp-drawable-edit-fill mask 0)
                (gimp-selection-none image)
                (gimp-layer-remove-mask layer 0))";
        // Of a hidden pixel and of one that is seen.
        let tell = |name: &str| {
            let pixel = |at: u8| match session.gimp().version {
                "2.10" => format!("(vector->list (cadr (gimp-drawable-get-pixel layer {at} {at})))"),
                _ => format!("(car (gimp-drawable-get-pixel layer {at} {at}))"),
            };
            let number = "(lambda (value) (string-append (number->string value) \" \"))";
            let text = |at| format!("(apply string-append (map {number} {}))", pixel(at));
            format!("(gimp-message (string-append \"{name}: \" {} \"; \" {} \".\"))", text(20), text(40))
        };
        let body = format!("{hide} {} {call} {}", tell("before"), tell("after"));
        let log = session.run(&session.step("in.png", &body, "out.png"));
        let told = |name: &str| {
            let start = log.find(name).unwrap_or_else(|| panic!("{name} is not in:\n{log}")) + name.len();
            let words = log[start..].split('.').next().unwrap_or_default();
            words
                .split_once(';')
                .map(|(hidden, seen)| (hidden.to_owned(), seen.to_owned()))
                .expect("two pixels")
        };
        let (before, after) = (told("before: "), told("after: "));
        assert!(before.0.ends_with(" 0 "), "it is hidden: {before:?}");
        assert_eq!(after.0, before.0, "GIMP {}", session.gimp().version);
        assert_ne!(after.1, before.1, "GIMP {}", session.gimp().version);
    }
}
