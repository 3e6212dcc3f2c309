//! Enlarging: the network as it is trained, bands that don't show, and what becomes of alpha, of precision and of what
//! the network doesn't see.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use utsushi_engine::arch::Arch;
use utsushi_engine::arch::enlarger::{Sizes, TrainableEnlarger};
use utsushi_engine::{
    Depth, Device as Placement, DeviceChoice, EnlargeSettings, Enlargement, Generator, Grain, Layout, Region,
};

const TINY: Sizes = Sizes { c: 8, blocks: 2, cf: 4 };

/// Noise that is the same everywhere, within -1..1.
fn noise(seed: usize, len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 7 + seed * 13) as f32 * 12.9898).sin() * 43_758.547 % 1.0).collect()
}

/// The same weights each time, as large as those of a network that has learned.
fn weights() -> VarBuilder<'static> {
    let Sizes { c, blocks, cf } = TINY;
    let mut shapes: Vec<(String, Vec<usize>)> = Vec::new();
    let mut conv = |name: String, outputs: usize, inputs: usize, kernel: usize| {
        shapes.push((format!("{name}.weight"), vec![outputs, inputs, kernel, kernel]));
        shapes.push((format!("{name}.bias"), vec![outputs]));
    };
    conv("stem".into(), c, 3, 3);
    conv("h2".into(), 4 * cf, c, 1);
    conv("dw".into(), cf, cf + 3, 3);
    conv("rgb".into(), 3, cf, 3);
    for block in 0..blocks {
        conv(format!("body.{block}.dw"), c, 1, 5);
        conv(format!("body.{block}.p1"), 2 * c, c, 1);
        conv(format!("body.{block}.p2"), c, 2 * c, 1);
    }
    for block in 0..blocks {
        shapes.push((format!("body.{block}.g"), vec![1, c, 1, 1]));
        ["g", "b"].iter().for_each(|name| shapes.push((format!("body.{block}.n.{name}"), vec![1, c])));
    }
    ["g", "b"].iter().for_each(|name| shapes.push((format!("n2.{name}"), vec![1, c])));
    let tensor = |(seed, (name, shape)): (usize, (String, Vec<usize>))| {
        let values = noise(seed, shape.iter().product());
        let values: Vec<f32> = values.into_iter().map(|value| value * 0.4).collect();
        (name, Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor"))
    };
    let tensors: HashMap<_, _> = shapes.into_iter().enumerate().map(tensor).collect();
    VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu)
}

fn enlarger() -> Arc<dyn Generator> {
    let device = Placement::choose(DeviceChoice::Cpu).expect("there is a processor");
    Arch::Enlarger(TINY).load(&[1.0], &weights(), &device).expect("a network")
}

/// The whole picture in bands of these many rows, the last as often as is needed.
fn enlarged(settings: EnlargeSettings, source: &[u8], bands: &[usize]) -> Vec<u8> {
    let (mut enlargement, mut out, mut rest) = (Enlargement::new(&enlarger(), settings), Vec::new(), source);
    let row_bytes = source.len() / settings.height;
    let last = bands.last().expect("a band");
    let mut bands = bands.iter().chain(std::iter::repeat(last));
    while !rest.is_empty() {
        let bytes = bands.next().expect("a band") * row_bytes;
        let (rows, later) = rest.split_at(bytes.min(rest.len()));
        enlargement.push(rows, &mut out).expect("rows");
        rest = later;
    }
    out
}

fn settings(width: usize, height: usize, layout: Layout, depth: Depth, scale: usize) -> EnlargeSettings {
    EnlargeSettings { width, height, layout, depth, scale }
}

fn f32s(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_ne_bytes(*bytes)).collect()
}

fn u16s(bytes: &[u8]) -> Vec<u16> {
    bytes.as_chunks().0.iter().map(|bytes| u16::from_ne_bytes(*bytes)).collect()
}

#[test]
fn what_is_trained_is_what_is_drawn() {
    let trained = TrainableEnlarger::load(TINY, &weights()).expect("a network");
    for (width, height) in [(24, 16), (13, 21), (3, 2), (1, 1)] {
        let values = noise(5, width * height * 3);
        let pictures =
            Tensor::from_vec(values.clone(), (1, height, width, 3), &Device::Cpu).expect("a picture");
        let want = trained.redraw(&pictures.into()).expect("drawn");
        assert_eq!(want.dims(), [1, 2 * height, 2 * width, 3]);
        let want: Vec<f32> = want.here().and_then(|all| all.flatten_all()?.to_vec1()).expect("values");
        let mut drawn = Vec::new();
        enlarger()
            .stream(Region::whole(height, width), Grain::default())
            .push(&values, &mut drawn)
            .expect("drawn");
        assert_eq!(drawn.len(), want.len());
        let square: f64 = drawn.iter().zip(&want).map(|(a, b)| f64::from(a - b).powi(2)).sum();
        // Products may be rounded to bf16.
        let psnr = 10.0 * (4.0 / (square / want.len() as f64)).log10();
        assert!(psnr > 50.0, "{width} x {height}: {psnr:.1} dB");
    }
}

