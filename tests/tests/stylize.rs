//! Pictures through the real client and the real daemon.

use std::ops::ControlFlow;

use utsushi::library::{ImportOverrides, Library};
use utsushi::picture;
use utsushi_engine::style_file::StyleFile;
use utsushi_engine::{self as engine, BrushScale, Grain, Settings, Stylizer};
use utsushi_ipc::client::{Client, ClientError};
use utsushi_ipc::pixels::{Channels, Depth, Raster};
use utsushi_ipc::protocol::{
    BrushSize, FaultKind, MAX_SEED, Place, Priority, Profile, StyleShare, StylizeSpec,
};
use utsushi_tests::daemon::Daemon;
use utsushi_tests::pictures::{drawn, enlarged, mean_difference, sample};

fn share(id: &str, share: f32) -> StyleShare {
    StyleShare { id: id.to_owned(), share }
}

fn spec(raster: Raster) -> StylizeSpec {
    StylizeSpec {
        raster,
        mix: vec![share("cel", 1.0)],
        strength: 1.0,
        brush_size: BrushSize::Auto,
        keep_colours: 0.0,
        seed: 0,
        grain: 1.0,
        place: None,
        priority: Priority::Interactive,
        profile: Profile::default(),
    }
}

fn stylize(client: Client, spec: &StylizeSpec, pixels: &[u8]) -> Result<(Client, Vec<u8>), ClientError> {
    let row_bytes = spec.raster.row_bytes();
    let mut result = Vec::new();
    let source = |first: u32, _: u32, rows: &mut [u8]| {
        // A picture that is refused may be announced larger than it is.
        let from = (first as usize * row_bytes).min(pixels.len());
        let count = rows.len().min(pixels.len() - from);
        rows[..count].copy_from_slice(&pixels[from..from + count]);
        Ok(())
    };
    let sink = |_: u32, _: u32, rows: &[u8]| {
        result.extend_from_slice(rows);
        Ok(())
    };
    let (client, _) = client.stylize(spec, source, sink, |_| ControlFlow::Continue(()))?;
    Ok((client, result))
}

/// What the engine makes of a picture without a daemon, all rows at once.
fn directly(spec: &StylizeSpec, pixels: &[u8]) -> Vec<u8> {
    let styles = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../daemon/styles");
    let file = StyleFile::open(&styles.join("cel.safetensors")).expect("the built-in style");
    let (width, height) = (spec.raster.width(), spec.raster.height());
    let settings = Settings {
        width: width as usize,
        height: height as usize,
        layout: match spec.raster.format().channels {
            Channels::Grey => engine::Layout::Grey,
            Channels::GreyAlpha => engine::Layout::GreyAlpha,
            Channels::Rgb => engine::Layout::Rgb,
            Channels::Rgba => engine::Layout::Rgba,
        },
        depth: match spec.raster.format().depth {
            Depth::U8 => engine::Depth::U8,
            Depth::U16 => engine::Depth::U16,
            Depth::F32 => engine::Depth::F32,
        },
        strength: spec.strength,
        keep_colours: spec.keep_colours,
        brush: BrushScale::new(spec.brush_factor()).expect("a scale"),
        grain: Grain { seed: spec.seed, strength: spec.grain },
        place: spec.place.map(|Place { x, y, width, height }| engine::Place {
            x: x as usize,
            y: y as usize,
            width: width as usize,
            height: height as usize,
        }),
    };
    let mut result = Vec::new();
    let mixture = vec![(file.generator(&[1.0]).expect("a network"), 1.0)];
    Stylizer::new(&mixture, settings).push(pixels, &mut result).expect("the network runs");
    result
}

