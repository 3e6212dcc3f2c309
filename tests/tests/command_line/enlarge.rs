//! Enlarging with the real networks: what is kept, and that it is nearer to what was there than a plain filter.

use std::fs;

use utsushi::picture::{self, Format, Metadata, Picture, Resolution, WriteOptions};
use utsushi_ipc::pixels::{Channels, Depth, PixelFormat, Raster};
use utsushi_tests::binary::{Home, errors};
use utsushi_tests::pictures::{drawn, enlarged, sample, write_drawn};

/// An 8-bit RGB picture of half the size: means of four pixels.
fn halved(whole: &Picture) -> Picture {
    let (width, height) = (whole.raster.width() / 2, whole.raster.height() / 2);
    let raster = Raster::new(width, height, whole.raster.format()).expect("a raster");
    let row_bytes = whole.raster.row_bytes();
    let mut pixels = Vec::new();
    for y in 0..height as usize {
        for i in 0..width as usize * 3 {
            let first = 2 * y * row_bytes + i / 3 * 6 + i % 3;
            let sum: u32 =
                [0, 3, row_bytes, row_bytes + 3].iter().map(|at| u32::from(whole.pixels[first + at])).sum();
            pixels.push(((sum + 2) / 4) as u8);
        }
    }
    Picture { raster, pixels, metadata: Metadata::default() }
}

/// The mean square of what differs within the smaller of two pictures.
fn square(a: &Picture, b: &Picture) -> f64 {
    let (width, height) = (a.raster.width().min(b.raster.width()), a.raster.height().min(b.raster.height()));
    let row = |picture: &Picture, y: usize| {
        picture.pixels[y * picture.raster.row_bytes()..][..width as usize * 3].to_vec()
    };
    let of_row =
        |y| row(a, y).iter().zip(row(b, y)).map(|(a, b)| f64::from(a.abs_diff(b)).powi(2)).sum::<f64>();
    (0..height as usize).map(of_row).sum::<f64>() / f64::from(width * height * 3)
}

#[test]
fn it_is_nearer_to_what_was_there_than_a_plain_filter() {
    let home = Home::new();
    for (name, kind) in [("astronaut.jpg", "photo"), ("chelsea.jpg", "photo"), ("astronaut.jpg", "drawing")] {
        let whole = picture::read(&sample(name)).expect("a picture");
        let small = halved(&whole);
        picture::write(&home.path().join("small.png"), Format::Png, &small, &WriteOptions::default())
            .expect("written");
        let plain = enlarged(&small, small.raster.width() * 2, small.raster.height() * 2);
        home.expect(0, &["enlarge", "small.png", "-o", "large.png", "--kind", kind]);
        let large = picture::read(&home.path().join("large.png")).expect("a picture");
        assert_eq!(large.raster, plain.raster, "{name} {kind}");
        let (ours, theirs) = (square(&large, &whole), square(&plain, &whole));
        assert!(ours < theirs, "{name} {kind}: {ours:.1}, and a plain filter {theirs:.1}");
    }
    assert_eq!(home.status()["loaded"], serde_json::json!(["enlarge-drawing", "enlarge-photo"]));
}

#[test]
fn what_a_file_tells_and_how_exact_it_is_stays() {
    let home = Home::new();
    for (channels, depth, format) in [
        (Channels::Rgba, Depth::U16, Format::Png),
        (Channels::GreyAlpha, Depth::U8, Format::Png),
        (Channels::Grey, Depth::U16, Format::Tiff),
        (Channels::Rgb, Depth::F32, Format::Tiff),
    ] {
        let (raster, pixels) = drawn(45, 31, channels, depth);
        let icc = picture::read(&sample("rocket.jpg")).expect("a picture").metadata.icc;
        let icc = icc.filter(|_| channels.count() > 2);
        let resolution = Some(Resolution { x_ppi: 300.0, y_ppi: 300.0 });
        let metadata = Metadata { icc, resolution, ..Metadata::default() };
        let input = format!("in.{}", format.extensions()[0]);
        let output = format!("out.{}", format.extensions()[0]);
        let source = Picture { raster, pixels, metadata };
        picture::write(&home.path().join(&input), format, &source, &WriteOptions::default())
            .expect("written");
        home.expect(0, &["enlarge", &input, "-o", &output, "--scale", "4"]);
        let large = picture::read(&home.path().join(&output)).expect("a picture");
        let expected = PixelFormat { channels, depth };
        assert_eq!(large.raster, Raster::new(180, 124, expected).expect("a raster"), "{input}");
        assert_eq!(large.metadata.icc, source.metadata.icc, "{input}");
        let ppi = large.metadata.resolution.map(|resolution| resolution.x_ppi.round());
        assert_eq!(ppi, Some(300.0), "{input}");
    }
    // As no picture has it that was made of 8 bits.
    home.expect(0, &["enlarge", "in.tif", "-o", "again.tif"]);
}

#[test]
fn what_makes_no_sense_leaves_nothing() {
    let home = Home::new();
    write_drawn(&home.path().join("wide.png"), 9000, 2, Channels::Rgb, Depth::U8);
    let output = home.expect(1, &["enlarge", "wide.png", "-o", "out.webp"]);
    let told = errors(&output);
    assert!(
        told.contains("wide.png") && told.contains("18000 x 4") && told.contains("WebP holds at most"),
        "{told}"
    );
    assert!(!home.path().join("out.webp").exists());
    fs::create_dir(home.path().join("empty")).expect("a folder");
    let told = errors(&home.expect(2, &["enlarge", "wide.png", "-o", "out.png", "--redo"]));
    assert!(told.contains("--redo is for folders"), "{told}");
}
