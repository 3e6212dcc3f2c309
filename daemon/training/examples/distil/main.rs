//! Teaches the small perceptual network what VGG19 sees, from pictures and variants of them.
//!
//! ```text
//! cargo run --release -p utsushi-training --example distil -- \
//!     --pictures PHOTOS --pictures ART --teacher VGG19.safetensors --out perceptual.safetensors --minutes 40
//! ```
//!
//! Every tenth picture is left to `examples/rank`, which tells how alike the two networks judge. Batches are a
//! function of the seed and the step, so that `--steps` in place of `--minutes` gives the same weights again. The run
//! is saved beside the output as it goes on, and goes on from there when it is started again.

mod losses;
mod pictures;
mod variants;

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor};
use clap::Parser;
use image::RgbImage;
use losses::{Losses, ReadOuts, Teacher};
use pictures::{Crop, Part, luminance};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use utsushi_training::networks::perceptual::{Features, Perceptual};
use utsushi_training::networks::vgg19::Vgg19;
use utsushi_training::optimiser::{Adam, Average, Gradients, Parameters, Schedule, Tensors};
use variants::Variant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Pictures in a batch; as many variants come with them.
const PAIRS: usize = 4;
const CROP_PX: usize = 96;
const SCHEDULE: Schedule = Schedule { rate: 2e-3, warm_up_steps: 50, last_share: 0.02 };
const BETAS: [f64; 2] = [0.9, 0.99];
const DECAY: f64 = 0.998;
const LARGEST_NORM: f64 = 1.0;
/// Pairs with another picture instead of a variant.
const OTHERS: f64 = 0.15;
/// Training's losses look at the luminance alone for the most part.
const GREY: f64 = 0.5;
/// Batches that tell how large VGG19's maps are.
const MEASURED: u64 = 8;
const SAVE_EVERY: Duration = Duration::from_secs(120);
const LOG_STEPS: u64 = 50;
const CREDIT: &str = "distilled from VGG19 (Simonyan & Zisserman, CC BY 4.0)";

/// Teaches the small perceptual network what VGG19 sees.
#[derive(Parser)]
struct Arguments {
    /// Folders with pictures.
    #[arg(long, required = true)]
    pictures: Vec<PathBuf>,
    /// VGG19's weights.
    #[arg(long)]
    teacher: PathBuf,
    /// Where the small network's weights go.
    #[arg(long)]
    out: PathBuf,
    /// How long to train.
    #[arg(long, default_value_t = 40.0, conflicts_with = "steps")]
    minutes: f64,
    /// How many steps to train, instead.
    #[arg(long)]
    steps: Option<u64>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Arguments {
    /// How much of the run lies behind, 0..1.
    fn done(&self, step: u64, spent: Duration) -> f64 {
        match self.steps {
            Some(steps) => step as f64 / steps as f64,
            None => spent.as_secs_f64() / (60.0 * self.minutes),
        }
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let pictures = pictures::read(&arguments.pictures, Part::Trained, CROP_PX as u32)?;
    println!("{} pictures", pictures.len());
    let vgg = Vgg19::read(&arguments.teacher, "relu3_1")?;
    let measured: Vec<_> = (0..MEASURED)
        .map(|i| batch(&pictures, arguments.seed, u64::MAX - i))
        .collect::<candle_core::Result<_>>()?;
    let teacher = Teacher::new(vgg, &Tensor::cat(&measured, 0)?)?;
    let (parameters, student) = Parameters::initialised(arguments.seed, he_weights, |weights| {
        let network = Perceptual::load(&weights.pp("network"))?;
        Ok((network, ReadOuts::load(&weights.pp("read_outs"), &teacher)?))
    })?;
    let mut run = Run::begin(&arguments, parameters, &teacher)?;
    run.train(&pictures, &student, &teacher)?;
    run.export()
}

/// Pictures and then variants of them: a function of the seed and the step.
fn batch(pictures: &[RgbImage], seed: u64, step: u64) -> candle_core::Result<Tensor> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(step);
    let mut sides = [Vec::new(), Vec::new()];
    for _ in 0..PAIRS {
        let crop = Crop::random(pictures, CROP_PX, &mut random);
        let other = if random.random_bool(OTHERS) {
            Crop::random(pictures, CROP_PX, &mut random)
        } else {
            let variant = Variant::ALL.choose(&mut random).expect("there are variants");
            variant.of(&crop, &mut random)
        };
        let is_grey = random.random_bool(GREY);
        for (side, crop) in sides.iter_mut().zip([crop, other]) {
            side.extend(if is_grey { grey(crop) } else { crop }.rgb);
        }
    }
    Tensor::from_vec(sides.concat(), (2 * PAIRS, CROP_PX, CROP_PX, 3), &Device::Cpu)
}

/// The luminance in all channels.
fn grey(mut crop: Crop) -> Crop {
    for pixel in crop.rgb.chunks_exact_mut(3) {
        let luminance = luminance(pixel);
        pixel.fill(luminance);
    }
    crop
}

/// Uniform, so that a layer's output varies as much as its input (He et al. 2015,
/// <https://arxiv.org/abs/1502.01852>); biases are 0.
fn he_weights(random: &mut ChaCha8Rng, name: &str, shape: &[usize], _: Option<&[usize]>) -> Vec<f32> {
    let bound = (6.0 / shape[1..].iter().product::<usize>() as f32).sqrt();
    let value = |_| if name.ends_with("bias") { 0.0 } else { random.random_range(-bound..bound) };
    (0..shape.iter().product()).map(value).collect()
}

/// A run, as far as it has come.
struct Run<'a> {
    arguments: &'a Arguments,
    parameters: Parameters,
    adam: Adam,
    average: Average,
    /// VGG19's sizes of our levels, which our maps get in the end.
    scales: [f64; 3],
    /// Before this program was started.
    spent_before: Duration,
}

