//! Losses and a discriminator's layers, their values and gradients, against PyTorch's (`tests/reference` makes the
//! goldens).

use std::path::Path;

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::VarBuilder;
use utsushi_engine::differentiable::{Maps, Place};
use utsushi_engine::{Device as Chosen, DeviceChoice};
use utsushi_kernels::Cpu;
use utsushi_training::losses::{
    Colours, Palette, chroma, colour, colour_distances, content, generator, gradient_l1, grey, hinge, l1,
    luminance, style, with_local_colour,
};
use utsushi_training::networks::feature_discriminator::FeatureDiscriminator;
use utsushi_training::networks::layer::{Layer, largest_singular_value};
use utsushi_training::networks::perceptual::Level;
use utsushi_training::optimiser::{Parameters, Tensors, usual_weights};

fn golden(name: &str) -> Tensors {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    let tensors = candle_core::safetensors::load(path.with_extension("safetensors"), &Device::Cpu);
    tensors.expect("a golden").into_iter().collect()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().and_then(|t| t.to_vec1()).expect("values")
}

/// Where losses are computed: `UTSUSHI_TEST_DEVICE`, or the processor.
fn place() -> Place {
    let asked = std::env::var("UTSUSHI_TEST_DEVICE");
    let choice = asked.map_or(DeviceChoice::Cpu, |text| text.parse().expect("UTSUSHI_TEST_DEVICE"));
    Place::on(&Chosen::choose(choice).expect("the device is there"))
}

#[track_caller]
fn assert_close(what: &str, got: &Tensor, want: &Tensor) {
    // On a GPU products are of TF32, and a discriminator's on some processors of bf16.
    let share = if place().is_gpu() { 5e-3 } else { 1e-4 };
    assert_within(what, got, want, share);
}

fn assert_within(what: &str, got: &Tensor, want: &Tensor, share: f32) {
    assert_eq!(got.dims(), want.dims(), "{what}");
    let (got, want) = (values(got), values(want));
    let largest = want.iter().fold(1e-6, |most, v| f32::max(most, v.abs()));
    let worst = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= share * largest, "{what}: off by {worst}, where the largest is {largest}");
}

/// The loss of one of the golden's tensors, and what the tensor changes in it.
fn check(golden: &Tensors, name: &str, of: &str, loss: impl Fn(&Tensor) -> Result<Tensor>) {
    let of = Var::from_tensor(&golden[of]).expect("a variable");
    let loss = loss(&of).expect("a loss");
    assert_close(name, &loss, &golden[name]);
    let gradients = loss.backward().expect("gradients");
    assert_close(name, gradients.get(&of).expect("a gradient"), &golden[&format!("{name}.gradient")]);
}

/// The same of a loss that is computed somewhere else.
fn check_maps(golden: &Tensors, name: &str, of: &str, loss: impl Fn(&Place, &Maps) -> Result<Vec<Maps>>) {
    check(golden, name, of, |x| {
        let place = place();
        let taken = place.take(&loss(&place, &place.bring(x)?)?)?;
        if let [coarse, fine] = &taken[..] { colour(coarse, fine, false) } else { Ok(taken[0].clone()) }
    });
}

#[test]
fn both_sides_of_the_game() {
    let golden = golden("adversarial");
    check(&golden, "hinge.real", "real", |real| hinge(real, &golden["fake"]));
    check(&golden, "hinge.fake", "fake", |fake| hinge(&golden["real"], fake));
    check(&golden, "hinge.generator", "fake", generator);
}

#[test]
fn losses_of_pictures() {
    let golden = golden("losses");
    let numbers = |name: &str| <[f32; 2]>::try_from(values(&golden[name])).expect("two numbers");
    let ([gain_u, gain_v], [shift_u, shift_v]) = (numbers("gain"), numbers("shift"));
    let matrix = [[1.0, 0.0, 0.0], [0.0, gain_u, 0.0], [0.0, 0.0, gain_v]];
    let palette = &Palette { matrix, shift: [0.0, shift_u, shift_v] };
    let targets = &golden["targets"];
    check_maps(&golden, "l1", "pictures", |place, x| Ok(vec![l1(x, &place.bring(targets)?)?]));
    check_maps(&golden, "gradient_l1", "pictures", |place, x| {
        Ok(vec![gradient_l1(x, &place.bring(targets)?)?])
    });
    check_maps(&golden, "total_variation", "pictures", |_, x| Ok(vec![x.total_variation()?]));
    check_maps(&golden, "colour", "pictures", |place, x| {
        Ok(colour_distances(x, &place.bring(targets)?, palette, false)?.into())
    });
    let of = |make: fn(&Maps) -> Result<Maps>| {
        let place = place();
        let made = place.bring(&golden["pictures"]).and_then(|x| place.take(&[make(&x)?]));
        made.expect("a picture").remove(0)
    };
    assert_close("luminance", &of(luminance), &golden["luminance"]);
    assert_close("chroma", &of(chroma), &golden["chroma"]);
    let grey = of(grey);
    for channel in 0..3 {
        assert_close("grey", &grey.narrow(3, channel, 1).expect("a channel"), &golden["luminance"]);
    }
}

