//! Kinds of files that others write.

use super::*;

#[track_caller]
fn assert_is(picture: &Picture, channels: Channels, depth: Depth, pixels: &[u8]) {
    assert_eq!(picture.raster.format(), PixelFormat { channels, depth });
    assert_eq!(picture.pixels, pixels);
}

fn native(samples: &[u16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_ne_bytes()).collect()
}

#[test]
fn png_kinds_are_expanded() {
    use ::png::{BitDepth, ColorType, Encoder};
    use Channels::{Grey, GreyAlpha, Rgb, Rgba};
    type Given<'a> = (ColorType, BitDepth, Option<&'a [u8]>, &'a [u8]);

    #[track_caller]
    fn check((color, depth, transparent, data): Given<'_>, width: u32, channels: Channels, expected: &[u8]) {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, width, 1);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if color == ColorType::Indexed {
            encoder.set_palette([1, 2, 3, 40, 50, 60, 70, 80, 90].as_slice());
        }
        if let Some(transparent) = transparent {
            encoder.set_trns(transparent.to_vec());
        }
        encoder.write_header().unwrap().write_image_data(data).unwrap();
        let depth = if depth == BitDepth::Sixteen { Depth::U16 } else { Depth::U8 };
        assert_is(&from_bytes(&file).unwrap(), channels, depth, expected);
    }

    let grey = ColorType::Grayscale;
    check((grey, BitDepth::One, None, &[0b1010_0000]), 4, Grey, &[255, 0, 255, 0]);
    check((grey, BitDepth::Two, None, &[0b0001_1011]), 4, Grey, &[0, 85, 170, 255]);
    check((grey, BitDepth::Four, None, &[0x0f, 0x30]), 3, Grey, &[0, 255, 51]);
    check((grey, BitDepth::Eight, Some(&[0, 7]), &[7, 8]), 2, GreyAlpha, &[7, 0, 8, 255]);
    check((grey, BitDepth::Sixteen, None, &[1, 2, 3, 4]), 2, Grey, &native(&[0x0102, 0x0304]));
    check((grey, BitDepth::Sixteen, Some(&[1, 2]), &[1, 2]), 1, GreyAlpha, &native(&[0x0102, 0]));
    check((ColorType::Rgb, BitDepth::Eight, Some(&[0, 1, 0, 2, 0, 3]), &[1, 2, 3]), 1, Rgba, &[1, 2, 3, 0]);
    check((ColorType::Indexed, BitDepth::Eight, None, &[2, 0]), 2, Rgb, &[70, 80, 90, 1, 2, 3]);
    check((ColorType::Indexed, BitDepth::Two, None, &[0b0100_0000]), 2, Rgb, &[40, 50, 60, 1, 2, 3]);
    check((ColorType::Indexed, BitDepth::Four, Some(&[9]), &[0x02]), 2, Rgba, &[1, 2, 3, 9, 70, 80, 90, 255]);
}

#[test]
fn animations_give_their_first_frame() {
    let first = picture(10, 10, Channels::Rgba, Depth::U8);
    let frames = |count| vec![Loss::Parts { part: Part::Frame, count }];

    let mut file = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut file, 10, 10);
    encoder.set_color(::png::ColorType::Rgba);
    encoder.set_animated(2, 0).unwrap();
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&first.pixels).unwrap();
    writer.write_image_data(&[9; 400]).unwrap();
    writer.finish().unwrap();
    let expected = Opened { picture: first.clone(), losses: frames(1) };
    assert_eq!(decode(Cursor::new(&file)).unwrap(), expected);

    // The still picture that stands in for an animation is none of its frames.
    let mut file = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut file, 10, 10);
    encoder.set_color(::png::ColorType::Rgba);
    encoder.set_animated(2, 0).unwrap();
    encoder.set_sep_def_img(true).unwrap();
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&first.pixels).unwrap();
    writer.write_image_data(&[8; 400]).unwrap();
    writer.write_image_data(&[9; 400]).unwrap();
    writer.finish().unwrap();
    let expected = Opened { picture: first.clone(), losses: frames(2) };
    assert_eq!(decode(Cursor::new(&file)).unwrap(), expected);

    // A still WebP's one chunk, put into the frames of an animated one.
    let frame = |pixels: &[u8]| {
        let still = to_bytes(Format::WebP, &Picture { pixels: pixels.to_vec(), ..first.clone() });
        let place = [0, 0, 0, 0, 0, 0, 9, 0, 0, 9, 0, 0, 100, 0, 0, 0b10];
        chunk(b"ANMF", &[&place, &still[12..]].concat())
    };
    let header = chunk(b"VP8X", &[0b0001_0010, 0, 0, 0, 9, 0, 0, 9, 0, 0]);
    let chunks = [header, chunk(b"ANIM", &[0; 6]), frame(&first.pixels), frame(&[9; 400])].concat();
    let file = chunk(b"RIFF", &[b"WEBP", chunks.as_slice()].concat());
    let opened = decode(Cursor::new(&file)).unwrap();
    assert_eq!(opened.picture.pixels[..4 * 9], first.pixels[..4 * 9]);
    assert_eq!(opened.losses, frames(1));
}

fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut chunk = [name, (data.len() as u32).to_le_bytes().as_slice(), data].concat();
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}

#[test]
fn jpeg_kinds() {
    use jpeg_encoder::{ColorType, SamplingFactor};

    #[track_caller]
    fn check(
        color: ColorType,
        pixel: &[u8],
        change: fn(&mut jpeg_encoder::Encoder<&mut Vec<u8>>),
        expected: &[u8],
    ) {
        let mut file = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut file, 95);
        change(&mut encoder);
        encoder.encode(&pixel.repeat(24 * 20), 24, 20, color).unwrap();
        let picture = from_bytes(&file).unwrap();
        let close = picture.pixels.iter().zip(expected.repeat(24 * 20)).all(|(a, b)| a.abs_diff(b) <= 3);
        assert!(close, "{color:?}: {:?}, not {expected:?}", &picture.pixels[..expected.len()]);
        assert_eq!(picture.pixels.len(), 24 * 20 * expected.len());
    }
    check(ColorType::Luma, &[77], |_| (), &[77]);
    check(ColorType::Rgb, &[200, 30, 90], |_| (), &[200, 30, 90]);
    check(ColorType::Rgb, &[200, 30, 90], |encoder| encoder.set_progressive(true), &[200, 30, 90]);
    check(ColorType::Rgb, &[200, 30, 90], |encoder| encoder.set_restart_interval(2), &[200, 30, 90]);
    check(ColorType::Rgb, &[9, 9, 9], |encoder| encoder.set_sampling_factor(SamplingFactor::F_2_2), &[9; 3]);
    check(ColorType::Rgb, &[9, 9, 9], |encoder| encoder.set_sampling_factor(SamplingFactor::F_2_1), &[9; 3]);
    check(ColorType::Cmyk, &[0, 0, 0, 0], |_| (), &[255, 255, 255]);
    check(ColorType::CmykAsYcck, &[255, 0, 0, 0], |_| (), &[0, 255, 255]);
}

#[test]
fn jpeg_of_several_scans_is_decoded() {
    let mut file = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut file, 95);
    encoder.set_optimized_huffman_tables(true);
    encoder.encode(&[200; 300], 10, 10, jpeg_encoder::ColorType::Rgb).unwrap();
    let close = from_bytes(&file).unwrap().pixels.iter().all(|sample| sample.abs_diff(200) <= 1);
    assert!(close, "{file:?}");
}

/// A big-endian TIFF with these tags and this data behind them. A value is what it is, or where the data lie.
fn tiff(tags: &[(u16, u16, &[u16])], data: &[u8]) -> Vec<u8> {
    let data_at = 8 + 2 + 12 * tags.len() + 4;
    let values_at = data_at + data.len();
    let mut file = b"MM\0\x2a\0\0\0\x08".to_vec();
    let mut values = Vec::new();
    file.extend((tags.len() as u16).to_be_bytes());
    for &(tag, kind, numbers) in tags {
        let count = if kind == 5 { 1 } else { numbers.len() as u32 };
        file.extend([tag.to_be_bytes(), kind.to_be_bytes()].concat());
        file.extend(count.to_be_bytes());
        let bytes: Vec<u8> = match kind {
            // Offsets into the data.
            4 => numbers.iter().flat_map(|&at| (data_at as u32 + u32::from(at)).to_be_bytes()).collect(),
            5 => numbers.iter().flat_map(|&number| u32::from(number).to_be_bytes()).collect(),
            _ => numbers.iter().flat_map(|number| number.to_be_bytes()).collect(),
        };
        if bytes.len() <= 4 {
            file.extend(&bytes);
            file.resize(file.len() + 4 - bytes.len(), 0);
        } else {
            file.extend(((values_at + values.len()) as u32).to_be_bytes());
            values.extend(bytes);
        }
    }
    file.extend([0; 4]);
    file.extend(data);
    file.extend(values);
    file
}

