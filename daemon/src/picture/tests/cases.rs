//! Files that others wrote, beside what other programs read in them (`tests/data/cases`).

use std::path::PathBuf;

use super::*;

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/cases").join(name)
}

/// The same picture once more, as libjpeg has decoded it.
#[test]
fn jpegs_of_any_sampling_are_decoded_as_by_others() {
    #[track_caller]
    fn check(name: &str, losses: &[Loss]) {
        let opened = open(&case(&format!("{name}.jpg"))).unwrap();
        let expected = read(&case(&format!("{name}.png"))).unwrap();
        assert_eq!(opened.picture.raster, expected.raster, "{name}");
        let differences = || opened.picture.pixels.iter().zip(&expected.pixels).map(|(a, b)| a.abs_diff(*b));
        let worst = differences().max().unwrap();
        let sum: u32 = differences().map(u32::from).sum();
        println!("{name}: {worst} at worst, {:.3} on the average", sum as f32 / expected.pixels.len() as f32);
        assert!(worst <= 5, "{name}: {worst} of 255 off");
        assert_eq!(opened.losses, losses, "{name}");
    }
    // Luminance and the two colours: how densely they are sampled, across and down.
    check("y21-c11", &[]);
    check("y21-c21", &[]);
    check("y11-c22", &[]);
    check("y11-c11-c21", &[]);
    check("y12-c21", &[]);
    check("y22-c21-c12", &[]);
    check("y41-c11", &[]);
    check("cmyk-11-22-22-11", &[]);
    check("one-by-one-420", &[]);
    check("jpeg-chroma-finer-than-luma", &[]);
    check("one-scan-per-colour", &[]);
    check("no-end-mark", &[Loss::EndMark]);
}

#[test]
fn what_is_not_supported_is_called_by_its_name() {
    let error = read(&case("12bit.jpg")).unwrap_err().to_string();
    assert!(error.contains("can't be read: 12-bit JPEG isn't supported; save it as 8-bit"), "{error}");
}

#[test]
fn the_first_full_page_is_read() {
    #[track_caller]
    fn check(name: &str, losses: &[Loss]) {
        let opened = open(&case(name)).unwrap();
        assert_eq!((opened.picture.raster.width(), opened.picture.raster.height()), (112, 80), "{name}");
        // Some pixels, as libtiff has read them.
        let pixels = opened.picture.pixels.as_chunks::<3>().0;
        assert_eq!(
            [pixels[0], pixels[5000], pixels[8959]],
            [[0, 0, 128], [165, 142, 254], [255, 255, 119]],
            "{name}"
        );
        assert_eq!(opened.losses, losses, "{name}");
    }
    check("two-pages.tif", &[Loss::Parts { part: Part::Page, count: 1 }]);
    check("thumbnail-first.tif", &[]);
    // Each colour in tiles of its own, which the lower edge of the picture cuts.
    check("planar-tiled-deflate.tif", &[]);
    assert_eq!(
        read(&case("planar-tiled-deflate.tif")).unwrap().pixels,
        read(&case("two-pages.tif")).unwrap().pixels
    );
    let frames = open(&case("animated.webp")).unwrap().losses;
    assert_eq!(frames, [Loss::Parts { part: Part::Frame, count: 1 }]);
}