#[test]
fn the_daemon_draws_what_the_engine_draws_in_every_format_and_twice_the_same() {
    let daemon = Daemon::start();
    let mut client = daemon.client();
    for channels in [Channels::Grey, Channels::GreyAlpha, Channels::Rgb, Channels::Rgba] {
        for depth in [Depth::U8, Depth::U16, Depth::F32] {
            // The last is sent in many bands, and reduced.
            for (width, height, brush_size) in [(1, 1, 1.0), (1, 90, 1.0), (77, 53, 1.0), (1500, 300, 6.0)] {
                let (raster, pixels) = drawn(width, height, channels, depth);
                let spec =
                    StylizeSpec { brush_size: BrushSize::Factor(brush_size), strength: 0.9, ..spec(raster) };
                let (again, first) = stylize(client, &spec, &pixels).expect("a picture");
                let (again, second) = stylize(again, &spec, &pixels).expect("a picture");
                client = again;
                assert!(first == directly(&spec, &pixels), "{spec:?}: not what the engine draws");
                assert!(first == second, "{spec:?}: not the same twice");
            }
        }
    }
}

/// A part of a picture, from `x` and `y` on.
fn cut(raster: Raster, pixels: &[u8], (x, y): (u32, u32), (width, height): (u32, u32)) -> Vec<u8> {
    let pixel_bytes = raster.format().pixel_bytes();
    let rows = pixels.chunks_exact(raster.row_bytes()).skip(y as usize).take(height as usize);
    rows.flat_map(|row| &row[x as usize * pixel_bytes..][..width as usize * pixel_bytes]).copied().collect()
}

/// Draws a whole picture, and of it the part from `x` and `y` on, which must be the same, but for a margin where it was
/// cut out. Gives how many pixels were compared.
fn check_part(
    client: Client,
    whole: &StylizeSpec,
    pixels: &[u8],
    (x, y): (u32, u32),
    margin: u32,
) -> (Client, u32) {
    let raster = whole.raster;
    let (width, height) = (raster.width(), raster.height());
    let (client, expected) = stylize(client, whole, pixels).expect("a picture");
    let (part_width, part_height) = (width - x, height - y);
    let part = StylizeSpec {
        raster: Raster::new(part_width, part_height, raster.format()).expect("a raster"),
        place: Some(Place { x, y, width, height }),
        ..whole.clone()
    };
    let source = cut(raster, pixels, (x, y), (part_width, part_height));
    let (client, found) = stylize(client, &part, &source).expect("a picture");
    let (left, top) = (if x > 0 { margin } else { 0 }, if y > 0 { margin } else { 0 });
    let size = (part_width - left, part_height - top);
    let found = cut(part.raster, &found, (left, top), size);
    assert!(found == cut(raster, &expected, (x + left, y + top), size), "{part:?}");
    (client, size.0 * size.1)
}

#[test]
fn parts_are_drawn_as_in_the_whole() {
    let daemon = Daemon::start();
    let mut client = daemon.client();
    let mut compared = 0;
    // And what is enough of a margin.
    for ((width, height), place, brush_size, margin, channels) in [
        ((400, 390), (13, 9), BrushSize::Factor(1.0), 166, Channels::Rgb),
        ((450, 480), (5, 22), BrushSize::Factor(1.0), 166 + 72, Channels::Rgba),
        ((900, 60), (101, 0), BrushSize::Factor(2.5), 420, Channels::Rgb),
        // 1.2 by itself, though the part alone would have 1.
        ((2000, 755), (333, 0), BrushSize::Auto, 202, Channels::Grey),
    ] {
        let (raster, pixels) = drawn(width, height, channels, Depth::U8);
        let whole = StylizeSpec { brush_size, mix: vec![share("paint", 1.0)], ..spec(raster) };
        let (next, count) = check_part(client, &whole, &pixels, place, margin);
        compared += count;
        client = next;
    }
    assert!(compared > 100_000, "{compared} pixels");
}

