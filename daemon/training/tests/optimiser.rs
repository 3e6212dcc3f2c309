//! Adam against PyTorch's (`tests/reference` makes the golden), and what else moves weights.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Result, Tensor};
use utsushi_engine::arch::brush::{Sizes, TrainableBrush, Version};
use utsushi_training::optimiser::{
    Adam, Average, Gradients, Parameters, Schedule, Tensors, brush_weights, usual_weights,
};

fn golden(name: &str) -> Tensors {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    let tensors = candle_core::safetensors::load(path.with_extension("safetensors"), &Device::Cpu);
    tensors.expect("a golden").into_iter().collect()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().and_then(|t| t.to_vec1()).expect("values")
}

/// Those whose names begin so, without it.
fn part(tensors: &Tensors, prefix: &str) -> Tensors {
    tensors.iter().filter_map(|(k, v)| Some((k.strip_prefix(prefix)?.to_owned(), v.clone()))).collect()
}

/// The gradients that a loss has whose gradients they are.
fn gradients(parameters: &Parameters, wanted: &Tensors) -> Gradients {
    let products = || -> Result<Gradients> {
        let product = |(name, variable): (&String, &candle_core::Var)| {
            variable.as_tensor().mul(&wanted[name])?.sum_all()
        };
        let products = parameters.iter().map(product).collect::<Result<Vec<_>>>()?;
        Gradients::of(parameters, &Tensor::stack(&products, 0)?.sum_all()?.backward()?)
    };
    products().expect("gradients")
}

#[test]
fn adam_is_pytorchs() {
    check_adam("adam", [0.5, 0.99]);
    check_adam("adam_without_momentum", [0.0, 0.99]);
}

fn check_adam(name: &str, betas: [f64; 2]) {
    let golden = golden(name);
    let parameters = Parameters::from_tensors(&part(&golden, "start.")).expect("parameters");
    let mut adam = Adam::new(betas);
    for (i, rate) in values(&golden["rates"]).into_iter().enumerate() {
        let gradients = gradients(&parameters, &part(&golden, &format!("gradient.{i}.")));
        adam.step(&parameters, &gradients, rate.into()).expect("a step");
        for (name, want) in part(&golden, &format!("after.{i}.")) {
            let got = values(&parameters.tensors().expect("values")[&name]);
            for (got, want) in got.iter().zip(values(&want)) {
                assert!((got - want).abs() < 1e-6, "step {i}, {name}: {got}, not {want}");
            }
        }
        // What it remembers goes through tensors without a change.
        let saved = adam.tensors().expect("moments");
        adam = Adam::restored(betas, adam.steps(), &saved, &parameters).expect("moments that fit");
    }
    let strange = Tensors::from([("first.c".to_owned(), golden["rates"].clone())]);
    assert!(Adam::restored(betas, 0, &strange, &parameters).is_err());
    assert!(Adam::restored(betas, 3, &Tensors::new(), &parameters).is_err());
}

#[test]
fn gradients_are_shortened_together() {
    let start = Tensors::from([
        ("a".to_owned(), Tensor::new(&[0.0f32, 0.0], &Device::Cpu).expect("a tensor")),
        ("b".to_owned(), Tensor::new(&[0.0f32], &Device::Cpu).expect("a tensor")),
    ]);
    let parameters = Parameters::from_tensors(&start).expect("parameters");
    let wanted = Tensors::from([
        ("a".to_owned(), Tensor::new(&[2.0f32, -3.0], &Device::Cpu).expect("a tensor")),
        ("b".to_owned(), Tensor::new(&[6.0f32], &Device::Cpu).expect("a tensor")),
    ]);
    for (most, factor) in [(3.5, 0.5), (7.0, 1.0), (100.0, 1.0)] {
        let mut gradients = gradients(&parameters, &wanted);
        assert!((gradients.clip(most) - 7.0).abs() < 1e-9, "the norm before");
        assert_eq!(gradients.get("a"), Some(&[2.0 * factor, -3.0 * factor][..]), "to {most}");
        assert_eq!(gradients.get("b"), Some(&[6.0 * factor][..]), "to {most}");
    }
}

