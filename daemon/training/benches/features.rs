//! What looking at a batch costs, forward and back to the pictures: the small network against VGG19.
//!
//! ```text
//! RAYON_NUM_THREADS=1 cargo bench --package utsushi-training --bench features
//! ```
//!
//! Each takes its step after the other's. Seconds of all cores, as the threads ran: on a busy machine they say more
//! than those that pass. The weights are random, which costs the same.

use std::time::Instant;

use candle_core::{Device, Result, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use utsushi_training::networks::perceptual::{Features, Perceptual};
use utsushi_training::networks::vgg19::Vgg19;
use utsushi_training::optimiser::{Parameters, usual_weights};

/// As in the daemon.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 11;
const BATCH: usize = 4;
const SIDE_PX: usize = 144;

fn main() {
    let (_, ours) = Parameters::initialised(1, usual_weights, Perceptual::load).expect("a network");
    let (vgg, ours) = (vgg19().expect("a network"), ours);
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let pictures: Vec<f32> =
        (0..BATCH * SIDE_PX * SIDE_PX * 3).map(|_| random.random_range(-1.0..1.0)).collect();
    let pictures = Tensor::from_vec(pictures, (BATCH, SIDE_PX, SIDE_PX, 3), &Device::Cpu).expect("pictures");
    let networks: [(&str, &dyn Features); 2] = [("VGG19 to relu3_1", &vgg), ("ours", &ours)];
    let mut seconds = networks.map(|_| Vec::new());
    for round in 0..=ROUNDS {
        for ((_, network), seconds) in networks.iter().zip(&mut seconds) {
            let step = step(*network, &pictures).expect("a step");
            // The first is for warming up.
            if round > 0 {
                seconds.push(step);
            }
        }
    }
    println!(
        "{BATCH} x {SIDE_PX} x {SIDE_PX}, {} threads, medians of {ROUNDS}",
        rayon::current_num_threads()
    );
    let medians =
        seconds.map(|seconds| [0, 1, 2].map(|i| median(seconds.iter().map(|s: &[f64; 3]| s[i]).collect())));
    for ((name, _), [forward, both, passed]) in networks.iter().zip(medians) {
        let ms = |seconds: f64| seconds * 1e3;
        println!(
            "{name}: forward {:.0} ms, with backward {:.0} ms, passed {:.0} ms",
            ms(forward),
            ms(both),
            ms(passed)
        );
    }
    println!("which is 1 : {:.1}", medians[0][1] / medians[1][1]);
}

/// Random weights in a file, as it is usually had.
fn vgg19() -> Result<Vgg19> {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let mut tensors = std::collections::HashMap::new();
    let layers = [(1, 1, 64), (1, 2, 64), (2, 1, 128), (2, 2, 128), (3, 1, 256)];
    let mut inputs = 3;
    for (block, conv, outputs) in layers {
        let name = format!("block{block}_conv{conv}");
        let weight: Vec<f32> = (0..outputs * inputs * 9).map(|_| random.random_range(-0.05..0.05)).collect();
        tensors.insert(
            format!("{name}.weight"),
            Tensor::from_vec(weight, (outputs, inputs, 3, 3), &Device::Cpu)?,
        );
        tensors
            .insert(format!("{name}.bias"), Tensor::zeros(outputs, candle_core::DType::F32, &Device::Cpu)?);
        inputs = outputs;
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("vgg19.safetensors");
    candle_core::safetensors::save(&tensors, &path)?;
    Ok(Vgg19::read(&path, "relu3_1").expect("what was just written"))
}

/// Seconds of all cores for the features, and with the gradient of their sum; and those that passed.
fn step(network: &dyn Features, pictures: &Tensor) -> Result<[f64; 3]> {
    let (start, begun) = (seconds_of_cores(), Instant::now());
    let pictures = Var::from_tensor(pictures)?;
    let maps = network.forward(&pictures)?;
    let forward = seconds_of_cores() - start;
    let sums = maps.iter().map(Tensor::sum_all).collect::<Result<Vec<_>>>()?;
    let gradients = Tensor::stack(&sums, 0)?.sum_all()?.backward()?;
    assert!(gradients.get(&pictures).is_some());
    Ok([forward, seconds_of_cores() - start, begun.elapsed().as_secs_f64()])
}

/// That all threads have run so far.
fn seconds_of_cores() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux").flatten();
    let nanoseconds = |task: std::fs::DirEntry| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        text.split_whitespace().next().and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0)
    };
    tasks.map(nanoseconds).sum::<f64>() / 1e9
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
