//! Whole steps of both stages: what a training takes.
//!
//! ```text
//! VGG19=FILE RAYON_NUM_THREADS=2 cargo bench --package utsushi-training --bench steps
//! ```
//!
//! `DEVICE=cuda`, in a build with the feature `cuda`, measures a GPU, with larger batches.
//!
//! With `PYTHON`, an interpreter that has torch, PyTorch takes the same steps, in `f32` and in `bf16`, each after one
//! of ours (`tests/bench/steps.py`). Medians of the seconds that pass and of those of all cores; read the ratios, since
//! machines differ. Without `VGG19`, which isn't part of this project, only the first stage runs.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use utsushi_engine::differentiable::Place;
use utsushi_engine::{Device, DeviceChoice};
use utsushi_training::networks::vgg19::Vgg19;
use utsushi_training::recipe::{Course, Length, Preset, Recipe};
use utsushi_training::trainer::{Batches, Stage, Trainer, TrainingData};

/// As in the daemon.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 7;

/// What a step is of: its batch, and the sides of its crops.
#[derive(Clone)]
struct Size {
    batch: usize,
    side_px: usize,
    place: Place,
}

/// The same noise at every step.
struct Noise {
    versions: usize,
}

impl Batches for Noise {
    fn batch(&self, _: u64, _: u64, count: usize, size: usize) -> Vec<Vec<f32>> {
        let value = |i: usize| ((i * 7919 % 1000) as f32 / 500.0) - 1.0;
        (0..self.versions).map(|v| (0..count * size * size * 3).map(|i| value(i + v)).collect()).collect()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Imitation,
    Adversarial,
}

fn main() {
    utsushi_engine::prepare_process();
    let threads = rayon::current_num_threads();
    let device = std::env::var("DEVICE").unwrap_or_else(|_| "cpu".into());
    let choice: DeviceChoice = device.parse().expect("DEVICE");
    let place = Place::on(&Device::choose(choice).expect("the device is there"));
    let (batch, side_px) = if place.is_gpu() { (8, 256) } else { (4, 160) };
    assert_eq!(place.is_gpu(), choice != DeviceChoice::Cpu, "the GPU can't train");
    let size = Size { batch, side_px, place };
    let vgg = std::env::var_os("VGG19");
    let features = vgg.as_ref().map(|file| Arc::new(Vgg19::read(Path::new(file), "relu3_1").expect("VGG19")));
    let mut pytorch = std::env::var_os("PYTHON").zip(vgg.as_ref()).map(|(python, vgg)| {
        // Not where it was built: it may be run elsewhere (`packaging/cuda/measure`).
        let own = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it");
        let script = Path::new(&own).join("../../tests/bench/steps.py");
        let numbers = [threads, batch, side_px].map(|n| n.to_string());
        let mut command = Command::new(python);
        command.arg(script).args(numbers).arg(vgg).arg(&device).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.spawn().expect("PYTHON starts")
    });
    println!("{threads} threads, {batch} x {side_px} x {side_px}, on {device}, medians of {ROUNDS}");
    for (kind, name) in [(Kind::Imitation, "imitation"), (Kind::Adversarial, "adversarial")] {
        if kind != Kind::Imitation && features.is_none() {
            println!("{name}: not measured without VGG19");
            continue;
        }
        let features = features.clone().map(|features| features as _);
        let mut trainer = trainer(kind, features, size.clone());
        let mut rows = vec![Vec::new(), Vec::new(), Vec::new()];
        for round in 0..=ROUNDS {
            let mut step = vec![measured(|| drop(trainer.step().expect("a step")))];
            if let Some(pytorch) = pytorch.as_mut() {
                step.extend(["f32", "bf16"].map(|precision| ask(pytorch, name, precision)));
            }
            // The first is for warming up.
            if round > 0 {
                rows.iter_mut().zip(step).for_each(|(row, step)| row.push(step));
            }
        }
        for (who, row) in ["ours", "PyTorch f32", "PyTorch bf16"].into_iter().zip(rows) {
            if !row.is_empty() {
                let [passed, of_cores] = [0, 1].map(|i| median(row.iter().map(|step| step[i]).collect()));
                println!("{name}, {who}: {:.0} ms, of all cores {:.0} ms", passed * 1e3, of_cores * 1e3);
            }
        }
    }
    if let Some(mut pytorch) = pytorch {
        drop(pytorch.stdin.take());
        pytorch.wait().expect("PyTorch ends");
    }
}

/// Just before the stage's first step.
fn trainer(kind: Kind, features: Option<Arc<Vgg19Features>>, size: Size) -> Trainer {
    let Size { batch, side_px, place } = size;
    let mut recipe = Recipe::preset(Preset::Fast);
    let course = |course: &mut Course| {
        *course = Course { length: Length::Steps(1000), batch, crops_px: vec![side_px], ..course.clone() };
    };
    recipe.imitation.iter_mut().for_each(|stage| course(&mut stage.course));
    match (kind, &mut recipe.adversarial) {
        (Kind::Imitation, adversarial) => *adversarial = None,
        (_, Some(adversarial)) => {
            course(&mut adversarial.course);
            adversarial.statistics_batches = 1;
            recipe.imitation = None;
        }
        _ => {}
    }
    let art = Arc::new(Noise { versions: 1 }) as Arc<dyn Batches>;
    let data = TrainingData { photos: Arc::new(Noise { versions: 2 }), art: vec![art], features };
    let mut trainer = Trainer::new(recipe, data, None).expect("a trainer").in_place(place);
    if kind != Kind::Imitation {
        assert_eq!(trainer.step().expect("a step").stage, Stage::Measuring);
    }
    trainer
}

type Vgg19Features = dyn utsushi_training::networks::perceptual::Features + Send + Sync;

/// What PyTorch says it took.
fn ask(pytorch: &mut Child, stage: &str, precision: &str) -> [f64; 2] {
    writeln!(pytorch.stdin.as_mut().expect("its input"), "{stage} {precision}").expect("PyTorch listens");
    let mut answer = String::new();
    // Byte by byte, so that nothing of the next answer is taken.
    let mut output = BufReader::with_capacity(1, pytorch.stdout.as_mut().expect("its output"));
    output.read_line(&mut answer).expect("PyTorch answers");
    let mut seconds = answer.split_whitespace().map(|text| text.parse().expect("seconds"));
    [0; 2].map(|_| seconds.next().expect("two numbers"))
}

/// The seconds that pass, and those that all threads run.
fn measured(run: impl FnOnce()) -> [f64; 2] {
    let of_cores = || {
        let tasks = std::fs::read_dir("/proc/self/task").expect("Linux").flatten();
        let nanoseconds = |task: std::fs::DirEntry| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            text.split_whitespace().next().and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0)
        };
        tasks.map(nanoseconds).sum::<f64>() / 1e9
    };
    let (start, before) = (Instant::now(), of_cores());
    run();
    [start.elapsed().as_secs_f64(), of_cores() - before]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