#[test]
fn tiff_kinds() {
    /// The tags that all have: sizes, bits, photometric interpretation, and strips or tiles with their lengths.
    #[track_caller]
    fn check(
        (width, height): (u16, u16),
        tags: &[(u16, u16, &[u16])],
        data: &[u8],
        expected: Result<(Channels, Depth, &[u8]), &str>,
    ) {
        let sizes = [(256, 3, &[width] as &[u16]), (257, 3, &[height])];
        let mut tags = [&sizes, tags].concat();
        tags.sort_by_key(|(tag, ..)| *tag);
        match (from_bytes(&tiff(&tags, data)), expected) {
            (Ok(picture), Ok((channels, depth, pixels))) => assert_is(&picture, channels, depth, pixels),
            (Err(problem), Err(expected)) => assert!(problem.to_string().contains(expected), "{problem}"),
            (found, expected) => panic!("{found:?}, not {expected:?}"),
        }
    }
    const BITS: u16 = 258;
    const PHOTOMETRIC: u16 = 262;
    const STRIPS: u16 = 273;
    const SAMPLES: u16 = 277;
    const ROWS: u16 = 278;
    const LENGTHS: u16 = 279;
    const PLANES: u16 = 284;
    const EXTRA: u16 = 338;

    let one_strip = |rows, length| [(STRIPS, 4, [0].as_slice()), (ROWS, 3, rows), (LENGTHS, 3, length)];

    // Grey of few bits, black or white being 0.
    let tags = |photometric, bits, length| {
        [&[(PHOTOMETRIC, 3, photometric), (BITS, 3, bits)], one_strip(&[2], length).as_slice()].concat()
    };
    let grey = |pixels: &'static [u8]| Ok((Channels::Grey, Depth::U8, pixels));
    check((3, 2), &tags(&[1], &[1], &[2]), &[0b1010_0000, 0b0110_0000], grey(&[255, 0, 255, 0, 255, 255]));
    check((3, 2), &tags(&[0], &[1], &[2]), &[0b1010_0000, 0b0110_0000], grey(&[0, 255, 0, 255, 0, 0]));
    check((3, 1), &tags(&[1], &[4], &[2]), &[0x0f, 0x30], grey(&[0, 255, 51]));
    check((2, 1), &tags(&[0], &[8], &[2]), &[0, 55], grey(&[255, 200]));
    let sixteen = native(&[0x0102, 0x0304]);
    check((2, 1), &tags(&[1], &[16], &[4]), &[1, 2, 3, 4], Ok((Channels::Grey, Depth::U16, &sixteen)));

    // Planes, and alpha that is multiplied in.
    let rgb = [(PHOTOMETRIC, 3, [2].as_slice()), (BITS, 3, &[8, 8, 8]), (SAMPLES, 3, &[3])];
    let planes =
        [(STRIPS, 4, [0, 2, 4].as_slice()), (ROWS, 3, &[1]), (LENGTHS, 3, &[2, 2, 2]), (PLANES, 3, &[2])];
    let expected = Ok((Channels::Rgb, Depth::U8, [1, 3, 5, 2, 4, 6].as_slice()));
    check((2, 1), &[rgb.as_slice(), &planes].concat(), &[1, 2, 3, 4, 5, 6], expected);
    let rgba = [(PHOTOMETRIC, 3, [2].as_slice()), (BITS, 3, &[8, 8, 8, 8]), (SAMPLES, 3, &[4])];
    for (extra, expected) in [(1, [200, 100, 0, 51]), (2, [40, 20, 0, 51])] {
        let extra = [extra];
        let tags = [rgba.as_slice(), &one_strip(&[1], &[4]), &[(EXTRA, 3, extra.as_slice())]].concat();
        check((1, 1), &tags, &[40, 20, 0, 51], Ok((Channels::Rgba, Depth::U8, &expected)));
    }

    // Tiles of 16 x 16, of which only a part is picture.
    let tile = [(322, 3, [16].as_slice()), (323, 3, &[16]), (324, 4, &[0]), (325, 3, &[256])];
    let tags = [[(PHOTOMETRIC, 3, [1].as_slice()), (BITS, 3, &[8])].as_slice(), &tile].concat();
    let data: Vec<u8> = (0..=255).collect();
    check((3, 2), &tags, &data, grey(&[0, 1, 2, 16, 17, 18]));

    // Inks: of 8 bits, and of 16.
    let cmyk = [(PHOTOMETRIC, 3, [5].as_slice()), (BITS, 3, &[8, 8, 8, 8]), (SAMPLES, 3, &[4])];
    let tags = [cmyk.as_slice(), &one_strip(&[1], &[4])].concat();
    check((1, 1), &tags, &[0, 51, 255, 51], Ok((Channels::Rgb, Depth::U8, &[204, 163, 0])));
    let cmyk = [(PHOTOMETRIC, 3, [5].as_slice()), (BITS, 3, &[16, 16, 16, 16]), (SAMPLES, 3, &[4])];
    let tags = [cmyk.as_slice(), &one_strip(&[1], &[8])].concat();
    let light = native(&[65535, 32767, 0]);
    check((1, 1), &tags, &[0, 0, 128, 0, 255, 255, 0, 0], Ok((Channels::Rgb, Depth::U16, &light)));

    // Told, not guessed.
    let palette = [(PHOTOMETRIC, 3, [3].as_slice()), (BITS, 3, &[8])];
    check((1, 1), &[palette.as_slice(), &one_strip(&[1], &[1])].concat(), &[0], Err("can't be read"));
}

