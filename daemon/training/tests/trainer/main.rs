//! Whole trainings of a tiny network: they learn, resume bit for bit, and don't mind how many threads there are.

mod checkpoints;
mod enlarging;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{Device, Tensor};
use safetensors::SafeTensors;
use utsushi_engine::arch::brush::Sizes;
use utsushi_engine::differentiable::{Maps, Place, WholeConv};
use utsushi_engine::{Device as Chosen, DeviceChoice};
use utsushi_training::abstraction::Brushwork;
use utsushi_training::checkpoint::Checkpoint;
use utsushi_training::networks::perceptual::{Features, Level};
use utsushi_training::optimiser::Tensors;
use utsushi_training::recipe::{Adversarial, Course, Generator, Imitation, Length, Preset, Recipe, Weights};
use utsushi_training::trainer::{Batches, Stage, StepReport, TrainError, Trainer, TrainingData};

const TINY: Generator = Generator::Brush(Sizes { c1: 8, c2: 16, blocks: [1, 1, 1], ch: 8, cf: 4 });

/// Soft stripes, and as a second version the same, paler and bluer.
struct Stripes {
    versions: usize,
    /// What is seen instead of pictures, at this step and after it.
    burst: Option<(u64, f32)>,
}

impl Batches for Stripes {
    fn batch(&self, seed: u64, step: u64, count: usize, size: usize) -> Vec<Vec<f32>> {
        let wave = |i: usize| {
            let (picture, pixel) = (i / (3 * size * size), i / 3 % (size * size));
            let (row, col) = ((pixel / size) as f32, (pixel % size) as f32);
            let angle = (seed % 7 + step * 5 + picture as u64) as f32 + (i % 3) as f32;
            (0.3 * (row * angle.sin() + col * angle.cos()) + angle).sin() * 0.8
        };
        let mut photos: Vec<f32> = (0..count * size * size * 3).map(wave).collect();
        let targets = photos.iter().enumerate().map(|(i, v)| 0.5 * v + 0.2 * (i % 3) as f32).collect();
        if let Some((_, value)) = self.burst.filter(|(from, _)| *from == step) {
            photos.fill(value);
        }
        [photos, targets].into_iter().take(self.versions).collect()
    }
}

/// Three layers that see little, two at full size, one at half of it; in numbers as large as those of VGG19.
struct Eyes;

const LEVELS: [Level; 3] = [
    Level { name: "a", channels: 4, stride: 1 },
    Level { name: "b", channels: 5, stride: 1 },
    Level { name: "c", channels: 6, stride: 2 },
];

impl Features for Eyes {
    fn levels(&self) -> &[Level] {
        &LEVELS
    }

    fn see(&self, pictures: &Maps) -> candle_core::Result<Vec<Maps>> {
        let (mut x, mut inputs, mut all) = (pictures.clone(), 3, Vec::new());
        for Level { channels, stride, .. } in LEVELS {
            let weight =
                (0..channels * inputs * 9).map(|i| ((i * 7 + channels) as f32 * 12.9898).sin() * 4.0);
            let weight = Tensor::from_iter(weight, &Device::Cpu)?.reshape((channels, inputs, 3, 3))?;
            let bias = Tensor::full(0.1f32, channels, &Device::Cpu)?;
            if stride > 1 {
                x = x.max_pool2()?;
            }
            x = x.conv(&weight, &bias, WholeConv { slope: 0.0, ..WholeConv::same(3) })?;
            inputs = channels;
            all.push(x.clone());
        }
        Ok(all)
    }
}

/// Stripes that are brighter than photos, and paler.
struct Art;

impl Batches for Art {
    fn batch(&self, seed: u64, step: u64, count: usize, size: usize) -> Vec<Vec<f32>> {
        let mut art = Stripes { versions: 1, burst: None }.batch(seed, step, count, size);
        art.iter_mut().flatten().for_each(|value| *value = 0.3 * *value + 0.5);
        art
    }
}

/// Two styles' art.
fn with_art() -> TrainingData {
    let art = || Arc::new(Art) as Arc<dyn Batches>;
    TrainingData { art: vec![art(), art()], features: Some(Arc::new(Eyes)), ..data() }
}