/// Adds a style with noise to the daemon's: a small network that was never trained.
fn add_noisy_style(daemon: &Daemon) {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/data/goldens/tiny-brush2.safetensors");
    let bytes = std::fs::read(golden).expect("a golden");
    let (length, rest) = bytes.split_first_chunk::<8>().expect("a header");
    let (header, weights) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let mut header: serde_json::Value = serde_json::from_slice(header).expect("a header");
    let styles = serde_json::json!([{
        "id": "noisy", "name": "Noisy", "author": "", "licence": "private", "attribution": "", "training": ""
    }]);
    header["__metadata__"] = serde_json::json!({
        "format": "utsushi-style",
        "format_version": "1",
        "arch": "brush-2",
        "sizes": r#"{"c1":8,"c2":16,"blocks":[1,2,1],"ch":8,"cf":5}"#,
        "styles": styles.to_string(),
    });
    let header = header.to_string();
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), weights].concat();
    std::fs::create_dir_all(daemon.styles()).expect("a folder");
    std::fs::write(daemon.styles().join("noisy.safetensors"), bytes).expect("written");
}

#[test]
fn a_seed_gives_one_picture_and_grain_weakens_what_it_moves() {
    let daemon = Daemon::start();
    add_noisy_style(&daemon);
    let (raster, pixels) = drawn(300, 200, Channels::Rgb, Depth::U8);
    let noisy = StylizeSpec { mix: vec![share("noisy", 1.0)], ..spec(raster) };
    let paint = |spec: &StylizeSpec| stylize(daemon.client(), spec, &pixels).expect("a picture").1;
    let with = |seed, grain| paint(&StylizeSpec { seed, grain, ..noisy.clone() });
    let first = with(0, 1.0);
    assert!(first == with(0, 1.0), "the same seed, the same picture");
    let plain = with(0, 0.0);
    assert!(plain == with(MAX_SEED, 0.0), "without grain there is nothing to move");
    for other in [with(1, 1.0), with(MAX_SEED, 1.0)] {
        assert!(other != first && other != plain, "another seed, another picture");
    }
    let (weak, strong) = (mean_difference(&with(0, 0.3), &plain), mean_difference(&first, &plain));
    assert!(0.0 < weak && weak < strong, "{weak} with a third of the grain, {strong} with all of it");
    // Styles without noise don't know seeds.
    let still = StylizeSpec { mix: vec![share("paint", 1.0)], ..spec(raster) };
    assert!(paint(&still) == paint(&StylizeSpec { seed: 7, grain: 0.5, ..still.clone() }));

    let mut client = daemon.client();
    let styles = client.styles().expect("styles");
    let reach_px = styles.iter().find(|style| style.id == "noisy").expect("the style").reach_px;
    for (brush_size, place) in [(1.0, (13, 5)), (1.0, (0, 22)), (2.5, (101, 0)), (2.5, (17, 6))] {
        let margin = ((reach_px + 3) as f32 * brush_size).ceil() as u32;
        let (width, height) = (place.0 + margin + 100, place.1 + margin + 90);
        let (raster, pixels) = drawn(width, height, Channels::Rgb, Depth::U8);
        let whole =
            StylizeSpec { raster, brush_size: BrushSize::Factor(brush_size), seed: 7, ..noisy.clone() };
        client = check_part(client, &whole, &pixels, place, margin).0;
    }
}

#[test]
fn a_photograph_becomes_a_drawing_of_itself() {
    let daemon = Daemon::start();
    let source = picture::read(&sample("astronaut.jpg")).expect("a picture");
    let (_, result) = stylize(daemon.client(), &spec(source.raster), &source.pixels).expect("a picture");
    let difference = mean_difference(&source.pixels, &result);
    assert!((4.0..40.0).contains(&difference), "mean difference {difference}");
    // Flatter than the photograph: fewer pixels differ a little from their neighbours.
    let roughness = |pixels: &[u8]| {
        let small = pixels.windows(4).filter(|w| (1..12).contains(&w[0].abs_diff(w[3]))).count();
        small as f64 / pixels.len() as f64
    };
    let (before, after) = (roughness(&source.pixels), roughness(&result));
    assert!(after < 0.95 * before, "roughness {before} before and {after} after");
}

