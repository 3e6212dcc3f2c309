//! Pixels and metadata that survive, in each format and across formats.

use super::super::exif::{Field, Fields, kind, tag};
use super::*;

#[test]
fn pixels_round_trip() {
    /// What comes back of a picture, and how far from the original.
    #[track_caller]
    fn check(format: Format, given: PixelFormat, expected: PixelFormat, tolerance: f32) {
        for (width, height) in [(1, 1), (37, 19), (1, 70), (64, 1)] {
            let picture = picture(width, height, given.channels, given.depth);
            let back = from_bytes(&to_bytes(format, &picture)).unwrap();
            assert_eq!(back.raster, Raster::new(width, height, expected).unwrap(), "{format:?} {given:?}");
            if tolerance == 0.0 {
                assert_eq!(back.pixels, picture.pixels, "{format:?} {given:?}");
            } else if given.channels == expected.channels {
                assert_close(&samples(&back), &samples(&picture), tolerance);
            }
        }
    }

    for channels in CHANNELS {
        for depth in DEPTHS {
            let given = PixelFormat { channels, depth };
            let exact = |same| if same { 0.0 } else { 0.003 };
            check(Format::Tiff, given, given, 0.0);

            let png = PixelFormat { channels, depth: if depth == Depth::U8 { depth } else { Depth::U16 } };
            check(Format::Png, given, png, exact(png == given));

            let webp = if channels.has_alpha() { Channels::Rgba } else { Channels::Rgb };
            let webp = PixelFormat { channels: webp, depth: Depth::U8 };
            check(Format::WebP, given, webp, exact(webp == given));

            let grey = matches!(channels, Channels::Grey | Channels::GreyAlpha);
            let jpeg = if grey { Channels::Grey } else { Channels::Rgb };
            check(Format::Jpeg, given, PixelFormat { channels: jpeg, depth: Depth::U8 }, 0.06);
        }
    }
}

#[test]
fn webp_keeps_grey_as_rgb() {
    let grey = picture(20, 10, Channels::Grey, Depth::U8);
    let back = from_bytes(&to_bytes(Format::WebP, &grey)).unwrap();
    let expected: Vec<u8> = grey.pixels.iter().flat_map(|&sample| [sample; 3]).collect();
    assert_eq!(back.pixels, expected);
}

#[test]
fn jpeg_lays_alpha_over_white() {
    #[track_caller]
    fn check(channels: Channels, pixel: &[u8], expected: &[u8]) {
        let raster = Raster::new(16, 16, PixelFormat { channels, depth: Depth::U8 }).unwrap();
        let picture = Picture { raster, pixels: pixel.repeat(256), metadata: Metadata::default() };
        let back = from_bytes(&to_bytes(Format::Jpeg, &picture)).unwrap();
        let close = back.pixels.iter().zip(expected.repeat(256)).all(|(a, b)| a.abs_diff(b) <= 2);
        assert!(close, "{:?}, not {expected:?}", &back.pixels[..expected.len()]);
    }
    check(Channels::Rgba, &[200, 100, 0, 255], &[200, 100, 0]);
    check(Channels::Rgba, &[200, 100, 0, 0], &[255, 255, 255]);
    check(Channels::Rgba, &[200, 100, 0, 51], &[244, 224, 204]);
    check(Channels::GreyAlpha, &[0, 128], &[127]);
}

#[test]
fn jpeg_quality_is_heard() {
    let picture = picture(64, 64, Channels::Rgb, Depth::U8);
    let length = |jpeg_quality| {
        let mut file = Cursor::new(Vec::new());
        encode(&mut file, Format::Jpeg, &picture, &WriteOptions { jpeg_quality }).unwrap();
        file.into_inner().len()
    };
    assert!(
        length(0) <= length(50)
            && length(50) < length(89)
            && length(89) < length(90)
            && length(90) < length(255)
    );
}