const BRUSHWORK: Brushwork = Brushwork {
    crispness: 3.0,
    light: [0.1; 3],
    warmth: [0.1; 3],
    tint: [0.1; 3],
    contrasts: [0.05, 0.05, 0.2],
    relief: 0.1,
};

/// A few steps of everything, two styles.
fn everything(steps: u64) -> Recipe {
    let both = Recipe { styles: 2, generator: TINY, ..Recipe::preset(Preset::Fast) };
    let first = imitation(3);
    let adversarial = both.adversarial.map(|stage| Adversarial {
        statistics_batches: 2,
        share: 0.5,
        own_targets: true,
        course: Course { length: Length::Steps(steps), ..first.imitation.clone().expect("a stage").course },
        ..stage
    });
    let imitation =
        first.imitation.map(|stage| Imitation { content: 0.5, brushwork: Some(BRUSHWORK), ..stage });
    Recipe { styles: 2, imitation, adversarial, ..first }
}

fn data() -> TrainingData {
    TrainingData { photos: Arc::new(Stripes { versions: 2, burst: None }), art: Vec::new(), features: None }
}

fn with_course(mut recipe: Recipe, change: impl Fn(&mut Course)) -> Recipe {
    recipe.imitation.iter_mut().for_each(|stage| change(&mut stage.course));
    recipe.adversarial.iter_mut().for_each(|stage| change(&mut stage.course));
    recipe
}

fn imitation(steps: u64) -> Recipe {
    let recipe = Recipe { generator: TINY, adversarial: None, ..Recipe::preset(Preset::Fast) };
    let recipe = with_course(recipe, |course| {
        *course = Course {
            length: Length::Steps(steps),
            batch: 2,
            crops_px: vec![64, 72],
            learning_rate: 4e-3,
            warm_up_steps: 5,
            ..course.clone()
        };
    });
    let watch = utsushi_training::recipe::Watch { keep_every: 3, ..recipe.watch };
    Recipe { watch, ..recipe }
}

fn values(tensors: &Tensors) -> Vec<(String, Vec<f32>)> {
    let values = |tensor: &Tensor| tensor.flatten_all().and_then(|t| t.to_vec1()).expect("values");
    tensors.iter().map(|(name, tensor)| (name.clone(), values(tensor))).collect()
}

/// Where the tests train that are of steps: `UTSUSHI_TEST_DEVICE`, or the processor.
fn place() -> Place {
    let asked = std::env::var("UTSUSHI_TEST_DEVICE");
    let choice = asked.map_or(DeviceChoice::Cpu, |text| text.parse().expect("UTSUSHI_TEST_DEVICE"));
    Place::on(&Chosen::choose(choice).expect("the device is there"))
}

fn run(trainer: &mut Trainer, steps: u64) -> Vec<StepReport> {
    let step = |_| StepReport { seconds: 0.0, ..trainer.step().expect("a step") };
    (0..steps).map(step).collect()
}

/// All that a checkpoint's file says; the order of its metadata means nothing.
fn contents(trainer: &Trainer) -> (BTreeMap<String, String>, Vec<u8>) {
    let bytes = trainer.checkpoint().expect("a state").to_bytes().expect("bytes");
    let (header, metadata) = SafeTensors::read_metadata(&bytes).expect("a header");
    let metadata = metadata.metadata().clone().expect("metadata");
    (metadata.into_iter().collect(), bytes[8 + header..].to_vec())
}

fn weights(trainer: &Trainer) -> Vec<(String, Vec<f32>)> {
    values(&trainer.style_weights().expect("weights"))
}