#[test]
fn tiffs_of_rarer_kinds_are_read() {
    /// The same picture once more, of 8 bits. `most`: how far of 255 a sample may be off.
    #[track_caller]
    fn check(name: &str, depth: Depth, most: f32) {
        let opened = open(&case(name)).unwrap();
        let expected = read(&case("two-pages.tif")).unwrap();
        let Picture { raster, pixels, .. } = opened.picture;
        assert_eq!(raster.format(), PixelFormat { channels: Channels::Rgb, depth }, "{name}");
        let found: Vec<f32> = match depth {
            Depth::F32 => convert::f32s(&pixels).map(|value| value * 255.0).collect(),
            _ => pixels.iter().map(|value| f32::from(*value)).collect(),
        };
        assert_eq!(found.len(), expected.pixels.len(), "{name}");
        let differences = found.iter().zip(&expected.pixels).map(|(a, b)| (a - f32::from(*b)).abs());
        let (worst, sum) = differences.fold((0.0_f32, 0.0), |(worst, sum), off| (worst.max(off), sum + off));
        println!("{name}: {worst} at worst, {} on the average", sum / found.len() as f32);
        assert!(sum / found.len() as f32 <= most, "{name}");
        assert_eq!(opened.losses, [], "{name}");
    }
    check("zstd.tif", Depth::U8, 0.0);
    check("half-float.tif", Depth::F32, 0.3);
    check("cmyk.tif", Depth::U8, 1.0);
    check("jpeg-ycbcr.tif", Depth::U8, 3.0);
}

#[test]
fn values_above_1_are_read() {
    let picture = read(&case("hdr-float.tif")).unwrap();
    assert_eq!(picture.raster.format().depth, Depth::F32);
    let most = convert::f32s(&picture.pixels).fold(0.0, f32::max);
    assert!((3.5..=4.0).contains(&most), "{most}");
}