#[test]
fn bands_do_not_show() {
    for (width, height, layout, depth, scale) in [
        (37, 53, Layout::Rgb, Depth::U8, 2),
        (37, 53, Layout::Rgba, Depth::U16, 2),
        (16, 29, Layout::Grey, Depth::U8, 4),
        (21, 40, Layout::Rgba, Depth::F32, 4),
        (1, 7, Layout::GreyAlpha, Depth::U8, 4),
        (9, 1, Layout::Rgb, Depth::U16, 2),
        (1, 1, Layout::Rgba, Depth::U8, 4),
    ] {
        let settings = settings(width, height, layout, depth, scale);
        let channels = match layout {
            Layout::Grey => 1,
            Layout::GreyAlpha => 2,
            Layout::Rgb => 3,
            Layout::Rgba => 4,
        };
        let values = noise(3, width * height * channels).into_iter().map(f32::abs);
        let source: Vec<u8> = match depth {
            Depth::U8 => values.map(|v| (v * 255.0) as u8).collect(),
            Depth::U16 => values.flat_map(|v| ((v * 65535.0) as u16).to_ne_bytes()).collect(),
            Depth::F32 => values.flat_map(|v| (v * 1.5).to_ne_bytes()).collect(),
        };
        let whole = enlarged(settings, &source, &[height]);
        assert_eq!(whole.len(), source.len() * scale * scale, "{settings:?}");
        for bands in [&[1][..], &[2], &[7], &[height - height / 3, 1], &[1, height / 2 + 1, 3]] {
            assert!(enlarged(settings, &source, bands) == whole, "{settings:?} in bands of {bands:?}");
        }
    }
}

#[test]
fn what_is_even_stays_even() {
    // What shows through where it is transparent is a mean, which as a float may differ in its last bit.
    for (scale, depth, alpha) in
        [(2, Depth::U16, 0.6), (4, Depth::U16, 0.6), (2, Depth::F32, 1.0), (4, Depth::F32, 1.0)]
    {
        let pixel = [0.3, 0.5, 0.7, alpha];
        let (width, height) = (19, 23);
        let sample = |value: f32| match depth {
            Depth::U16 => ((value * 65535.0) as u16).to_ne_bytes().to_vec(),
            _ => value.to_ne_bytes().to_vec(),
        };
        let pixel: Vec<u8> = pixel.into_iter().flat_map(sample).collect();
        let settings = settings(width, height, Layout::Rgba, depth, scale);
        let drawn = enlarged(settings, &pixel.repeat(width * height), &[5]);
        let first = &drawn[..pixel.len()];
        assert!(drawn.chunks_exact(pixel.len()).all(|pixel| pixel == first), "{scale} {depth:?}");
        let alpha = 3 * pixel.len() / 4;
        assert_eq!(first[alpha..], pixel[alpha..], "{scale} {depth:?}");
    }
}

#[test]
fn alpha_is_enlarged_by_a_plain_filter() {
    // Alpha is a step, and the colours under nothing are others than those that can be seen.
    let (width, height) = (24, 12);
    let pixel = |i: usize| if i % width < width / 2 { [0, 0, 0, 0] } else { [200, 180, 160, 255] };
    let source: Vec<u8> = (0..width * height).flat_map(pixel).collect();
    let drawn = enlarged(settings(width, height, Layout::Rgba, Depth::U8, 2), &source, &[height]);
    let row: Vec<[u8; 4]> = drawn[..2 * width * 4].as_chunks().0.to_vec();
    let alphas: Vec<u8> = row.iter().map(|pixel| pixel[3]).collect();
    let edge = &alphas[width - 3..width + 3];
    // As Keys' cubic has it: 9 / 128, 26 / 128 on either side, and what is beyond is cut off.
    assert_eq!(edge, [0, 0, 52, 203, 255, 255], "{alphas:?}");
    assert!(
        alphas[..width - 3].iter().all(|alpha| *alpha == 0) && alphas[width + 3..].iter().all(|a| *a == 255)
    );
    // What can be seen a little of has no colour of what couldn't be seen.
    let opaque = enlarged(
        settings(width, height, Layout::Rgb, Depth::U8, 2),
        &[200, 180, 160].repeat(width * height),
        &[height],
    );
    let far = |a: u8, b: u8| a.abs_diff(b) > 24;
    let seen = row.iter().zip(opaque.as_chunks::<3>().0).filter(|(pixel, _)| pixel[3] > 0);
    for (pixel, opaque) in seen {
        assert!(!(0..3).any(|c| far(pixel[c], opaque[c])), "{pixel:?} for {opaque:?}");
    }
}

#[test]
fn precision_and_light_beyond_white_are_kept() {
    // A slope of less than a step of 8 bits a pixel is still one, at twice and at four times the size.
    let (width, height) = (64, 8);
    let slope: Vec<u8> =
        (0..width * height).flat_map(|i| (20_000 + i as u16 % 64 * 7).to_ne_bytes()).collect();
    for scale in [2, 4] {
        let drawn = u16s(&enlarged(settings(width, height, Layout::Grey, Depth::U16, scale), &slope, &[3]));
        let middle = &drawn[scale * width * scale * height / 2..][..scale * width];
        let different = middle.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(different > scale * width / 2, "{scale}: {middle:?}");
    }
    // Four times as bright as white, beside a grey.
    let light: Vec<u8> = (0..width * height)
        .flat_map(|i| [if i % width < 32 { 0.25f32 } else { 4.0 }; 3])
        .flat_map(f32::to_ne_bytes)
        .collect();
    let drawn = f32s(&enlarged(settings(width, height, Layout::Rgb, Depth::F32, 2), &light, &[height]));
    let grey = f32s(&enlarged(
        settings(width, height, Layout::Rgb, Depth::F32, 2),
        &0.25f32.to_ne_bytes().repeat(3 * width * height),
        &[height],
    ));
    let white = f32s(&enlarged(
        settings(width, height, Layout::Rgb, Depth::F32, 2),
        &1f32.to_ne_bytes().repeat(3 * width * height),
        &[height],
    ));
    let (far_left, far_right) = (3 * 8, 3 * 120);
    for c in 0..3 {
        assert_eq!(drawn[far_left + c], grey[far_left + c]);
        let want = 4.0 * white[far_right + c];
        assert!((drawn[far_right + c] - want).abs() < 1e-4, "{} for {want}", drawn[far_right + c]);
    }
}