/// A run that is stopped after each of these steps and resumed, against one that isn't, on other threads.
fn check_resuming(recipe: &Recipe, data: &TrainingData, steps: u64, stops: &[u64]) {
    let place = place();
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    let (want, want_reports) = pool(1).install(|| {
        let trainer = Trainer::new(recipe.clone(), data.clone(), None).expect("a trainer");
        let mut trainer = trainer.in_place(place.clone());
        let reports = run(&mut trainer, steps);
        (contents(&trainer), reports)
    });
    // An emulated GPU takes its time.
    let stops = if place.is_gpu() { &stops[stops.len() / 2..][..1] } else { stops };
    for stop in stops {
        let (got, reports) = pool(2).install(|| {
            let trainer = Trainer::new(recipe.clone(), data.clone(), None).expect("a trainer");
            let mut trainer = trainer.in_place(place.clone());
            let mut reports = run(&mut trainer, *stop);
            let file = tempfile::NamedTempFile::new().expect("a file");
            trainer.checkpoint().expect("a state").write(file.path()).expect("a file");
            let checkpoint = Checkpoint::read(file.path()).expect("a checkpoint");
            let trainer = Trainer::resume(&checkpoint, data.clone()).expect("it goes on");
            let mut trainer = trainer.in_place(place.clone());
            reports.extend(run(&mut trainer, steps - stop));
            (contents(&trainer), reports)
        });
        // As text, in which NaN is NaN.
        assert_eq!(format!("{reports:?}"), format!("{want_reports:?}"), "stopped after {stop}");
        assert_eq!(got.0, want.0, "stopped after {stop}");
        assert!(got.1 == want.1, "stopped after {stop}: another state");
    }
}

#[test]
fn imitation_resumes_bit_for_bit() {
    check_resuming(&imitation(12), &data(), 12, &[1, 5, 9, 11]);
}

/// Three steps of imitation, two batches of each style's art, seven rounds of the game.
#[test]
fn every_stage_resumes_bit_for_bit() {
    let rounds = if place().is_gpu() { 2 } else { 7 };
    check_resuming(&everything(rounds), &with_art(), 3 + 4 + rounds, &[2, 3, 4, 6, 7, 9, 12, 13]);
}

#[test]
fn a_style_goes_a_share_of_the_way() {
    let ended = |share| {
        let mut recipe = everything(4);
        recipe.adversarial.iter_mut().for_each(|stage| stage.share = share);
        let mut trainer = Trainer::new(recipe, with_art(), None).expect("a trainer");
        run(&mut trainer, 11);
        assert!(trainer.is_done());
        weights(&trainer)
    };
    let (none, quarter, all) = (ended(0.0), ended(0.25), ended(1.0));
    assert_ne!(none, all);
    for ((name, none), ((_, quarter), (_, all))) in none.iter().zip(quarter.iter().zip(&all)) {
        let between = |((none, quarter), all): ((&f32, &f32), &f32)| {
            (none + 0.25 * (all - none) - quarter).abs() < 1e-5
        };
        assert!(none.iter().zip(quarter).zip(all).all(between), "{name}");
    }
}

/// Step by step: what is rounded otherwise makes a little difference. Each stage begins by itself, since Adam's first steps
/// go by a gradient's sign, and make a larger one of it; and with targets that aren't its own, from which it differs by
/// little more than is rounded.
#[test]
fn a_gpu_trains_as_the_processor_does() {
    let gpu = place();
    if !gpu.is_gpu() {
        eprintln!("skipped: UTSUSHI_TEST_DEVICE isn't cuda");
        return;
    }
    let recipe = everything(2);
    let game = recipe.adversarial.clone().map(|stage| Adversarial { own_targets: false, ..stage });
    let stages = [
        (Recipe { adversarial: None, ..recipe.clone() }, 3),
        (Recipe { imitation: None, adversarial: game, ..recipe }, 4 + 2),
    ];
    let reports = |place: Place| -> Vec<StepReport> {
        let of_stage = |(recipe, steps): &(Recipe, u64)| {
            let trainer = Trainer::new(recipe.clone(), with_art(), None).expect("a trainer");
            run(&mut trainer.in_place(place.clone()), *steps)
        };
        stages.iter().flat_map(of_stage).collect()
    };
    let (got, want) = (reports(gpu), reports(Place::default()));
    for (got, want) in got.iter().zip(&want) {
        assert_eq!((got.stage, got.step, &got.event), (want.stage, want.step, &None));
        assert_eq!(got.losses.len(), want.losses.len());
        for ((name, got_loss), (_, loss)) in got.losses.iter().zip(&want.losses) {
            let tolerance = match name.as_str() {
                // How often a discriminator is right is a count, which jumps.
                "accuracy" => 0.2 * loss.abs(),
                // Scores of either sign, whose mean is near 0: in units of the hinge's margin, 1 a head.
                "adversarial" => 0.02,
                _ => 0.02 * loss.abs(),
            };
            assert!(
                (got_loss - loss).abs() <= tolerance + 1e-3,
                "{:?} {}: {name} is {got_loss}, not {loss}",
                want.stage,
                want.step
            );
        }
    }
}