#[test]
fn tiffs_that_are_not_supported_are_called_by_their_names() {
    /// `zstd.tif` with another value of a tag.
    #[track_caller]
    fn check(tag: u16, value: u16, expected: &str) {
        let mut file = std::fs::read(case("zstd.tif")).unwrap();
        let directory = u32::from_le_bytes(file[4..8].try_into().unwrap()) as usize;
        let entry = (directory + 2..).step_by(12).find(|at| file[*at..][..2] == tag.to_le_bytes()).unwrap();
        file[entry + 8..entry + 10].copy_from_slice(&value.to_le_bytes());
        let error = decode(Cursor::new(&file)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    const COMPRESSION: u16 = 259;
    const INTERPRETATION: u16 = 262;
    check(COMPRESSION, 2, "can't be read: a TIFF with Huffman compression isn't supported; save it as 8-bit");
    check(INTERPRETATION, 8, "can't be read: a TIFF of CIELab colours isn't supported; save it as");
    check(
        INTERPRETATION,
        6,
        "a TIFF of YCbCr with reduced chroma and without JPEG compression isn't supported",
    );
}

/// An MPO: a JPEG with an index of the pictures that follow it.
fn mpo(kinds: &[u32], order: fn(u32) -> [u8; 4], short: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let mark = if order(1) == 1_u32.to_be_bytes() { *b"MM" } else { *b"II" };
    let entries: Vec<u8> =
        kinds.iter().flat_map(|kind| [order(*kind), [0; 4], [0; 4], [0; 4]].concat()).collect();
    let field = |tag: u16, kind: u16, count: u32, value: u32| {
        [short(tag).as_slice(), &short(kind), &order(count), &order(value)].concat()
    };
    let index = [
        b"MPF\0".as_slice(),
        &mark,
        &short(42),
        &order(8),
        &short(2),
        &field(0xb001, 4, 1, kinds.len() as u32),
        &field(0xb002, 7, entries.len() as u32, 8 + 2 + 24 + 4),
        &[0; 4],
        &entries,
    ]
    .concat();
    let still = to_bytes(Format::Jpeg, &picture(16, 8, Channels::Rgb, Depth::U8));
    let length = (index.len() as u16 + 2).to_be_bytes();
    let first = [&still[..2], &[0xff, 0xe2], &length, &index, &still[2..]].concat();
    [first, still].concat()
}

#[test]
fn other_pictures_of_an_mpo_are_counted() {
    #[track_caller]
    fn check(kinds: &[u32], expected: u64) {
        let expected: Vec<_> = Loss::parts(Part::View, expected).into_iter().collect();
        let big = mpo(kinds, u32::to_be_bytes, u16::to_be_bytes);
        let little = mpo(kinds, u32::to_le_bytes, u16::to_le_bytes);
        for file in [big, little] {
            assert_eq!(decode(Cursor::new(&file)).unwrap().losses, expected, "{kinds:x?}");
            // An index that is cut short or nonsense is none.
            for at in 20..100 {
                let mut file = file.clone();
                file[at] = 0xfe;
                let _ = decode(Cursor::new(&file));
            }
        }
    }
    check(&[0x2003_0000], 0);
    check(&[0x2003_0000, 0], 1);
    check(&[0x2002_0002, 0x0002_0002, 0x0002_0002], 2);
    // Previews of the first are no loss.
    check(&[0x2003_0000, 0x0001_0001, 0x0001_0002], 0);
}

#[test]
fn a_gain_map_is_no_picture() {
    let file = mpo(&[0x2003_0000, 0], u32::to_be_bytes, u16::to_be_bytes);
    let xmp = b"http://ns.adobe.com/xap/1.0/\0<x hdrgm:Version=\"1.0\"/>";
    let length = (xmp.len() as u16 + 2).to_be_bytes();
    let file = [&file[..2], &[0xff, 0xe1], &length, xmp, &file[2..]].concat();
    assert_eq!(decode(Cursor::new(&file)).unwrap().losses, [Loss::GainMap]);
}

/// Beside what LittleCMS makes of the same inks.
#[test]
fn inks_become_srgb_by_their_profile() {
    let opened = open(&case("cmyk-profile.jpg")).unwrap();
    let expected = read(&case("cmyk-profile.png")).unwrap();
    let differences = || opened.picture.pixels.iter().zip(&expected.pixels).map(|(a, b)| a.abs_diff(*b));
    let (worst, sum) = (differences().max().unwrap(), differences().map(u32::from).sum::<u32>());
    println!(
        "cmyk-profile: {worst} at worst, {:.3} on the average",
        sum as f32 / expected.pixels.len() as f32
    );
    assert!(worst <= 5, "{worst} of 255 off");
    let icc = opened.picture.metadata.icc.expect("sRGB's profile");
    assert_eq!(icc.get(16..20), Some(b"RGB ".as_slice()));
    assert_eq!(opened.losses, []);

    // A profile that is none leaves the inks to be what they are, with a word.
    let mut file = std::fs::read(case("cmyk-profile.jpg")).unwrap();
    let profile = file.windows(12).position(|bytes| bytes == b"ICC_PROFILE\0").unwrap() + 14;
    file[profile + 128..profile + 600].fill(0xff);
    assert_eq!(decode(Cursor::new(&file)).unwrap().losses, [Loss::InkProfile]);
}

/// The chunks of a PNG before its pixels.
fn chunks(file: &[u8]) -> Vec<(&[u8], &[u8])> {
    let (mut chunks, mut at) = (Vec::new(), 8);
    while at + 8 < file.len() {
        let length = u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        chunks.push((&file[at + 4..at + 8], &file[at + 8..at + 8 + length]));
        at += 12 + length;
    }
    chunks.retain(|(name, _)| !matches!(*name, b"IHDR" | b"IDAT" | b"IEND"));
    chunks
}

/// A PNG of one pixel with these chunks.
fn png_with(grey: bool, given: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut file, 1, 1);
    encoder.set_color(if grey { ::png::ColorType::Grayscale } else { ::png::ColorType::Rgb });
    let mut writer = encoder.write_header().unwrap();
    for (name, data) in given {
        writer.write_chunk(::png::chunk::ChunkType(**name), data).unwrap();
    }
    writer.write_image_data(&[100; 3][..if grey { 1 } else { 3 }]).unwrap();
    writer.finish().unwrap();
    file
}

#[test]
fn what_a_png_says_of_its_colours_is_kept() {
    /// `says`: does it say something else than sRGB, so that other formats need a profile?
    #[track_caller]
    fn check(grey: bool, given: &[(&[u8; 4], &[u8])], says: bool) {
        let file = png_with(grey, given);
        let picture = from_bytes(&file).unwrap();
        assert_eq!(picture.metadata.icc.is_some(), says, "{given:?}");
        let again = to_bytes(Format::Png, &picture);
        let given: Vec<_> = given.iter().map(|(name, data)| (name.as_slice(), *data)).collect();
        let mut written = chunks(&again);
        written.sort_by_key(|(name, _)| given.iter().position(|(given, _)| given == name));
        assert_eq!(written, given);
        for format in [Format::Jpeg, Format::Tiff] {
            let profile = from_bytes(&to_bytes(format, &picture)).unwrap().metadata.icc;
            assert_eq!(profile, picture.metadata.icc, "{format:?} {given:?}");
        }
        // Pixels that are converted are no longer what the chunks say.
        let mut converted = picture;
        converted.metadata.icc = Some(icc(300));
        let written = to_bytes(Format::Png, &converted);
        assert!(chunks(&written).iter().all(|(name, _)| *name == b"iCCP"), "{given:?}");
    }
    let numbers = |numbers: &[u32]| numbers.iter().copied().flat_map(u32::to_be_bytes).collect::<Vec<u8>>();
    let (linear, usual) = (numbers(&[100_000]), numbers(&[45455]));
    let adobe = numbers(&[31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000]);
    let srgb = numbers(&[31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000]);
    check(false, &[(b"cICP", &[12, 13, 0, 1])], true);
    check(false, &[(b"cICP", &[9, 16, 0, 1])], true);
    check(false, &[(b"cICP", &[9, 16, 0, 1]), (b"mDCV", &[7; 24]), (b"cLLI", &[3; 8])], true);
    check(false, &[(b"cICP", &[1, 13, 0, 1])], false);
    check(false, &[(b"cICP", &[2, 2, 0, 1])], false);
    check(false, &[(b"gAMA", &linear)], true);
    check(false, &[(b"gAMA", &usual)], false);
    check(false, &[(b"cHRM", &adobe)], true);
    check(false, &[(b"gAMA", &usual), (b"cHRM", &srgb)], false);
    check(false, &[(b"gAMA", &usual), (b"cHRM", &adobe)], true);
    check(false, &[(b"gAMA", &linear), (b"cHRM", &[0; 32])], false);
    check(false, &[(b"sRGB", &[0])], false);
    check(true, &[(b"gAMA", &linear)], true);
    check(true, &[(b"cICP", &[9, 16, 0, 1])], true);
}

/// The profile that other formats get means what the chunks do.
#[test]
fn a_profile_says_what_the_chunks_say() {
    use moxcms::{ColorProfile, Layout, TransformOptions};
    #[track_caller]
    fn check(name: &str, pixel: [u8; 3], expected: [u8; 3]) {
        let profile =
            ColorProfile::new_from_slice(&read(&case(name)).unwrap().metadata.icc.unwrap()).unwrap();
        let mut found = [0_u8; 3];
        profile
            .create_transform_8bit(
                Layout::Rgb,
                &ColorProfile::new_srgb(),
                Layout::Rgb,
                TransformOptions::default(),
            )
            .unwrap()
            .transform(&pixel, &mut found)
            .unwrap();
        assert!(found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 1), "{name}: {found:?}");
    }
    // By sRGB's formula: 0.2159 of the light is 0.5020 there.
    check("gama-linear.png", [55, 55, 55], [128, 128, 128]);
    check("gama-linear.png", [255, 0, 0], [255, 0, 0]);
    // By the matrices of CSS Color 4.
    check("cicp-display-p3.png", [128, 128, 128], [128, 128, 128]);
    check("cicp-display-p3.png", [150, 100, 50], [159, 97, 38]);
}