impl<'a> Run<'a> {
    /// From the beginning, or from where it was saved.
    fn begin(arguments: &'a Arguments, parameters: Parameters, teacher: &Teacher) -> Result<Self> {
        let (adam, average) = (Adam::new(BETAS), Average::new(DECAY, &parameters)?);
        let scales = teacher.scales();
        let mut run = Self { arguments, parameters, adam, average, scales, spent_before: Duration::ZERO };
        let path = run.saved_path();
        if path.exists() {
            run.restore(&path).with_context(|| format!("{} can't be read: remove it", path.display()))?;
            println!("goes on after step {}", run.adam.steps());
        }
        Ok(run)
    }

    fn train(
        &mut self,
        pictures: &[RgbImage],
        student: &(Perceptual, ReadOuts),
        teacher: &Teacher,
    ) -> Result<()> {
        let begun = Instant::now();
        let (mut saved, mut sums) = (Instant::now(), [0.0; 3]);
        loop {
            let step = self.adam.steps();
            let spent = self.spent_before + begun.elapsed();
            let done = self.arguments.done(step, spent);
            if done >= 1.0 || saved.elapsed() > SAVE_EVERY {
                self.save(spent)?;
                saved = Instant::now();
            }
            if done >= 1.0 {
                return Ok(());
            }
            let batch = batch(pictures, self.arguments.seed, step)?;
            let losses =
                losses::losses(&student.0.forward(&batch)?, &teacher.look(&batch)?, &student.1, teacher)?;
            let mut gradients = Gradients::of(&self.parameters, &losses.total()?.backward()?)?;
            gradients.clip(LARGEST_NORM);
            self.adam.step(&self.parameters, &gradients, SCHEDULE.at(step, done))?;
            self.average.step(&self.parameters)?;
            let Losses { read_out, distance, gram } = losses;
            for (sum, loss) in sums.iter_mut().zip([read_out, distance, gram]) {
                *sum += loss.to_scalar::<f32>()? / LOG_STEPS as f32;
            }
            if (step + 1).is_multiple_of(LOG_STEPS) {
                let [read_out, distance, gram] = std::mem::take(&mut sums);
                println!(
                    "step {}  {:.0} s  read-out {read_out:.4}  distance {distance:.4}  Gram {gram:.4}",
                    step + 1,
                    (self.spent_before + begun.elapsed()).as_secs_f64(),
                );
            }
        }
    }