/// [`Eyes`] that fail once, when they have looked so many times.
struct Failing(AtomicUsize);

impl Features for Failing {
    fn levels(&self) -> &[Level] {
        Eyes.levels()
    }

    fn see(&self, pictures: &Maps) -> candle_core::Result<Vec<Maps>> {
        match self.0.fetch_sub(1, Ordering::Relaxed) {
            0 => candle_core::bail!("the device is gone"),
            _ => Eyes.see(pictures),
        }
    }
}

/// A step looks at what was drawn, then at art, from which the discriminator learns, and then at the targets.
#[test]
fn a_gpu_that_fails_in_a_step_lets_nobody_learn_twice() {
    let gpu = place();
    if !gpu.is_gpu() {
        eprintln!("skipped: UTSUSHI_TEST_DEVICE isn't cuda");
        return;
    }
    let recipe = Recipe { imitation: None, styles: 1, ..everything(3) };
    let (measured, in_a_step) = (2, 3);
    let train = |looks: usize| {
        let features = Some(Arc::new(Failing(AtomicUsize::new(looks))) as _);
        let data = TrainingData { art: vec![Arc::new(Art)], features, ..data() };
        let mut trainer = Trainer::new(recipe.clone(), data, None).expect("a trainer").in_place(gpu.clone());
        let events =
            run(&mut trainer, 2 + 3).into_iter().filter_map(|report| report.event).collect::<Vec<_>>();
        // How many steps everything has taken; the weights were rounded differently.
        (events, contents(&trainer).0.remove("now"))
    };
    let (events, want) = train(usize::MAX);
    assert_eq!(events, [""; 0]);
    for look in [0, 2] {
        let (events, state) = train(measured + in_a_step + look);
        assert!(events.len() == 1 && events[0].contains("the device is gone"), "{look}: {events:?}");
        assert_eq!(state, want, "it failed at look {look}");
    }
}

#[test]
fn stages_follow_each_other() {
    let mut trainer = Trainer::new(everything(4), with_art(), None).expect("a trainer");
    let reports = run(&mut trainer, 11);
    assert!(trainer.is_done());
    let stages: Vec<_> = reports.iter().map(|report| (report.stage, report.step, report.of)).collect();
    let part = |stage, steps| (1..=steps).map(move |step| (stage, step, Some(steps)));
    let want = part(Stage::Imitation, 3).chain(part(Stage::Measuring, 4)).chain(part(Stage::Adversarial, 4));
    assert_eq!(stages, want.collect::<Vec<_>>());
    let names = |report: &StepReport| report.losses.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&reports[0]), ["l1", "gradient", "content"]);
    let all = ["discriminator", "accuracy", "l1", "content", "style", "adversarial", "colour", "smoothness"];
    assert_eq!(names(&reports[10]), all);
    // Styles take turns, and are trained each for itself.
    let weights = trainer.style_weights().expect("weights");
    let row = |i: usize| weights["n.g"].get(i).and_then(|row| row.to_vec1::<f32>()).expect("a row");
    assert_ne!(row(0), row(1));
}

/// What it draws in the first round, noise included, is what it is to keep; photos need no other targets.
#[test]
fn targets_of_its_own_are_what_it_began_with() {
    let content = |own_targets, versions| {
        let recipe = everything(2);
        let adversarial = recipe.adversarial.map(|stage| Adversarial { own_targets, ..stage });
        let recipe = Recipe { imitation: None, adversarial, ..recipe };
        let data = TrainingData { photos: Arc::new(Stripes { versions, burst: None }), ..with_art() };
        let mut trainer = Trainer::new(recipe, data, None).expect("a trainer");
        let report = run(&mut trainer, 5).pop().expect("a round");
        report.losses.iter().find(|(of, _)| of == "content").map(|(_, value)| *value).expect("the loss")
    };
    let (own, others) = (content(true, 1), content(false, 2));
    assert!(own < 1e-6 && others > 1e-3, "{own} {others}");
}

