//! Style files with fewer channels.

use std::path::Path;

use utsushi_engine::prune::{Picture, PruneError, PruneReport, Settings, prune};
use utsushi_engine::style_file::StyleFile;

const SIDE: usize = 72;

fn cel() -> StyleFile {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/styles/brush-1.safetensors");
    StyleFile::open(&path).expect("the style")
}

/// Soft waves of colour with hard edges across, each picture other ones.
fn picture(seed: usize) -> Vec<u8> {
    let value = |at: usize| {
        let (pixel, channel) = (at / 3, at % 3);
        let (y, x) = ((pixel / SIDE) as f32, (pixel % SIDE) as f32);
        let wave = |along: f32, length: usize| (along / length as f32 + channel as f32).sin();
        let edge = if ((x + y) as usize / (7 + seed)).is_multiple_of(2) { 30.0 } else { -30.0 };
        (128.0 + 50.0 * wave(x, 3 + seed) + 40.0 * wave(y, 5 + 2 * seed) + edge).clamp(0.0, 255.0) as u8
    };
    (0..SIDE * SIDE * 3).map(value).collect()
}

fn pruned(file: &StyleFile, keep: f64) -> Result<(StyleFile, PruneReport), PruneError> {
    let pictures: Vec<_> = (0..4).map(picture).collect();
    let pictures: Vec<_> = pictures.iter().map(|rgb| Picture { width: SIDE, height: SIDE, rgb }).collect();
    prune(file, Settings { keep }, &pictures)
}

/// Loses at most so much, and is a style file again, of this kind.
#[track_caller]
fn check(keep: f64, channels: usize, least_psnr_db: f64, arch: &str) {
    let file = cel();
    let (smaller, report) = pruned(&file, keep).expect("it can be pruned");
    assert_eq!(report.channels, [1776, channels], "{keep}");
    assert_eq!(report.psnr_db.len(), 2, "{keep}");
    let worst = report.worst_psnr_db();
    assert!(worst >= least_psnr_db, "{keep}: {worst} dB");
    assert_eq!(smaller.arch(), arch, "{keep}");
    assert_eq!(smaller.styles(), file.styles());
    let bytes = smaller.to_bytes().expect("bytes");
    assert_eq!(report.bytes[1], bytes.len());
    assert_eq!(StyleFile::parse(&bytes).expect("a style").arch(), arch);
    // Both convolutions of a channel, in half precision: a brush's outer channels are 24 to 96.
    let gone = (1776 - channels) * 2 * 2;
    assert!(report.bytes[0] >= report.bytes[1] + gone * 24, "{keep}: {:?}", report.bytes);
}

#[test]
fn fewer_channels_draw_almost_the_same() {
    check(1.0, 1776, f64::INFINITY, "brush-1");
    check(0.9, 1624, 45.0, "brush-1-pruned");
    check(0.5, 888, 45.0, "brush-1-pruned");
    check(0.01, 104, 35.0, "brush-1-pruned");
}

#[test]
fn what_was_pruned_can_be_pruned_again() {
    let (once, _) = pruned(&cel(), 0.75).expect("it can be pruned");
    let (twice, report) = pruned(&once, 0.5).expect("it can be pruned again");
    assert!(report.channels[1] * 2 <= report.channels[0] + 8 * 13, "{:?}", report.channels);
    assert!(twice.generator(&[1.0]).is_ok());
}

#[test]
fn what_cannot_be_pruned_says_why() {
    let small = Picture { width: 7, height: 100, rgb: &[0; 2100] };
    for keep in [0.0, -1.0, 1.01, f64::NAN] {
        assert!(matches!(pruned(&cel(), keep), Err(PruneError::Keep(_))), "{keep}");
    }
    for pictures in [&[][..], &[small]] {
        let error = prune(&cel(), Settings { keep: 0.5 }, pictures).expect_err("no pictures");
        assert!(matches!(error, PruneError::NoPictures), "{error}");
    }
}