#[test]
fn tiff_orientation_and_resolution() {
    let tags: [(u16, u16, &[u16]); 11] = [
        (256, 3, &[2]),
        (257, 3, &[1]),
        (258, 3, &[8]),
        (262, 3, &[1]),
        (273, 4, &[0]),
        (274, 3, &[6]),
        (278, 3, &[1]),
        (279, 3, &[2]),
        (282, 5, &[100, 1]),
        (283, 5, &[50, 1]),
        (296, 3, &[3]),
    ];
    let picture = from_bytes(&tiff(&tags, &[7, 8])).unwrap();
    assert_eq!((picture.raster.width(), picture.raster.height()), (1, 2));
    assert_eq!(picture.pixels, [7, 8]);
    assert_eq!(picture.metadata.resolution, Resolution::per_inch(127.0, 254.0));
}

#[test]
fn jpeg_icc_comes_in_pieces_of_any_order() {
    let piece = |number: u8, count: u8, data: &[u8]| {
        let payload = [b"ICC_PROFILE\0".as_slice(), &[number, count], data].concat();
        [&[0xff, 0xe2], (payload.len() as u16 + 2).to_be_bytes().as_slice(), &payload].concat()
    };
    let icc = icc(60);
    let (first, second) = icc.split_at(20);
    let still = to_bytes(Format::Jpeg, &picture(8, 8, Channels::Rgb, Depth::U8));
    let check = |pieces: &[Vec<u8>], expected: Option<&[u8]>| {
        let file = [&still[..2], &pieces.concat(), &still[2..]].concat();
        assert_eq!(from_bytes(&file).unwrap().metadata.icc.as_deref(), expected);
    };
    check(&[piece(1, 1, &icc)], Some(&icc));
    check(&[piece(1, 2, first), piece(2, 2, second)], Some(&icc));
    check(&[piece(2, 2, second), piece(1, 2, first)], Some(&icc));
    check(&[piece(2, 2, second)], None);
    check(&[piece(1, 2, first), piece(1, 2, first)], None);
    check(&[piece(0, 0, &icc)], None);
}

#[test]
fn formats_are_told_by_name_and_by_content() {
    for format in Format::ALL {
        for extension in format.extensions() {
            assert_eq!(Format::from_path(Path::new(&format!("a.b.{extension}"))), Some(format));
            assert_eq!(Format::from_path(Path::new(&extension.to_uppercase())), None);
        }
        assert_eq!(
            Format::of(&to_bytes(format, &picture(1, 1, Channels::Rgb, Depth::U8))[..12]),
            Some(format)
        );
    }
    assert_eq!(Format::from_path(Path::new("A.JPG")), Some(Format::Jpeg));
    assert_eq!(Format::from_path(Path::new("a.gif")), None);
    assert_eq!(Format::of(b"GIF89a"), None);
}
