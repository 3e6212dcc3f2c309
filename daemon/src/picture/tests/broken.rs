//! Files that are cut short, damaged, empty, or lie about their size.

use super::super::exif::Fields;
use super::*;

/// No file makes a decoder panic; one that would is reported as this.
fn is_a_panic(problem: &Problem) -> bool {
    problem.to_string().contains("of a kind that isn't supported")
}

fn rich(format: Format) -> Vec<u8> {
    let mut picture = picture(61, 43, Channels::Rgb, Depth::U8);
    let resolution = Resolution::per_inch(300.0, 300.0);
    picture.metadata = Metadata {
        icc: Some(icc(300)),
        exif: Some(Fields::default().with_resolution(resolution.unwrap()).to_exif()),
        resolution,
        ..Metadata::default()
    };
    to_bytes(format, &picture)
}

fn progressive() -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut file, 80);
    encoder.set_progressive(true);
    let picture = picture(61, 43, Channels::Rgb, Depth::U8);
    encoder.encode(&picture.pixels, 61, 43, jpeg_encoder::ColorType::Rgb).unwrap();
    file
}

/// A small deterministic generator.
fn random(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    (*state >> 33) as usize
}

#[test]
fn cut_short_is_refused() {
    for file in Format::ALL.map(rich).into_iter().chain([progressive()]) {
        assert_eq!(decode(Cursor::new(&file)).unwrap().losses, []);
        for length in 0..file.len() {
            let problem = match decode(Cursor::new(&file[..length])) {
                // All but the end mark of a JPEG; the pixels are the same, but for another decoder's rounding.
                Ok(opened) if file.len() - length <= 2 && opened.losses == [Loss::EndMark] => {
                    assert_close(&samples(&opened.picture), &samples(&from_bytes(&file).unwrap()), 0.02);
                    continue;
                }
                Ok(_) => panic!("{length} of {} bytes", file.len()),
                Err(problem) => problem,
            };
            let expected = matches!(problem, Problem::Broken { .. } | Problem::UnknownFormat);
            assert!(expected && !is_a_panic(&problem), "{length} of {} bytes: {problem}", file.len());
        }
    }
}

#[test]
fn a_jpeg_that_is_cut_short_and_closed_again_is_refused() {
    let file = to_bytes(Format::Jpeg, &picture(200, 150, Channels::Rgb, Depth::U8));
    let scan = file.windows(2).position(|bytes| bytes == [0xff, 0xda]).unwrap() + 14;
    for length in scan..file.len() - 64 {
        // Not between 0xff and the 0 that belongs to it.
        if file[length - 1] != 0xff {
            let closed = [&file[..length], &[0xff, 0xd9]].concat();
            assert!(from_bytes(&closed).is_err(), "{length} of {} bytes", file.len());
        }
    }
}

#[test]
fn damage_never_panics() {
    let mut state = 1;
    for file in Format::ALL.map(rich).into_iter().chain([progressive()]) {
        for _ in 0..2000 {
            let mut damaged = file.clone();
            for _ in 0..=random(&mut state) % 4 {
                // Half of the damage in the headers, where it does most.
                let range = if random(&mut state) < 1 << 30 { damaged.len() } else { damaged.len().min(200) };
                let at = random(&mut state) % range;
                damaged[at] = [0, 1, 0x7f, 0xff, random(&mut state) as u8][random(&mut state) % 5];
            }
            if let Err(problem) = from_bytes(&damaged) {
                assert!(!is_a_panic(&problem), "{problem}");
            }
        }
    }
}