#[test]
fn metadata_survives_in_and_across_formats() {
    #[track_caller]
    fn check(formats: [Format; 2], icc_bytes: usize, ppi: (f64, f64)) {
        let fields = Fields {
            main: vec![Field { tag: 0x013b, kind: 2, value: b"Hokusai\0".to_vec() }],
            exif: vec![
                Field {
                    tag: 0x829a,
                    kind: kind::RATIONAL,
                    value: [1_u32, 250].map(u32::to_ne_bytes).concat(),
                },
                Field { tag: 0x8827, kind: kind::SHORT, value: 400_u16.to_ne_bytes().to_vec() },
            ],
            gps: vec![Field { tag: 1, kind: 2, value: b"N\0".to_vec() }],
        };
        let mut picture = picture(24, 16, Channels::Rgb, Depth::U8);
        let resolution = Resolution::per_inch(ppi.0, ppi.1).unwrap();
        let exif = fields.clone().with_resolution(resolution).to_exif();
        let kept = Metadata {
            icc: Some(icc(icc_bytes)),
            exif: Some(exif),
            resolution: Some(resolution),
            ..Metadata::default()
        };
        picture.metadata = kept.clone();

        let mut before = picture;
        for format in formats {
            let back = from_bytes(&to_bytes(format, &before)).unwrap();
            assert!(back.metadata.icc == kept.icc, "{formats:?}: another ICC profile");
            assert_eq!(Fields::of(back.metadata.exif.as_deref().unwrap()), Some(fields.clone()));
            let found = back.metadata.resolution.unwrap();
            assert!(found.is_near(resolution), "{formats:?}: {found:?}");
            if format != Format::Tiff && before.metadata.exif == kept.exif {
                assert_eq!(back.metadata.exif, kept.exif, "{format:?} keeps EXIF data to the byte");
            }
            before = back;
        }
    }

    for first in Format::ALL {
        for second in Format::ALL {
            check([first, second], 3144, (300.0, 300.0));
            check([first, second], 200_000, (72.0, 118.11));
        }
    }
}

/// The chunks, segments or fields in which programs write about a picture, as files have them.
#[test]
fn what_is_written_about_a_picture_is_kept() {
    const XMP: &[u8] = b"<?xpacket?><x tiff:Orientation='1' dc:title=\"\xc3\x84\"/>";
    const IPTC: &[u8] = b"\x1c\x02\x78\0\x05Title";
    for from in Format::ALL {
        let mut picture = picture(24, 16, Channels::Rgb, Depth::U8);
        picture.metadata.xmp = Some(XMP.into());
        picture.metadata.iptc = Some(IPTC.into());
        let first = from_bytes(&to_bytes(from, &picture)).unwrap();
        for to in Format::ALL {
            let file = to_bytes(to, &first);
            let back = from_bytes(&file).unwrap().metadata;
            assert_eq!(back.xmp.as_deref(), Some(XMP), "{from:?} {to:?}");
            let holds = |format| matches!(format, Format::Jpeg | Format::Tiff);
            let expected = (holds(from) && holds(to)).then_some(IPTC);
            assert_eq!(back.iptc.as_deref(), expected, "{from:?} {to:?}");
        }
    }
}

/// By EXIF's rules for cameras, which write no profile.
#[test]
fn adobe_rgb_is_known_by_exif() {
    /// EXIF data with a colour space, and with the name of a rule.
    fn exif(space: u16, rule: &[u8; 4]) -> Vec<u8> {
        let field = |tag: u16, kind: u16, count: u32, value: &[u8]| {
            let mut value = value.to_vec();
            value.resize(4, 0);
            [&tag.to_le_bytes()[..], &kind.to_le_bytes(), &count.to_le_bytes(), &value].concat()
        };
        let (directory, rules) = (26_u32.to_le_bytes(), 56_u32.to_le_bytes());
        [
            &b"II*\0\x08\0\0\0\x01\0"[..],
            &field(0x8769, 4, 1, &directory),
            &[0; 4],
            &[2, 0],
            &field(0xa001, 3, 1, &space.to_le_bytes()),
            &field(0xa005, 4, 1, &rules),
            &[0; 4],
            &[1, 0],
            &field(1, 2, 4, rule),
            &[0; 4],
        ]
        .concat()
    }
    #[track_caller]
    fn check(format: Format, channels: Channels, exif: &[u8], expected: bool) {
        let mut picture = picture(8, 8, channels, Depth::U8);
        picture.metadata.exif = Some(exif.into());
        let back = from_bytes(&to_bytes(format, &picture)).unwrap();
        let adobe = encode_profile(&moxcms::ColorProfile::new_adobe_rgb());
        assert_eq!(back.metadata.icc, adobe.filter(|_| expected), "{format:?}");
    }
    check(Format::Jpeg, Channels::Rgb, &exif(1, b"R98\0"), false);
    check(Format::Jpeg, Channels::Rgb, &exif(2, b"R98\0"), true);
    check(Format::Jpeg, Channels::Rgb, &exif(0xffff, b"R03\0"), true);
    check(Format::Jpeg, Channels::Rgb, &exif(0xffff, b"R98\0"), false);
    check(Format::Jpeg, Channels::Grey, &exif(2, b"R98\0"), false);
    check(Format::WebP, Channels::Rgb, &exif(0xffff, b"R03\0"), true);
    // Which says by its own chunks what its colours are.
    check(Format::Png, Channels::Rgb, &exif(2, b"R98\0"), false);
    let mut cut = exif(0xffff, b"R03\0");
    for end in (0..cut.len() - 4).rev() {
        cut.truncate(end);
        assert!(!exif::is_adobe_rgb(&cut) || end >= 56 + 2 + 12, "{end}");
    }
}

