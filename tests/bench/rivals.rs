//! Our engine beside OpenVINO, ONNX Runtime and PyTorch, on the same networks:
//!
//! ```text
//! cargo bench --package utsushi-tests --bench rivals
//! cargo bench --package utsushi-tests --bench rivals -- --sizes 512,1024 --threads 2 --engines openvino
//! ```
//!
//! Makes a Python environment of its own (`target/rivals`, from `requirements.txt`; some 2 GB), writes the built-in
//! style as ONNX, and lets the engines draw the same picture in turn, each in a process of its own. With
//! `UTSUSHI_DATA` it does the same for AnimeGANv2.
//!
//! Rivals get whole pictures, ours gets bands as the daemon does.
//!
//! On NVIDIA's GPUs, with `--features cuda`, and with `UTSUSHI_DATA` unset:
//!
//! ```text
//! cargo bench --package utsushi-tests --features cuda --bench rivals -- --device cuda --sizes 1080p,12mp --threads 4
//! ```
//!
//! `packaging/cuda/measure` prepares that for a machine without Rust.

use std::io::{BufRead, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use utsushi_engine::style_file::{StyleFile, StyleMeta};
use utsushi_engine::weights::Weights;
use utsushi_engine::{BrushScale, Depth, Device, Grain, Layout, Mixture, Region, Settings, Stylizer};
use utsushi_tests::measure::peak_mb;

// As in the daemon.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bench");
const STYLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../daemon/styles/cel.safetensors");

const GRAIN: Grain = Grain { seed: 0, strength: 0.0 };

#[derive(Parser)]
struct Arguments {
    /// 512, 1024, 1080p, 12mp
    #[arg(long, value_delimiter = ',', default_value = "512,1024,12mp")]
    sizes: Vec<String>,
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    threads: Vec<usize>,
    /// openvino, openvino-f32, onnxruntime, torch, torch-bf16, torch-compiled; torch-f16 on GPUs [default: all]
    #[arg(long, value_delimiter = ',')]
    engines: Vec<String>,
    /// A style file of a brush: brush-2's noise is at 0, as rivals have it, but computed
    #[arg(long, default_value = STYLE)]
    style: PathBuf,
    #[arg(long, default_value_t = 11)]
    rounds: usize,
    /// A Python with the packages of requirements.txt, instead of an environment of its own
    #[arg(long)]
    python: Option<PathBuf>,
    /// cpu or cuda
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Only write the network as ONNX
    #[arg(long, value_name = "FILE", hide = true)]
    onnx: Option<PathBuf>,
    /// What a process of ours is told: network, style, size, threads, file for the result, part
    #[arg(long, num_args = 6, hide = true)]
    worker: Option<Vec<String>>,
    /// What cargo tells every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(worker) = &arguments.worker {
        let [network, style, size, threads, out, part] = &worker[..] else {
            unreachable!("clap counts them")
        };
        return draw(network, Path::new(style), size, threads.parse()?, Path::new(out), part);
    }
    let write = |file: &Path| {
        let style = StyleFile::open(&arguments.style)?;
        anyhow::Ok(style.save_onnx(&style.styles()[0].id, file)?)
    };
    if let Some(file) = &arguments.onnx {
        return write(file);
    }
    let folder = tempfile::tempdir()?;
    let python = match &arguments.python {
        Some(python) => python.clone(),
        None => environment()?,
    };
    let model = folder.path().join("brush.onnx");
    write(&model)?;
    arguments.compare(&python, "brush", &model, &arguments.style, folder.path())?;
    let Some(data) = std::env::var_os("UTSUSHI_DATA") else {
        println!("\nskipped: AnimeGANv2, whose weights are looked for in UTSUSHI_DATA");
        return Ok(());
    };
    let style = Path::new(&data).join("parity/animeganv2_hayao_dequant.safetensors");
    let model = folder.path().join("animegan2.onnx");
    run(Command::new(&python).arg(format!("{FOLDER}/rivals.py")).arg("export").arg(&style).arg(&model))?;
    arguments.compare(&python, "animegan2", &model, &style, folder.path())
}

impl Arguments {
    fn compare(&self, python: &Path, network: &str, model: &Path, style: &Path, folder: &Path) -> Result<()> {
        let mut command = Command::new(python);
        command.arg(format!("{FOLDER}/rivals.py")).args(["compare", network]).args([model, style]);
        command.arg(std::env::current_exe()?).arg(folder);
        command.args(["--sizes", &serde_json::to_string(&self.sizes)?]);
        command.args(["--threads", &serde_json::to_string(&self.threads)?]);
        command.args(["--rounds", &self.rounds.to_string(), "--device", &self.device]);
        if !self.engines.is_empty() {
            command.args(["--engines", &serde_json::to_string(&self.engines)?]);
        }
        run(&mut command)
    }
}