#[test]
fn by_itself_the_brush_makes_1_and_26_megapixels_look_alike() {
    let daemon = Daemon::start();
    let sample = picture::read(&sample("astronaut.jpg")).expect("a picture");
    let (small, large) = (enlarged(&sample, 1024, 1024), enlarged(&sample, 5120, 5120));
    let (client, small_result) =
        stylize(daemon.client(), &spec(small.raster), &small.pixels).expect("a picture");
    let at = |client, brush_size| {
        let spec = StylizeSpec { brush_size, ..spec(large.raster) };
        let (client, result) = stylize(client, &spec, &large.pixels).expect("a picture");
        // The middle of each 5 x 5 pixels stands for the pixel of the small picture.
        let reduced: Vec<u8> = (0..1024 * 1024)
            .flat_map(|i| {
                let from = ((i / 1024 * 5 + 2) * 5120 + i % 1024 * 5 + 2) * 3;
                result[from..from + 3].to_vec()
            })
            .collect();
        (client, mean_difference(&reduced, &small_result))
    };
    let (client, auto) = at(client, BrushSize::Auto);
    let (_, other) = at(client, BrushSize::Factor(20.0));
    let drawn = mean_difference(&small.pixels, &small_result);
    assert!(
        auto < 0.25 * drawn && auto < 0.5 * other,
        "off by {auto}; brush size 20 by {other}; the style does {drawn}"
    );
}

#[test]
fn a_style_of_the_users_is_there_at_once_and_can_be_mixed() {
    let daemon = Daemon::start();
    let mut client = daemon.client();
    let library = Library::open(daemon.styles());
    let export = daemon.styles().with_extension("exported");
    library.export("cel", &export).expect("exported");
    let overrides = ImportOverrides { id: Some("mine".to_owned()), ..Default::default() };
    library.import(&export, &overrides).expect("imported");
    let (built_in, own): (Vec<_>, Vec<_>) =
        client.styles().expect("styles").into_iter().partition(|style| style.built_in);
    assert_eq!((&built_in[0].id[..], own.len(), &own[0].id[..]), ("anime", 1, "mine"));

    // The same network twice: whatever the shares, the mix is the style itself.
    let (raster, pixels) = drawn(60, 40, Channels::Rgb, Depth::U8);
    let mixed = StylizeSpec { mix: vec![share("cel", 3.0), share("mine", 1.0)], ..spec(raster) };
    let (client, result) = stylize(client, &mixed, &pixels).expect("a picture");
    assert!(mean_difference(&result, &directly(&spec(raster), &pixels)) < 0.01);

    library.remove("mine").expect("removed");
    let error = stylize(client, &mixed, &pixels).expect_err("the style is gone");
    assert!(error.to_string().contains("\"mine\"") && error.to_string().contains("cel"), "{error}");
}