    fn saved_path(&self) -> PathBuf {
        self.arguments.out.with_extension("run.safetensors")
    }

    fn save(&self, spent: Duration) -> Result<()> {
        let mut all = Tensors::new();
        for (prefix, tensors) in [
            ("weights", self.parameters.tensors()?),
            ("adam", self.adam.tensors()?),
            ("average", self.average.tensors()?),
        ] {
            all.extend(tensors.into_iter().map(|(name, tensor)| (format!("{prefix}/{name}"), tensor)));
        }
        let facts = [("steps", self.adam.steps().to_string()), ("seconds", spent.as_secs_f64().to_string())];
        write(&self.saved_path(), &all, &facts)
    }

    fn restore(&mut self, path: &Path) -> Result<()> {
        let bytes = std::fs::read(path)?;
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes)?;
        let facts = header.metadata().as_ref().context("it has no metadata")?;
        let fact = |name| facts.get(name).with_context(|| format!("it has no {name}"));
        let (steps, seconds) = (fact("steps")?.parse()?, fact("seconds")?.parse()?);
        let all = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)?;
        let part = |prefix: &str| -> Tensors {
            let name = |name: &str| Some(name.strip_prefix(prefix)?.strip_prefix('/')?.to_owned());
            all.iter().filter_map(|(full, tensor)| Some((name(full)?, tensor.clone()))).collect()
        };
        self.parameters.set(&part("weights"))?;
        self.adam = Adam::restored(BETAS, steps, &part("adam"), &self.parameters)?;
        self.average = Average::restored(DECAY, steps, &part("average"))?;
        self.spent_before = Duration::from_secs_f64(seconds);
        Ok(())
    }

    /// Writes the network without its read-outs, in half precision, its maps as large as VGG19's.
    fn export(&self) -> Result<()> {
        let mut weights = Tensors::new();
        for (name, tensor) in self.average.tensors()? {
            let Some(name) = name.strip_prefix("network.") else { continue };
            let scaled = (tensor * self.factor(name))?;
            weights.insert(name.to_owned(), scaled.to_dtype(DType::F16)?);
        }
        ensure!(!weights.is_empty(), "the network has no weights");
        let steps = self.adam.steps().to_string();
        let facts = [("network", "perceptual-1".to_owned()), ("credit", CREDIT.to_owned()), ("steps", steps)];
        write(&self.arguments.out, &weights, &facts)
    }

    /// Behind a ReLU, what a layer's weights are multiplied with the next one's can be divided by.
    fn factor(&self, name: &str) -> f64 {
        let [full, half, quarter] = self.scales;
        match name {
            "full.1.weight" | "full.1.bias" => full,
            "half.0.weight" => 1.0 / full,
            "half.1.weight" | "half.1.bias" => half,
            "quarter.0.weight" => 1.0 / half,
            "quarter.2.weight" | "quarter.2.bias" => quarter,
            _ => 1.0,
        }
    }
}

/// Writes a safetensors file, whole or not at all.
fn write(path: &Path, tensors: &BTreeMap<String, Tensor>, facts: &[(&str, String)]) -> Result<()> {
    let facts: HashMap<_, _> = facts.iter().map(|(name, fact)| ((*name).to_owned(), fact.clone())).collect();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // As any new file: less the umask.
    let permissions = std::fs::Permissions::from_mode(0o666);
    let file = tempfile::Builder::new().permissions(permissions).tempfile_in(folder)?;
    safetensors::serialize_to_file(tensors, Some(facts), file.path())?;
    file.persist(path).with_context(|| format!("{} can't be written", path.display()))?;
    Ok(())
}