#[test]
fn a_turned_picture_is_upright_in_xmp_too() {
    for format in Format::ALL {
        let mut stored = picture(40, 24, Channels::Rgb, Depth::U8);
        stored.metadata.xmp = Some(b"<x tiff:Orientation=\"6\"/>".into());
        let fields = Fields {
            main: vec![Field {
                tag: tag::ORIENTATION,
                kind: kind::SHORT,
                value: 6_u16.to_ne_bytes().to_vec(),
            }],
            ..Fields::default()
        };
        stored.metadata.exif = Some(fields.to_exif());
        let upright = from_bytes(&to_bytes(format, &stored)).unwrap();
        assert_eq!(upright.metadata.xmp.as_deref(), Some(&b"<x tiff:Orientation=\"1\"/>"[..]), "{format:?}");
    }
}

#[test]
fn texts_of_a_png_are_kept() {
    use ::png::chunk::ChunkType;
    /// Which of these chunks come back, by their place.
    #[track_caller]
    fn check(chunks: &[(&[u8; 4], &[u8])], kept: &[usize], xmp: Option<&str>) {
        let mut file = Vec::new();
        let mut writer = ::png::Encoder::new(&mut file, 1, 1).write_header().unwrap();
        for (name, data) in chunks {
            writer.write_chunk(ChunkType(**name), data).unwrap();
        }
        writer.write_image_data(&[1]).unwrap();
        writer.finish().unwrap();
        let picture = from_bytes(&file).unwrap();
        assert_eq!(picture.metadata.xmp.as_deref(), xmp.map(str::as_bytes), "{chunks:?}");
        let again = to_bytes(Format::Png, &picture);
        for (place, (name, data)) in chunks.iter().enumerate() {
            let chunk = [&(data.len() as u32).to_be_bytes(), &name[..], data].concat();
            let is_there = again.windows(chunk.len()).any(|bytes| bytes == chunk);
            assert_eq!(is_there, kept.contains(&place), "{place} of {chunks:?}");
        }
    }
    check(&[(b"tEXt", b"Title\0A wave"), (b"tEXt", b"Author\0Hokusai")], &[0, 1], None);
    check(&[(b"iTXt", b"Title\0\0\0ja\0\0\xe6\xb3\xa2"), (b"zTXt", b"Comment\0\0no deflate")], &[0, 1], None);
    check(&[(b"zTXt", b"Raw profile type exif\0\0"), (b"tEXt", b"Thumb::URI\0x")], &[], None);
    check(
        &[(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation='6'/>")],
        &[],
        Some("<x tiff:Orientation='1'/>"),
    );
    // Compressed: stored, as deflate allows.
    let compressed = b"XML:com.adobe.xmp\0\x01\0\0\0\x78\x01\x01\x04\0\xfb\xff<x/>\x02\xf8\x01\x22";
    check(&[(b"iTXt", compressed)], &[], Some("<x/>"));
    check(&[(b"iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0no deflate")], &[], None);
}

#[test]
fn resolution_needs_no_exif() {
    for format in Format::ALL {
        let mut picture = picture(4, 4, Channels::Grey, Depth::U8);
        picture.metadata.resolution = Resolution::per_inch(300.0, 150.0);
        let back = from_bytes(&to_bytes(format, &picture)).unwrap();
        assert_eq!(back.metadata.resolution, picture.metadata.resolution, "{format:?}");
    }
}

#[test]
fn a_profile_for_other_channels_is_left_out() {
    for format in Format::ALL {
        let mut picture = picture(4, 4, Channels::Grey, Depth::U8);
        picture.metadata.icc = Some(icc(200));
        let back = from_bytes(&to_bytes(format, &picture)).unwrap();
        assert_eq!(back.metadata.icc.is_some(), format == Format::WebP, "{format:?}");
    }
}

#[test]
fn orientation_is_applied() {
    // The stored picture is 3 x 2: 1 2 3 above 4 5 6.
    const UPRIGHT: [(u16, u32, [u8; 6]); 9] = [
        (1, 3, [1, 2, 3, 4, 5, 6]),
        (2, 3, [3, 2, 1, 6, 5, 4]),
        (3, 3, [6, 5, 4, 3, 2, 1]),
        (4, 3, [4, 5, 6, 1, 2, 3]),
        (5, 2, [1, 4, 2, 5, 3, 6]),
        (6, 2, [4, 1, 5, 2, 6, 3]),
        (7, 2, [6, 3, 5, 2, 4, 1]),
        (8, 2, [3, 6, 2, 5, 1, 4]),
        (9, 3, [1, 2, 3, 4, 5, 6]),
    ];

    #[track_caller]
    fn check(value: u16, width: u32, expected: [u8; 6], given: PixelFormat) {
        let pixel_bytes = given.pixel_bytes();
        let spread = |numbers: &[u8]| -> Vec<u8> {
            let pixel = |&number: &u8| (0..pixel_bytes).map(move |at| number * 16 + at as u8);
            numbers.iter().flat_map(pixel).collect()
        };
        let raster = Raster::new(3, 2, given).unwrap();
        let (turned, pixels) = Orientation::from_tag(value).apply(raster, spread(&[1, 2, 3, 4, 5, 6]));
        assert_eq!((turned.width(), turned.height()), (width, 6 / width), "{value}");
        assert_eq!(pixels, spread(&expected), "{value} {given:?}");
    }

    for (value, width, expected) in UPRIGHT {
        for channels in CHANNELS {
            for depth in DEPTHS {
                check(value, width, expected, PixelFormat { channels, depth });
            }
        }
    }
}

#[test]
fn large_pictures_turn_like_small_ones() {
    let picture = picture(150, 70, Channels::Rgb, Depth::U16);
    let turn =
        |value: u16, (raster, pixels): (Raster, Vec<u8>)| Orientation::from_tag(value).apply(raster, pixels);
    // Each value and the one that undoes it.
    for (there, back) in [(2, 2), (3, 3), (4, 4), (5, 5), (6, 8), (7, 7), (8, 6)] {
        let turned = turn(there, (picture.raster, picture.pixels.clone()));
        assert_ne!(turned.1, picture.pixels);
        assert_eq!(turn(back, turned), (picture.raster, picture.pixels.clone()), "{there}");
    }
}

#[test]
fn orientation_is_read_from_files_and_reset() {
    for format in [Format::Png, Format::Jpeg, Format::WebP] {
        let mut stored = picture(40, 24, Channels::Rgb, Depth::U8);
        let size = |side: u32| side.to_ne_bytes().to_vec();
        let fields = Fields {
            main: vec![Field {
                tag: tag::ORIENTATION,
                kind: kind::SHORT,
                value: 6_u16.to_ne_bytes().to_vec(),
            }],
            exif: vec![
                Field { tag: tag::PIXEL_X_DIMENSION, kind: kind::LONG, value: size(40) },
                Field { tag: tag::PIXEL_Y_DIMENSION, kind: kind::LONG, value: size(24) },
            ],
            gps: vec![],
        };
        stored.metadata.exif =
            Some(fields.with_resolution(Resolution::per_inch(100.0, 200.0).unwrap()).to_exif());
        stored.metadata.resolution = Resolution::per_inch(100.0, 200.0);

        let upright = from_bytes(&to_bytes(format, &stored)).unwrap();
        assert_eq!((upright.raster.width(), upright.raster.height()), (24, 40), "{format:?}");
        assert_eq!(upright.metadata.resolution, Resolution::per_inch(200.0, 100.0), "{format:?}");
        let exif = upright.metadata.exif.as_deref().unwrap();
        assert_eq!(exif::orientation(exif), Orientation::UPRIGHT);
        let sizes: Vec<Vec<u8>> =
            Fields::of(exif).unwrap().exif.into_iter().map(|field| field.value).collect();
        assert_eq!(sizes, [size(24), size(40)]);

        let again = from_bytes(&to_bytes(format, &upright)).unwrap();
        assert_eq!(again.raster, upright.raster, "{format:?}: turned once, not twice");
    }
}
