//! Real pictures, of the folder that UTSUSHI_DATA names; nothing is tested without it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use utsushi_training::data::{Crops, Found, Limits, Picture, Scan, Sheet, scan, split};
use utsushi_training::evaluate::{Judge, energy, pooled};
use utsushi_training::networks::vgg19::Vgg19;

fn data(folder: &str) -> Option<PathBuf> {
    let data = std::env::var_os("UTSUSHI_DATA");
    if data.is_none() {
        eprintln!("skipped: UTSUSHI_DATA doesn't name a folder of pictures");
    }
    data.map(|data| Path::new(&data).join(folder))
}

fn open(path: &Path) -> Result<Sheet, String> {
    let picture = image::open(path).map_err(|error| error.to_string())?.to_rgb8();
    let (width, height) = (picture.width(), picture.height());
    Ok(Picture { width, height, rgb: picture.into_raw() }.into())
}

fn scanned(folder: &Path, max_pictures: usize) -> Scan {
    let limits = Limits { long_side_px: 512, max_pictures };
    scan(folder, limits, &open, |_| ControlFlow::Continue(())).expect("scanned")
}

#[test]
fn no_picture_is_taken_for_another() {
    for folder in ["styles/vangogh", "styles/impressionist", "styles/peppercarrot", "photos/landscape"] {
        let Some(folder) = data(folder) else { return };
        let scan = scanned(&folder, 1000);
        // Nobody put copies into these folders.
        let twins: Vec<_> =
            scan.skipped.iter().filter(|skipped| skipped.why.contains("same picture")).collect();
        assert!(twins.is_empty(), "{twins:?}");
    }
}

/// Crops of pictures as the networks take them.
fn crops(pictures: Vec<Found>, count: usize) -> Tensor {
    let size = 96;
    let crops = Crops::new(pictures.into_iter().map(|found| found.sheet.picture).collect(), 0.4..=0.5);
    let values = crops.batch(1, 0, count, size).remove(0);
    Tensor::from_vec(values, (count, size, size, 3), &Device::Cpu).expect("crops")
}

#[test]
fn art_is_told_from_photos() {
    let (Some(art), Some(photos)) = (data("styles/peppercarrot"), data("photos/everyday")) else { return };
    let weights = art.join("../../perceptual/vgg19_conv1_1-conv3_4.safetensors");
    let vgg = Vgg19::read(&weights, "relu3_1").expect("VGG19");
    let (one, other) = split(scanned(&art, 160).pictures, 80, 2);
    let (one, other) = (crops(one, 80), crops(other, 80));
    let photos = crops(scanned(&photos, 80).pictures, 80);

    let (art, rest) = (pooled(&vgg, &one).expect("pooled"), pooled(&vgg, &other).expect("pooled"));
    let halves = energy(&rest.scaled_as(&art), &art.scaled_as(&art));
    let judge = Judge::new(&vgg, &one, &photos).expect("a judge");
    let copies = judge.judge(&vgg, &photos).expect("judged");
    eprintln!("halves of the art: {halves:?}; photos: {copies:?}");
    assert!(halves.value < 0.2 * copies.distance, "{halves:?}");
    assert!(
        copies.distance > 2.0 * copies.distance_error && copies.distance > 10.0 * halves.standard_error,
        "{copies:?}, {halves:?}"
    );
    let alien = judge.judge(&vgg, &other).expect("judged");
    eprintln!("other pictures: {alien:?}");
    assert!(copies.content < 1e-6 && alien.content > 0.75, "{copies:?}, {alien:?}");
}