#[test]
fn losses_of_features() {
    let golden = golden("losses");
    check_maps(&golden, "content", "maps", |place, maps| {
        Ok(vec![content(maps, &place.bring(&golden["maps.targets"])?)?])
    });
    let target = &golden["gram"];
    check(&golden, "style", "maps", |maps| {
        let place = place();
        let maps = place.bring(maps)?;
        style(&place.take(&[maps.gram()?, maps.gram()?])?, &[target.clone(), target.clone()])
    });
    assert!(style(std::slice::from_ref(target), &[]).is_err());
}

#[test]
fn palettes_move_towards_the_art() {
    let apart = |[y, u, v]: [f64; 3]| [[y * y, 0.0, 0.0], [0.0, u * u, 0.0], [0.0, 0.0, v * v]];
    let colours = |mean, covariance| Colours { mean, covariance };
    let photos = colours([-0.2, 0.1, 0.0], apart([0.4, 0.1, 0.2]));
    // Lights are yellow, and darks blue.
    let tinted = [[0.16, -0.03, 0.01], [-0.03, 0.02, 0.0], [0.01, 0.0, 0.04]];
    for (art, want) in [
        (photos, [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
        (colours([0.1, 0.2, -0.1], apart([0.4, 0.12, 0.2])), apart([1.0, 1.2f64.sqrt(), 1.0])),
        // Not more than this.
        (colours([0.0; 3], apart([0.01, 0.9, 0.2])), apart([0.4f64.sqrt(), 1.6f64.sqrt(), 1.0])),
        (colours([0.0; 3], tinted), [[f64::NAN; 3]; 3]),
    ] {
        let palette = Palette::new(photos, art, 0.7);
        // All of the way, where the palette goes 0.7 of it.
        let whole: [[f64; 3]; 3] = std::array::from_fn(|i| {
            std::array::from_fn(|j| (f64::from(palette.matrix[i][j]) - if i == j { 0.3 } else { 0.0 }) / 0.7)
        });
        for i in 0..3 {
            let moved = (0..3).map(|j| f64::from(palette.matrix[i][j]) * photos.mean[j]).sum::<f64>();
            let mean = photos.mean[i] + 0.7 * (art.mean[i] - photos.mean[i]);
            assert!((moved + f64::from(palette.shift[i]) - mean).abs() < 1e-6, "{art:?}: {palette:?}");
            for j in 0..3 {
                if want[i][j].is_nan() {
                    // The cloud becomes the art's.
                    let at = |a: usize, b: usize| whole[i][a] * photos.covariance[a][b] * whole[j][b];
                    let covariance = (0..9).map(|ab| at(ab / 3, ab % 3)).sum::<f64>();
                    assert!((covariance - art.covariance[i][j]).abs() < 3e-3, "{i} {j}: {covariance}");
                    assert!((whole[i][j] - whole[j][i]).abs() < 1e-6, "it turns nothing: {whole:?}");
                } else {
                    assert!((whole[i][j] - want[i][j]).abs() < 3e-3, "{art:?}: {whole:?}");
                }
            }
        }
    }
}

#[test]
fn layers_are_those_of_pytorch() {
    let golden = golden("layers");
    let close = |what: &str, got: &Tensor, want: &Tensor| {
        let rounds = Cpu::detect() != Cpu::detect().single();
        assert_within(what, got, want, if rounds { 0.1 } else { 1e-4 });
    };
    let is_weight = |name: &str| name.starts_with(|c: char| c.is_ascii_digit());
    let weights: Tensors =
        golden.iter().filter(|(name, _)| is_weight(name)).map(|(k, v)| (k.clone(), v.clone())).collect();
    let parameters = Parameters::from_tensors(&weights).expect("parameters");
    let shapes = [(6, 8, (1, 1)), (8, 10, (4, 2)), (10, 5, (4, 1)), (5, 1, (1, 1))];
    let scores = |weights: VarBuilder, features: &Tensor| -> Result<Tensor> {
        let mut x = Maps::from(features.clone()).pixel_norm()?;
        for (i, (inputs, outputs, shape)) in shapes.into_iter().enumerate() {
            let layer = Layer::load(&weights.pp(i), inputs, outputs, shape)?.normalised()?;
            x = if i == 3 { layer.linear() } else { layer }.forward(&x)?;
        }
        x.here().cloned()
    };
    let features = Var::from_tensor(&golden["features"]).expect("a variable");
    let trained = scores(parameters.trained(), &features).expect("scores");
    close("scores", &trained, &golden["scores"]);
    let gradients = trained.sqr().and_then(|s| s.sum_all()?.backward()).expect("gradients");
    close("features", gradients.get(&features).expect("a gradient"), &golden["gradient.features"]);
    for (name, variable) in parameters.iter() {
        let gradient = gradients.get(variable).unwrap_or_else(|| panic!("{name} has no gradient"));
        close(name, gradient, &golden[&format!("gradient.{name}")]);
    }
    // Frozen ones pass the gradient on, and get none.
    let frozen = scores(parameters.frozen(), &features).expect("scores");
    let gradients = frozen.sqr().and_then(|s| s.sum_all()?.backward()).expect("gradients");
    close("frozen", gradients.get(&features).expect("a gradient"), &golden["gradient.features"]);
    assert!(parameters.iter().all(|(_, variable)| gradients.get(variable).is_none()));
}

/// Also where the iteration's start is of no use: rows that cancel out, no weights at all.
#[test]
fn singular_values_are_found() {
    for (rows, want) in [
        ([[3.0f32, 4.0], [0.0, 0.0]], 5.0),
        ([[1.0, 0.0], [-1.0, 0.0]], 2f32.sqrt()),
        ([[2.0, 0.0], [0.0, 0.5]], 2.0),
        ([[0.0, 0.0], [0.0, 0.0]], 0.0),
    ] {
        let weight = Tensor::new(rows.map(Vec::from).to_vec(), &Device::Cpu).expect("a matrix");
        let got = largest_singular_value(&weight).and_then(|s| s.to_scalar::<f32>()).expect("a number");
        assert!((got - want).abs() < 1e-3, "{rows:?}: {got}, not {want}");
    }
}

/// Of weights like those at first, whose singular values lie closely together.
#[test]
fn singular_values_of_new_weights_are_pytorchs() {
    let golden = golden("singular");
    let uniform = |i: u64| {
        let x = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ (x >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        (x >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    for (name, rows, cols) in
        [("narrow", 64, 256), ("middle", 96, 1024), ("wide", 128, 1536), ("scores", 1, 1152)]
    {
        let weight: Vec<_> = (0..rows * cols).map(|i| uniform(i as u64)).collect();
        let weight = Tensor::from_vec(weight, (rows, cols), &Device::Cpu).expect("a matrix");
        let got = largest_singular_value(&weight).and_then(|s| s.to_scalar::<f32>()).expect("a number");
        let want = values(&golden[name])[0];
        assert!((got / want - 1.0).abs() < 2e-3, "{name}: {got}, not {want}");
    }
}

fn ones(shape: (usize, usize, usize, usize)) -> Maps {
    Tensor::ones(shape, DType::F32, &Device::Cpu).expect("maps").into()
}

#[test]
fn discriminators_score_patches() {
    let levels = [("a", 4, 1), ("b", 5, 1), ("c", 6, 2), ("d", 7, 4), ("e", 8, 4)]
        .map(|(name, channels, stride)| Level { name, channels, stride });
    assert_eq!(FeatureDiscriminator::levels(&levels), [1, 2, 4]);
    let load = |weights: &VarBuilder| FeatureDiscriminator::load(&levels, weights);
    let (parameters, network) = Parameters::initialised(1, usual_weights, load).expect("a network");
    assert!(parameters.iter().all(|(name, _)| name.starts_with("heads.b.")
        || name.starts_with("heads.c.")
        || name.starts_with("heads.e.")));
    let features: Vec<_> = levels
        .iter()
        .map(|level| {
            let size = 64 / level.stride;
            ones((2, size, size, level.channels))
        })
        .collect();
    let views = network.views(&features).expect("views");
    let scores = network.forward(&[&views]).expect("scores").concat();
    let dims: Vec<_> = scores.iter().map(|scores| scores.dims().to_vec()).collect();
    assert_eq!(dims, [[2, 16, 16, 1], [2, 8, 8, 1], [2, 4, 4, 1]]);
    assert!(network.views(&features[..3]).is_err());
}

#[test]
fn local_colour_has_no_palette() {
    let place = place();
    // Stripes of 4 pixels, in colours around another.
    let stripes = |colour: [f32; 3]| {
        let value =
            |i: usize| colour[i % 3] + if i / 3 % 8 < 4 { 0.1 } else { -0.1 } * [1.0, -1.0, 0.5][i % 3];
        let values: Vec<f32> = (0..32 * 32 * 3).map(value).collect();
        Tensor::from_vec(values, (1, 32, 32, 3), &Device::Cpu).expect("a picture")
    };
    let of = |make: &dyn Fn(&Maps) -> Result<Maps>, x: &Tensor| {
        let made = place.bring(x).and_then(|x| place.take(&[make(&x)?]));
        made.expect("a picture").remove(0)
    };
    let (one, other) = (stripes([0.2, 0.2, 0.2]), stripes([0.5, 0.1, 0.2]));
    let [one_seen, other_seen] = [&one, &other].map(|x| of(&with_local_colour, x));
    assert_close("luminance", &of(&luminance, &one_seen), &of(&luminance, &one));
    assert_close("of any palette", &of(&chroma, &one_seen), &of(&chroma, &other_seen));
    assert_close("colours of stripes", &of(&chroma, &one_seen), &of(&chroma, &one));
}
