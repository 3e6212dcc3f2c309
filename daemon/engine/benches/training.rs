//! A step of training, forward and backward, and the products behind it:
//!
//! ```text
//! RAYON_NUM_THREADS=2 cargo bench --package utsushi-engine --bench training
//! ```
//!
//! With `PYTHON`, an interpreter that has torch, PyTorch takes the same steps, each after one of ours
//! (`tests/bench/training.py`). Medians; read the ratios, since machines differ. On a busy machine the seconds of
//! all cores together say more than those that pass.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::VarBuilder;
use utsushi_engine::Grain;
use utsushi_engine::arch::brush::{Sizes, TrainableBrush, Version};
use utsushi_kernels::backward::{Resulting, WholeConv};
use utsushi_kernels::{ConvWeights, Cpu, Shape};

/// As in the daemon.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 9;
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
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let step = step(&weights, side).expect("a step");
            let other = pytorch.as_mut().map(|pytorch| ask(pytorch, side));
            // The first is for warming up.
            if round > 0 {
                ours.push(step);
                theirs.extend(other);
            }
        }
        let (ours, name) = (median(ours), format!("step, {BATCH} x {side} x {side}"));
        println!("{name}: {:.1} ms, of all cores {:.1} ms", ours.passed * 1e3, ours.of_cores * 1e3);
        if !theirs.is_empty() {
            let theirs = median(theirs);
            println!(
                "  PyTorch: {:.1} ms, of all cores {:.1} ms",
                theirs.passed * 1e3,
                theirs.of_cores * 1e3
            );
            let ratio = (theirs.passed / ours.passed, theirs.of_cores / ours.of_cores);
            println!("  which is {:.2} and {:.2} times as long", ratio.0, ratio.1);
        }
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

/// Forward and backward.
fn step(weights: &HashMap<String, Var>, side: usize) -> Result<Seconds> {
    let value = |i: usize| ((i * 7919 % 1000) as f32 / 500.0) - 1.0;
    let pictures: Vec<f32> = (0..BATCH * side * side * 3).map(value).collect();
    let pictures = Tensor::from_vec(pictures, (BATCH, side, side, 3), &Device::Cpu)?;
    let tensors = weights.iter().map(|(name, weight)| (name.clone(), weight.as_tensor().clone())).collect();
    let network = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    let network = TrainableBrush::load(Version::Two, Sizes::default(), 1, &network)?;
    let shares = Tensor::new(&[1.0f32], &Device::Cpu)?;
    let start = Seconds::now();
    let loss = (network.forward(&pictures, &shares, &[Grain::default(); BATCH])? * 0.5)?.abs()?.mean_all()?;
    let gradients = loss.backward()?;
    let seconds = start.until_now();
    assert!(weights.values().all(|weight| gradients.get(weight).is_some()));
    Ok(seconds)
}

/// What PyTorch says it took.
fn ask(pytorch: &mut Child, side: usize) -> Seconds {
    writeln!(pytorch.stdin.as_mut().expect("its input"), "{BATCH} {side}").expect("PyTorch listens");
    let mut answer = String::new();
    // Byte by byte, so that nothing of the next answer is taken.
    let mut output = BufReader::with_capacity(1, pytorch.stdout.as_mut().expect("its output"));
    output.read_line(&mut answer).expect("PyTorch answers");
    let mut seconds = answer.split_whitespace().map(|text| text.parse().expect("seconds"));
    Seconds { passed: seconds.next().expect("two numbers"), of_cores: seconds.next().expect("two numbers") }
}

/// GFLOP a second of one core: of a convolution and of its gradients.
fn products(shape: Shape, outputs: usize, kernel: usize) {
    let (cpu, conv) = (Cpu::detect(), WholeConv::same(kernel));
    let x = vec![0.5; BATCH * shape.len()];
    let gradient = vec![0.5; BATCH * shape.rows * shape.cols * outputs];
    let (weight, bias) = (vec![0.1; outputs * shape.channels * kernel * kernel], vec![0.0; outputs]);
    let weights = ConvWeights { weight: &weight, bias: &bias };
    let flops = 2.0 * (BATCH * shape.len() * outputs * kernel * kernel) as f64;
    let repeat = (1e9 / flops).ceil() as usize;
    let rate = |run: &dyn Fn()| {
        let seconds = |_| {
            let start = Seconds::now();
            (0..repeat).for_each(|_| run());
            start.until_now()
        };
        flops * repeat as f64 / median((0..ROUNDS).map(seconds).collect()).of_cores / 1e9
    };
    let forward = rate(&|| drop(conv.forward(cpu, weights, &x, shape)));
    let result = Resulting { values: &[], gradient: &gradient };
    let input = rate(&|| drop(conv.input_gradient(cpu, weights, result, shape)));
    let weight = rate(&|| drop(conv.weight_gradients(cpu, &x, shape, result, outputs)));
    println!(
        "{kernel}x{kernel} of {BATCH} x {} x {} x {} to {outputs}, GFLOP/s of a core: forward {forward:.0}, input's \
         gradient {input:.0}, weights' gradient {weight:.0}",
        shape.rows, shape.cols, shape.channels
    );
}

#[derive(Clone, Copy)]
struct Seconds {
    passed: f64,
    /// That all threads ran.
    of_cores: f64,
}

impl Seconds {
    /// Since some moment.
    fn now() -> Self {
        static START: OnceLock<Instant> = OnceLock::new();
        let tasks = std::fs::read_dir("/proc/self/task").expect("Linux").flatten();
        let nanoseconds = |task: std::fs::DirEntry| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            text.split_whitespace().next().and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0)
        };
        let passed = START.get_or_init(Instant::now).elapsed().as_secs_f64();
        Self { passed, of_cores: tasks.map(nanoseconds).sum::<f64>() / 1e9 }
    }

    fn until_now(self) -> Self {
        let now = Self::now();
        Self { passed: now.passed - self.passed, of_cores: now.of_cores - self.of_cores }
    }
}

/// Of each number for itself.
fn median(values: Vec<Seconds>) -> Seconds {
    let middle = |number: fn(&Seconds) -> f64| {
        let mut numbers: Vec<f64> = values.iter().map(number).collect();
        numbers.sort_by(f64::total_cmp);
        numbers[numbers.len() / 2]
    };
    Seconds { passed: middle(|s| s.passed), of_cores: middle(|s| s.of_cores) }
}
