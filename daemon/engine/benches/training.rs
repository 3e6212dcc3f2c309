//! A step of training, forward and backward, and the products behind it:
//!
//! ```text
//! RAYON_NUM_THREADS=2 cargo bench --package utsushi-engine --bench training
//! ```
//!
//! With `PYTHON`, an interpreter that has torch, PyTorch takes the same steps, each after one of ours
//! (`tests/bench/training.py`). Medians; read the ratios, since machines differ.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::VarBuilder;
use utsushi_engine::arch::brush::{Sizes, TrainableBrush};
use utsushi_engine::differentiable::WholeConv;
use utsushi_kernels::{ConvWeights, Cpu, Shape};

/// As in the daemon.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 15;
const BATCH: usize = 4;
const SIDES_PX: [usize; 2] = [128, 144];

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let weights = variables(&folder.join("../styles/cel.safetensors")).expect("the built-in style's weights");
    let mut pytorch = std::env::var_os("PYTHON").map(|python| {
        let script = folder.join("../../tests/bench/training.py");
        let threads = rayon::current_num_threads().to_string();
        let mut command = Command::new(python);
        command.arg(script).arg(threads).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.spawn().expect("PYTHON starts")
    });
    println!("{} threads, medians of {ROUNDS}", rayon::current_num_threads());
    for side in SIDES_PX {
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        for round in 0..=ROUNDS {
            let seconds = (step(&weights, side).expect("a step"), pytorch.as_mut().map(|p| ask(p, side)));
            // The first is for warming up.
            if round > 0 {
                ours.push(seconds.0);
                theirs.extend(seconds.1);
            }
        }
        let ours = median(ours);
        print!("step, {BATCH} x {side} x {side}: {:.1} ms", ours * 1e3);
        if !theirs.is_empty() {
            let theirs = median(theirs);
            print!("; PyTorch {:.1} ms, {:.2} times as long", theirs * 1e3, theirs / ours);
        }
        println!();
    }
    for (rows, inputs, outputs, kernel) in
        [(64, 64, 64, 3), (32, 48, 96, 1), (16, 96, 192, 1), (128, 12, 12, 3)]
    {
        products(Shape::new(rows, rows, inputs), outputs, kernel);
    }
    if let Some(mut pytorch) = pytorch {
        drop(pytorch.stdin.take());
        pytorch.wait().expect("PyTorch ends");
    }
}

fn variables(path: &Path) -> Result<HashMap<String, Var>> {
    let weights = candle_core::safetensors::load(path, &Device::Cpu)?.into_iter();
    weights
        .filter(|(name, _)| !name.starts_with("thumbnail."))
        .map(|(name, weight)| Ok((name, Var::from_tensor(&weight.to_dtype(DType::F32)?)?)))
        .collect()
}

/// Seconds that forward and backward take.
fn step(weights: &HashMap<String, Var>, side: usize) -> Result<f64> {
    let value = |i: usize| ((i * 7919 % 1000) as f32 / 500.0) - 1.0;
    let pictures: Vec<f32> = (0..BATCH * side * side * 3).map(value).collect();
    let pictures = Tensor::from_vec(pictures, (BATCH, side, side, 3), &Device::Cpu)?;
    let tensors = weights.iter().map(|(name, weight)| (name.clone(), weight.as_tensor().clone())).collect();
    let network = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    let network = TrainableBrush::load(Sizes::default(), 1, &network)?;
    let shares = Tensor::new(&[1.0f32], &Device::Cpu)?;
    let start = Instant::now();
    let loss = (network.forward(&pictures, &shares)? * 0.5)?.abs()?.mean_all()?;
    let gradients = loss.backward()?;
    let seconds = start.elapsed().as_secs_f64();
    assert!(weights.values().all(|weight| gradients.get(weight).is_some()));
    Ok(seconds)
}

/// What PyTorch says it took.
fn ask(pytorch: &mut Child, side: usize) -> f64 {
    writeln!(pytorch.stdin.as_mut().expect("its input"), "{BATCH} {side}").expect("PyTorch listens");
    let mut answer = String::new();
    // Byte by byte, so that nothing of the next answer is taken.
    let mut output = BufReader::with_capacity(1, pytorch.stdout.as_mut().expect("its output"));
    output.read_line(&mut answer).expect("PyTorch answers");
    answer.trim().parse().expect("seconds")
}

/// GFLOP/s of a convolution and of its gradients.
fn products(shape: Shape, outputs: usize, kernel: usize) {
    let (cpu, conv) = (Cpu::detect(), WholeConv::same(kernel));
    let x = vec![0.5; BATCH * shape.len()];
    let gradient = vec![0.5; BATCH * shape.rows * shape.cols * outputs];
    let (weight, bias) = (vec![0.1; outputs * shape.channels * kernel * kernel], vec![0.0; outputs]);
    let weights = ConvWeights { weight: &weight, bias: &bias };
    let flops = 2.0 * (BATCH * shape.len() * outputs * kernel * kernel) as f64;
    let rate = |run: &dyn Fn()| {
        let seconds = |_| {
            let start = Instant::now();
            (0..5).for_each(|_| run());
            start.elapsed().as_secs_f64() / 5.0
        };
        flops / median((0..ROUNDS).map(seconds).collect()) / 1e9
    };
    let forward = rate(&|| drop(conv.forward(cpu, weights, &x, shape)));
    let input = rate(&|| drop(conv.input_gradient(cpu, weights, &gradient, shape)));
    let weight = rate(&|| drop(conv.weight_gradients(cpu, &x, shape, &gradient, outputs)));
    println!(
        "{kernel}x{kernel} of {BATCH} x {} x {} x {} to {outputs}, GFLOP/s: forward {forward:.0}, input's gradient \
         {input:.0}, weights' gradient {weight:.0}",
        shape.rows, shape.cols, shape.channels
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