/// A Python with the rivals in it.
fn environment() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rivals");
    let python = folder.join("bin/python");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    }
    let requirements = format!("{FOLDER}/requirements.txt");
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--requirement", &requirements]))?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<()> {
    let status = command
        .env("PYTHONWARNINGS", "ignore")
        .status()
        .with_context(|| format!("{:?} can't be run", command.get_program()))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// Draws whenever a line comes, and answers with the seconds; at the end, with the most memory it has had, in MB.
///
/// `part`: `stylizer`, from samples to samples as the daemon does; or `generator`, the network alone.
fn draw(network: &str, style: &Path, size: &str, threads: usize, out: &Path, part: &str) -> Result<()> {
    utsushi_engine::prepare_process();
    utsushi_engine::start_threads(NonZeroUsize::new(threads))?;
    let device = std::env::var("UTSUSHI_DEVICE").unwrap_or_else(|_| "cpu".into());
    let device = Device::choose(device.parse().map_err(anyhow::Error::msg)?)?;
    let file = match network {
        "brush" => StyleFile::open(style)?,
        _ => StyleFile::from_weights(Weights::read(&std::fs::read(style)?)?, anonymous())?,
    };
    let generator = file.generator_on(&device, &[1.0])?;
    let (height, width) = match size {
        "512" => (512, 512),
        "1024" => (1024, 1024),
        "1080p" => (1080, 1920),
        _ => (3000, 4000),
    };
    let source = picture(height, width);
    let values: Vec<f32> =
        source.as_chunks().0.iter().map(|bytes| f32::from_ne_bytes(*bytes) * 2.0 - 1.0).collect();
    let mixture = vec![(Arc::clone(&generator), 1.0)];
    let (mut drawn, mut rows) = (Vec::new(), Vec::new());
    let run = |drawn: &mut Vec<u8>, rows: &mut Vec<f32>| -> Result<()> {
        drawn.clear();
        rows.clear();
        match part {
            "generator" => Ok(generator.stream(Region::whole(height, width), GRAIN).push(&values, rows)?),
            _ => stylize(&mixture, (height, width), &source, drawn),
        }
    };
    run(&mut drawn, &mut rows)?;
    if part == "generator" {
        drawn = rows.iter().flat_map(|value| (value * 0.5 + 0.5).clamp(0.0, 1.0).to_ne_bytes()).collect();
    }
    std::fs::write(out, planes(&drawn))?;
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        line?;
        let start = Instant::now();
        run(&mut drawn, &mut rows)?;
        println!("{}", start.elapsed().as_secs_f64());
        std::io::stdout().flush()?;
    }
    println!("{}", peak_mb("self"));
    Ok(())
}

fn stylize(
    mixture: &Mixture,
    (height, width): (usize, usize),
    source: &[u8],
    result: &mut Vec<u8>,
) -> Result<()> {
    let settings = Settings {
        width,
        height,
        layout: Layout::Rgb,
        depth: Depth::F32,
        strength: 1.0,
        keep_colours: 0.0,
        brush: BrushScale::new(1.0).context("a scale")?,
        grain: GRAIN,
        place: None,
    };
    let mut stylizer = Stylizer::new(mixture, settings);
    stylizer.push(source, result)?;
    // Networks that look at the whole picture first draw it later, some rows each time.
    while result.len() < source.len() {
        stylizer.push(&[], result)?;
    }
    Ok(())
}

fn anonymous() -> StyleMeta {
    StyleMeta {
        id: "imported".into(),
        name: "Imported".into(),
        author: String::new(),
        licence: "private".into(),
        attribution: String::new(),
        training: String::new(),
        source: String::new(),
    }
}

/// The picture that `rivals.py` makes, as floating-point RGB.
fn picture(height: usize, width: usize) -> Vec<u8> {
    let value = |i: usize| {
        let (y, x, c) = (i / 3 / width, i / 3 % width, i % 3);
        ((x * (c + 2) + y * (3 - c)) % 251) as f32 / 250.0
    };
    (0..height * width * 3).flat_map(|i| value(i).to_ne_bytes()).collect()
}

/// Pixels as planes, which is how rivals have them.
fn planes(pixels: &[u8]) -> Vec<u8> {
    let values = pixels.as_chunks::<4>().0;
    (0..3).flat_map(|c| values.iter().skip(c).step_by(3).copied()).flatten().collect()
}
