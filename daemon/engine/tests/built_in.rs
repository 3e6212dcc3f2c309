//! The styles that come with the program, and the networks that enlarge.

use std::path::Path;

use utsushi_engine::style_file::StyleFile;
use utsushi_engine::{Generator, Grain, Region};

/// What an even surface may vary by, as a standard deviation, of 255: less than anybody sees.
const UNSEEN: f32 = 2.0;

/// Those that paint even surfaces, too, and so with noise alone.
const PAINTERS: [&str; 3] = ["oil", "van-gogh", "impressionist"];

/// It shows its paper: so much of it in black, and less than anybody sees elsewhere.
const PRINT: (&str, f32) = ("ukiyo-e", 10.0);

/// What an even surface may be off by where it is enlarged, of 255.
const MOST_SHIFT: f32 = 2.0;

#[test]
fn even_surfaces_stay_even() {
    let colours = [[0.1; 3], [0.5; 3], [0.95; 3], [0.85, 0.65, 0.55], [0.45, 0.65, 0.9], [0.2, 0.4, 0.15]];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../styles");
    let files = std::fs::read_dir(folder).expect("the styles").map(|entry| entry.expect("a file").path());
    let files: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "safetensors")).collect();
    assert!(files.len() >= 4, "{files:?}");
    for path in files {
        let style = StyleFile::open(&path).expect("a style");
        let paints = PAINTERS.contains(&&style.styles()[0].id[..]);
        let is_print = style.styles()[0].id == PRINT.0;
        let style = style.generator(&[1.0]).expect("a network");
        for colour in colours {
            for strength in [0.0, 1.0] {
                let deviation = deviation(&*style, colour, Grain { seed: 0, strength });
                let is_black_paper = is_print && strength > 0.0 && colour == colours[0];
                let is_even = deviation < if is_black_paper { PRINT.1 } else { UNSEEN };
                let told = format!("{}: {colour:?}, grain {strength}: varies by {deviation}", path.display());
                assert!(is_even != (paints && strength > 0.0), "{told}");
            }
        }
    }
}

#[test]
fn even_surfaces_stay_as_they_are_when_they_are_enlarged() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../enlargers");
    for kind in ["photo", "drawing"] {
        let bytes = std::fs::read(folder.join(kind).with_extension("safetensors")).expect("a file");
        assert!(StyleFile::parse(&bytes).is_err(), "{kind}: it is no style");
        let file = StyleFile::parse_enlarger(&bytes).expect("an enlarger");
        assert!(
            StyleFile::parse_enlarger(&file.to_bytes().expect("bytes")).expect("the same").is_same(&file)
        );
        let network = file.generator(&[1.0]).expect("a network");
        for colour in
            [[0.0; 3], [0.1; 3], [0.5; 3], [1.0; 3], [0.85, 0.65, 0.55], [0.45, 0.65, 0.9], [0.2, 0.4, 0.15]]
        {
            let (side, mut drawn) = (24, Vec::new());
            let picture: Vec<f32> = colour.map(|v| v * 2.0 - 1.0).repeat(side * side);
            network
                .stream(Region::whole(side, side), Grain::default())
                .push(&picture, &mut drawn)
                .expect("it draws");
            let first = &drawn[..3];
            assert!(drawn.chunks_exact(3).all(|pixel| pixel == first), "{kind}: {colour:?} isn't even");
            let off = first.iter().zip(&picture).map(|(a, b)| (a - b).abs() * 127.5).fold(0.0, f32::max);
            assert!(off < MOST_SHIFT, "{kind}: {colour:?} is off by {off} of 255");
        }
    }
}

/// Of what an even picture becomes, inside, where no edge of the picture is near the finer layers; of 255.
fn deviation(style: &dyn Generator, colour: [f32; 3], grain: Grain) -> f32 {
    let (side, mut drawn) = (64, Vec::new());
    let picture: Vec<f32> = colour.map(|v| v * 2.0 - 1.0).repeat(side * side);
    style.stream(Region::whole(side, side), grain).push(&picture, &mut drawn).expect("it draws");
    let inside = (16..side - 16).flat_map(|y| (16..side - 16).map(move |x| y * side + x));
    let of_channel = |channel: usize| {
        let values = inside.clone().map(|at| drawn[at * 3 + channel]);
        let mean = values.clone().sum::<f32>() / values.clone().count() as f32;
        let square = values.clone().map(|v| (v - mean).powi(2)).sum::<f32>() / values.count() as f32;
        square.sqrt() * 127.5
    };
    (0..3).map(of_channel).fold(0.0, f32::max)
}