#[test]
fn garbage_is_refused() {
    let mut state = 2;
    let heads: [&[u8]; 6] =
        [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\xff\0\0\0WEBP", b"II*\0", b"MM\0+"];
    for head in heads {
        for length in [0, 1, 20, 300] {
            let mut file = head.to_vec();
            file.extend((0..length).map(|_| random(&mut state) as u8));
            let problem = from_bytes(&file).unwrap_err();
            assert!(!is_a_panic(&problem), "{problem}");
        }
    }
}

#[test]
fn damaged_exif_is_read_with_care() {
    let mut fields = Fields::default();
    fields.exif.push(exif::Field { tag: 0xa002, kind: exif::kind::LONG, value: vec![1, 0, 0, 0] });
    fields.gps.push(exif::Field { tag: 1, kind: exif::kind::UNDEFINED, value: vec![7; 30] });
    let exif = fields.with_resolution(Resolution::per_inch(72.0, 72.0).unwrap()).to_exif();
    let try_all = |mut exif: Vec<u8>| {
        exif::orientation(&exif);
        exif::resolution(&exif);
        if let Some(fields) = Fields::of(&exif) {
            fields.to_exif();
        }
        exif::settle(&mut exif, 5, 6);
    };
    for length in 0..exif.len() {
        try_all(exif[..length].to_vec());
    }
    let mut state = 3;
    for _ in 0..20_000 {
        let mut damaged = exif.clone();
        for _ in 0..=random(&mut state) % 3 {
            let at = random(&mut state) % damaged.len();
            damaged[at] = [0, 0xff, random(&mut state) as u8][random(&mut state) % 3];
        }
        try_all(damaged);
    }
}

/// A PNG that tells of a size and has hardly any data.
fn png_of_size(width: u32, height: u32, color_type: u8) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([8, color_type, 0, 0, 0]);
    for (name, data) in [(b"IHDR", header.as_slice()), (b"IDAT", &[0x78, 1, 3, 0]), (b"IEND", &[])] {
        file.extend((data.len() as u32).to_be_bytes());
        let checked = [name, data].concat();
        file.extend(&checked);
        file.extend(crc(&checked).to_be_bytes());
    }
    file
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    })
}

/// A baseline JPEG whose header tells of another size.
fn jpeg_of_size(width: u16, height: u16) -> Vec<u8> {
    let mut file = to_bytes(Format::Jpeg, &picture(8, 8, Channels::Rgb, Depth::U8));
    let frame = file.windows(2).position(|bytes| bytes == [0xff, 0xc0]).unwrap();
    file[frame + 5..frame + 9].copy_from_slice(&[height.to_be_bytes(), width.to_be_bytes()].concat());
    file
}

/// A TIFF whose directory tells of another size, all in one strip.
fn tiff_of_size(width: u32, height: u32) -> Vec<u8> {
    let mut file = to_bytes(Format::Tiff, &picture(8, 8, Channels::Rgb, Depth::U8));
    for (tag, side) in [(256_u16, width), (257, height), (278, height)] {
        let entry = [tag.to_ne_bytes(), 4_u16.to_ne_bytes()].concat();
        let at = file.windows(4).position(|bytes| bytes == entry).unwrap();
        file[at + 8..at + 12].copy_from_slice(&side.to_ne_bytes());
    }
    file
}

#[test]
fn sizes_are_checked_before_anything_else() {
    #[track_caller]
    fn check(file: Vec<u8>, expected: &str) {
        let problem = from_bytes(&file).unwrap_err();
        assert!(problem.to_string().contains(expected), "{problem}");
        assert!(!is_a_panic(&problem), "{problem}");
    }
    check(png_of_size(0, 10, 2), "PNG");
    check(png_of_size(10, 0, 2), "PNG");
    check(png_of_size(100_000, 100_000, 2), "100000 x 100000 pixels: at most");
    check(png_of_size(300_000, 1, 0), "300000 x 1 pixels: at most");
    check(png_of_size(u32::MAX, u32::MAX, 6), "");
    check(png_of_size(100_000, 10_000, 2), "broken or cut short");
    check(png_of_size(46_000, 46_000, 6), "MiB of memory");
    check(jpeg_of_size(0, 8), "JPEG");
    check(jpeg_of_size(8, 0), "JPEG");
    check(jpeg_of_size(65_500, 65_500), "65500 x 65500 pixels: at most");
    check(jpeg_of_size(60_000, 20_000), "too few data for its size");
    check(jpeg_of_size(400, 300), "broken or cut short");
    check(tiff_of_size(0, 8), "TIFF");
    check(tiff_of_size(8, 0), "TIFF");
    check(tiff_of_size(100_000, 100_000), "100000 x 100000 pixels: at most");
    check(tiff_of_size(20_000, 20_000), "broken or cut short");
}

#[test]
fn what_cannot_be_read_says_why() {
    #[track_caller]
    fn check(path: &Path, expected: &str) {
        let error = read(path).unwrap_err().to_string();
        assert!(error.starts_with(&path.display().to_string()), "{error}");
        assert!(error.contains(expected), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    check(&path, "there is no such file or folder; check the name");
    check(folder.path(), "it is a folder");
    std::fs::write(&path, "").unwrap();
    check(&path, "is not a picture that Utsushi reads");
    std::fs::write(&path, &rich(Format::Jpeg)[..500]).unwrap();
    check(&path, "is broken or cut short (JPEG: it ends before its end mark); fetch or export it again");
}