/// The mean of a loss at the end of a short game between networks that learn so fast, for these losses alone.
fn loss_after(name: &str, weights: Weights, learning_rate: f64, discriminator_rate: f64) -> f64 {
    let recipe = everything(30);
    let adversarial = recipe.adversarial.map(|stage| Adversarial {
        weights,
        discriminator_rate,
        own_targets: false,
        course: Course { learning_rate, ..stage.course },
        ..stage
    });
    let recipe = Recipe { styles: 1, imitation: None, adversarial, ..recipe };
    let data = TrainingData { art: with_art().art[..1].to_vec(), ..with_art() };
    let mut trainer = Trainer::new(recipe, data, None).expect("a trainer");
    let reports = run(&mut trainer, 32);
    let loss = |report: &StepReport| {
        report.losses.iter().find(|(of, _)| of == name).map(|(_, value)| *value).expect("the loss")
    };
    reports[22..].iter().map(loss).sum::<f64>() / 10.0
}

#[test]
fn every_loss_teaches() {
    let none = Weights { l1: 0.0, content: 0.0, style: 0.0, adversarial: 0.0, colour: 0.0, smoothness: 0.0 };
    for (name, only) in [
        ("l1", Weights { l1: 1.0, ..none }),
        ("content", Weights { content: 1.0, ..none }),
        ("style", Weights { style: 1.0, ..none }),
        ("colour", Weights { colour: 1.0, ..none }),
        ("smoothness", Weights { smoothness: 1.0, ..none }),
    ] {
        let (without, with) = (loss_after(name, only, 0.0, 0.0), loss_after(name, only, 8e-3, 0.0));
        assert!(with < 0.95 * without, "{name}: {with} with learning, {without} without");
    }
    // One side of the game learns, and the other doesn't.
    let game = Weights { adversarial: 1.0, ..none };
    let (even, fooled) =
        (loss_after("adversarial", game, 0.0, 0.0), loss_after("adversarial", game, 8e-3, 0.0));
    assert!(fooled < even - 0.02, "the generator pays {fooled}, and {even} without learning");
    let found = loss_after("accuracy", game, 0.0, 2e-2);
    assert!(found > 0.8, "the discriminators are right so often: {found}");
}

#[test]
fn imitation_learns() {
    let mut trainer = Trainer::new(imitation(150), data(), None).expect("a trainer");
    let reports = run(&mut trainer, 150);
    assert!(trainer.is_done());
    let l1 = |reports: &[StepReport]| {
        reports.iter().map(|report| report.losses[0].1).sum::<f64>() / reports.len() as f64
    };
    let (first, last) = (l1(&reports[..10]), l1(&reports[140..]));
    assert!(last < 0.6 * first, "from {first} to {last}");
    assert!(reports.iter().all(|report| report.event.is_none() && report.of == Some(150)));
    assert_eq!(reports[149].losses[0].0, "l1");
    // The average is what draws.
    let batch = Stripes { versions: 2, burst: None }.batch(9, 9, 1, 64);
    let picture = |values: &Vec<f32>| {
        Tensor::from_vec(values.clone(), (1, 64, 64, 3), &Device::Cpu).expect("a picture")
    };
    let drawn = trainer.draw(&picture(&batch[0]), 0).expect("a picture");
    let off =
        (drawn - picture(&batch[1])).and_then(|t| t.abs()?.mean_all()?.to_scalar::<f32>()).expect("a number");
    assert!(f64::from(off) < 0.7 * first, "{off}, after {first}");
}