#[test]
fn impossible_requests_say_why_and_the_daemon_goes_on() {
    let daemon = Daemon::start();
    let (raster, pixels) = drawn(50, 40, Channels::Rgb, Depth::U8);
    let good = spec(raster);
    let wide = Raster::new(200_000, 5000, raster.format()).expect("a raster");
    let outside = |x, y| Some(Place { x, y, width: raster.width(), height: raster.height() });
    let cases = [
        (StylizeSpec { strength: 7.0, ..good.clone() }, FaultKind::Invalid),
        (StylizeSpec { strength: f32::NAN, ..good.clone() }, FaultKind::Invalid),
        (StylizeSpec { keep_colours: -0.1, ..good.clone() }, FaultKind::Invalid),
        (StylizeSpec { brush_size: BrushSize::Factor(0.5), ..good.clone() }, FaultKind::Invalid),
        (StylizeSpec { brush_size: BrushSize::Factor(1e9), ..good.clone() }, FaultKind::Invalid),
        (StylizeSpec { grain: 7.0, ..good.clone() }, FaultKind::Invalid),
        (StylizeSpec { grain: f32::NAN, ..good.clone() }, FaultKind::Invalid),
        (StylizeSpec { seed: MAX_SEED + 1, ..good.clone() }, FaultKind::Invalid),
        (StylizeSpec { place: outside(1, 0), ..good.clone() }, FaultKind::Invalid),
        (StylizeSpec { place: outside(0, u32::MAX), ..good.clone() }, FaultKind::Invalid),
        (StylizeSpec { mix: vec![], ..good.clone() }, FaultKind::Invalid),
        (StylizeSpec { mix: vec![share("cel", 0.0)], ..good.clone() }, FaultKind::Invalid),
        (StylizeSpec { mix: vec![share("cel", f32::INFINITY)], ..good.clone() }, FaultKind::Invalid),
        (StylizeSpec { mix: vec![share("../cel", 1.0)], ..good.clone() }, FaultKind::UnknownStyle),
        (StylizeSpec { mix: vec![share("nothing", 1.0)], ..good.clone() }, FaultKind::UnknownStyle),
        // Its first rows are enough to hear that it would take too much memory.
        (StylizeSpec { brush_size: BrushSize::Factor(1.0), ..spec(wide) }, FaultKind::OutOfMemory),
    ];
    for (spec, kind) in cases {
        match stylize(daemon.client(), &spec, &pixels) {
            Err(ClientError::Fault(fault)) => assert_eq!(fault.kind, kind, "{spec:?}: {fault}"),
            Err(other) => panic!("{spec:?}: {other}"),
            Ok(_) => panic!("{spec:?} was drawn"),
        }
    }
    let (_, result) = stylize(daemon.client(), &good, &pixels).expect("a picture");
    assert!(result == directly(&good, &pixels));
}

#[test]
fn very_wide_pictures_are_drawn() {
    let daemon = Daemon::start();
    let (raster, pixels) = drawn(100_000, 3, Channels::Rgb, Depth::U8);
    let spec = StylizeSpec { brush_size: BrushSize::Factor(4.0), ..spec(raster) };
    let (_, result) = stylize(daemon.client(), &spec, &pixels).expect("a picture");
    assert!(result == directly(&spec, &pixels));
}

#[test]
fn a_cancelled_picture_leaves_the_daemon_free() {
    let daemon = Daemon::start();
    let (raster, pixels) = drawn(1200, 1200, Channels::Rgba, Depth::F32);
    let row_bytes = raster.row_bytes();
    let source = |first: u32, _: u32, rows: &mut [u8]| {
        rows.copy_from_slice(&pixels[first as usize * row_bytes..][..rows.len()]);
        Ok(())
    };
    let cancelled =
        daemon.client().stylize(&spec(raster), source, |_, _, _| Ok(()), |_| ControlFlow::Break(()));
    assert!(matches!(cancelled, Err(ClientError::Cancelled)));
    let mut client = daemon.client();
    // A band is finished first; then nothing is left of the picture.
    while client.status().expect("a status").running > 0 {
        std::thread::yield_now();
    }
    let (raster, pixels) = drawn(30, 30, Channels::Rgb, Depth::U8);
    stylize(client, &spec(raster), &pixels).expect("a picture");
}

#[test]
fn unloading_frees_the_network_and_the_next_picture_loads_it_again() {
    let daemon = Daemon::start();
    let (raster, pixels) = drawn(30, 30, Channels::Rgb, Depth::U8);
    let mut client = daemon.client();
    assert!(client.status().expect("a status").loaded.is_empty());
    let (mut client, first) = stylize(client, &spec(raster), &pixels).expect("a picture");
    let status = client.status().expect("a status");
    assert_eq!((status.loaded, status.finished), (vec!["cel".to_owned()], 1));
    assert!(status.device.starts_with("CPU") && status.resident_bytes > 1 << 20);
    client.unload().expect("unloaded");
    assert!(client.status().expect("a status").loaded.is_empty());
    let (_, second) = stylize(client, &spec(raster), &pixels).expect("a picture");
    assert!(first == second);
}