#[test]
fn the_average_follows() {
    let at = |value: f32| {
        Tensors::from([("a".to_owned(), Tensor::new(&[value], &Device::Cpu).expect("a tensor"))])
    };
    let parameters = Parameters::from_tensors(&at(0.0)).expect("parameters");
    let mut average = Average::new(0.5, &parameters).expect("an average");
    parameters.set(&at(1.0)).expect("a value");
    let mut got = Vec::new();
    for _ in 0..11 {
        average.step(&parameters).expect("a step");
        got.push(values(&average.tensors().expect("values")["a"])[0]);
    }
    let mut want = 0.0f32;
    for (i, got) in got.into_iter().enumerate() {
        let t = (i + 1) as f32;
        want += (1.0 - (t / (t + 10.0)).min(0.5)) * (1.0 - want);
        assert!((got - want).abs() < 1e-6, "step {t}: {got}, not {want}");
    }
}

#[test]
fn the_rate_rises_and_falls() {
    let schedule = Schedule { rate: 2.0, warm_up_steps: 4, last_share: 0.1 };
    for (step, done, want) in [(0, 0.0, 0.5), (3, 0.0, 2.0), (50, 0.5, 1.1), (99, 1.0, 0.2), (1, 0.5, 0.55)] {
        let got = schedule.at(step, done);
        assert!((got - want).abs() < 1e-9, "step {step}, {done}: {got}, not {want}");
    }
}

#[test]
fn weights_are_a_function_of_the_seed() {
    let make = |seed| {
        Parameters::initialised(seed, brush_weights, |weights| {
            TrainableBrush::load(Version::Two, Sizes::default(), 2, weights)
        })
        .expect("a network")
        .0
    };
    let tensors = |seed| -> BTreeMap<_, _> {
        make(seed).tensors().expect("tensors").iter().map(|(k, v)| (k.clone(), values(v))).collect()
    };
    let first = tensors(1);
    assert_eq!(first.len(), Sizes::default().tensor_count(Version::Two));
    assert!(first == tensors(1) && first != tensors(2));
    for (name, want) in [("e1.0.g", 0.2), ("e1.0.n.g", 1.0), ("n.b", 0.0), ("rgb.bias", 0.0)] {
        assert!(first[name].iter().all(|v| *v == want), "{name} is not {want}");
    }
    let deviation = |values: &[f32]| (values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32).sqrt();
    // Of a uniform distribution: its bound / sqrt(3).
    for (name, want) in [
        ("rgb.weight", 0.01),
        ("stem.weight", 1.0 / (9.0 * 48.0 * 3.0f32).sqrt()),
        ("stem.bias", 1.0 / (9.0 * 48.0 * 3.0f32).sqrt()),
        ("mid.5.dw.weight", 1.0 / (25.0 * 3.0f32).sqrt()),
        ("h2.weight", 0.5 * (2.0 / 24.0f32).sqrt()),
        ("mid.5.z", 0.05),
    ] {
        let got = deviation(&first[name]);
        assert!((got / want - 1.0).abs() < 0.2, "{name}: deviation {got}, not {want}");
    }
    // Of so few that nothing exact can be said.
    assert!((0.008..0.04).contains(&deviation(&first["zf"])), "{:?}", first["zf"]);
    // The four pixels that a channel becomes begin equal.
    let inputs = Sizes::default().c1;
    assert!(
        first["h1.weight"]
            .chunks_exact(4 * inputs)
            .all(|four| four.chunks(inputs).all(|one| one == &four[..inputs]))
    );
}

#[test]
fn weights_that_do_not_fit_are_refused() {
    let one = |weights: &candle_nn::VarBuilder| weights.get((2, 3, 1, 1), "layer.weight");
    let (parameters, tensor) = Parameters::initialised(7, usual_weights, one).expect("a tensor");
    assert_eq!(parameters.count(), 6);
    let named = |name: &str, dims: &[usize]| {
        Tensors::from([(name.to_owned(), Tensor::ones(dims, DType::F32, &Device::Cpu).expect("a tensor"))])
    };
    for (tensors, fits) in [
        (named("layer.weight", &[2, 3, 1, 1]), true),
        (named("layer.weight", &[6]), false),
        (named("layer.bias", &[2]), false),
        (Tensors::new(), false),
    ] {
        assert_eq!(parameters.set(&tensors).is_ok(), fits, "{tensors:?}");
    }
    // What was loaded from them sees the change.
    assert_eq!(values(&tensor), [1.0; 6]);
}