#[test]
fn it_goes_back_when_a_loss_is_no_number() {
    let burst =
        |value| TrainingData { photos: Arc::new(Stripes { versions: 2, burst: Some((7, value)) }), ..data() };
    let mut trainer = Trainer::new(imitation(20), burst(f32::NAN), None).expect("a trainer");
    let reports = run(&mut trainer, 10);
    let event =
        "a loss was no number: it went back to what it was after step 6, and halved the learning rate";
    assert_eq!(reports[7].event.as_deref(), Some(event));
    assert!(reports.iter().enumerate().all(|(i, report)| i == 7 || report.event.is_none()));
    let (before, after) = (reports[6].learning_rate, reports[8].learning_rate);
    assert!((0.4..0.6).contains(&(after / before)), "{before}, then {after}");
    assert!(weights(&trainer).iter().all(|(_, values)| values.iter().all(|v| v.is_finite())));
    // That, too, resumes.
    check_resuming(&imitation(14), &burst(f32::NAN), 14, &[6, 7, 8, 13]);
}

#[test]
fn it_gives_up_what_always_goes_wrong() {
    struct Nothing;
    impl Batches for Nothing {
        fn batch(&self, _: u64, _: u64, count: usize, size: usize) -> Vec<Vec<f32>> {
            vec![vec![f32::NAN; count * size * size * 3]; 2]
        }
    }
    let data = TrainingData { photos: Arc::new(Nothing), ..data() };
    let mut trainer = Trainer::new(imitation(1000), data, None).expect("a trainer");
    let most = trainer.recipe().watch.most_returns;
    for _ in 0..most {
        assert!(trainer.step().expect("it tries again").event.is_some());
    }
    assert!(matches!(trainer.step(), Err(TrainError::Diverged(_))));
}

#[test]
fn weights_to_start_from_are_taken_for_every_style() {
    let mut first = Trainer::new(imitation(2), data(), None).expect("a trainer");
    run(&mut first, 2);
    let start = first.style_weights().expect("weights");
    let second = Trainer::new(imitation(2), data(), Some(&start)).expect("a trainer");
    assert_eq!(weights(&second), weights(&first));
    let both = Trainer::new(Recipe { styles: 2, ..imitation(2) }, data(), Some(&start)).expect("a trainer");
    let both = both.style_weights().expect("weights");
    let scale = |i: usize| both["n.g"].get(i).and_then(|row| row.to_vec1::<f32>()).expect("a row");
    assert_eq!(
        (scale(0), scale(1)),
        (start["n.g"].flatten_all().and_then(|t| t.to_vec1()).expect("a row"), scale(0))
    );
    // One of an older network gets noise.
    let mut without_noise = start.clone();
    without_noise.retain(|name, _| name != "zf" && !name.ends_with(".z"));
    assert!(without_noise.len() < start.len());
    let third = Trainer::new(imitation(2), data(), Some(&without_noise)).expect("a trainer");
    let third = third.style_weights().expect("weights");
    let of =
        |weights: &Tensors, name: &str| values(weights).into_iter().find(|(of, _)| of == name).expect("it");
    assert_eq!(of(&third, "rgb.weight"), of(&start, "rgb.weight"));
    assert!(of(&third, "e1.0.z").1.iter().all(|weight| *weight != 0.0 && weight.abs() < 0.3));
    let mut wrong = start.clone();
    wrong.remove("rgb.weight");
    let error = Trainer::new(imitation(2), data(), Some(&wrong)).err().expect("it doesn't fit").to_string();
    assert!(error.contains("rgb.weight"), "{error}");
}

#[test]
fn data_that_do_not_fit_are_refused() {
    let both = Recipe { generator: TINY, ..Recipe::preset(Preset::Fast) };
    let error = Trainer::new(both, data(), None).err().expect("it doesn't fit").to_string();
    assert!(error.contains("perceptual network"), "{error}");
    let content = |recipe: Recipe| {
        let imitation = recipe.imitation.map(|i| utsushi_training::recipe::Imitation { content: 1.0, ..i });
        Recipe { imitation, ..recipe }
    };
    assert!(Trainer::new(content(imitation(2)), data(), None).is_err());
    let one_version = TrainingData { photos: Arc::new(Stripes { versions: 1, burst: None }), ..data() };
    let mut trainer = Trainer::new(imitation(2), one_version, None).expect("a trainer");
    assert!(matches!(trainer.step(), Err(TrainError::Network(_))));
}
