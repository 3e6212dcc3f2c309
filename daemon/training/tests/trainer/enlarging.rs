//! A network that enlarges: the same stages, on smaller pictures than those that are to come of them.

use utsushi_engine::arch::enlarger;
use utsushi_training::data::{Crops, Damage, Picture};

use super::*;

const DAMAGE: Damage = Damage {
    blur_px: [0.2, 0.6],
    reduction: [1.0; 2],
    noise: [0.0, 0.02],
    jpeg_quality: [60, 95],
    spared: 0.5,
    scale: 2,
};

/// Both stages, of one network.
fn recipe(steps: u64) -> Recipe {
    let generator = Generator::Enlarger(enlarger::Sizes { c: 8, blocks: 1, cf: 4 });
    let both = everything(4);
    let adversarial = both.adversarial.map(|stage| Adversarial { own_targets: false, ..stage });
    let imitation = imitation(steps).imitation;
    Recipe { styles: 1, generator, damage: Some(DAMAGE), imitation, adversarial, ..both }
}

/// Crops of a picture of soft stripes with an edge, halved, and as they are.
fn pairs() -> TrainingData {
    let wave = |i: usize| {
        let (row, col) = ((i / 3 / 160) as f32, (i / 3 % 160) as f32);
        let edge = if ((row + col) as usize / 40).is_multiple_of(2) { 40.0 } else { -40.0 };
        (128.0 + edge + 60.0 * (0.4 * row + 0.7 * col + (i % 3) as f32).sin()) as u8
    };
    let picture = Picture { width: 160, height: 160, rgb: (0..160 * 160 * 3).map(wave).collect() };
    let photos = Arc::new(Crops::new(vec![picture], 0.7..=1.0).with_damage(DAMAGE));
    TrainingData { photos, art: vec![Arc::new(Art)], features: Some(Arc::new(Eyes)) }
}

#[test]
fn it_learns_what_pictures_were_before_they_were_halved() {
    let recipe = Recipe { adversarial: None, ..recipe(120) };
    let mut trainer = Trainer::new(recipe, pairs(), None).expect("a trainer");
    let reports = run(&mut trainer, 120);
    let l1 = |reports: &[StepReport]| {
        let of = |report: &StepReport| report.losses.iter().find(|(name, _)| name == "l1").expect("a loss").1;
        reports.iter().map(of).sum::<f64>() / reports.len() as f64
    };
    let (first, last) = (l1(&reports[..20]), l1(&reports[100..]));
    assert!(last < 0.9 * first, "{first} became {last}");
    let small = Picture { width: 40, height: 32, rgb: vec![90; 40 * 32 * 3] };
    let sample = trainer.sample(&small, 0).expect("a picture");
    assert_eq!((sample.width, sample.height), (80, 64));
}

#[test]
fn a_resumed_one_is_the_one_that_was_never_stopped() {
    // Through imitation, measuring and the game.
    check_resuming(&recipe(3), &pairs(), 3 + 2 + 4, &[2, 4, 7]);
}

#[test]
fn recipes_fit_together() {
    let check = |change: fn(&mut Recipe), words: &str| {
        let mut recipe = recipe(1);
        recipe.check().expect("it can be followed");
        change(&mut recipe);
        let error = recipe.check().expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    };
    check(|recipe| recipe.damage = None, "damage.scale is 1: it must be 2");
    check(|recipe| recipe.damage.as_mut().expect("damage").scale = 1, "damage.scale is 1: it must be 2");
    check(|recipe| recipe.generator = TINY, "damage.scale is 2: it must be 1");
    check(|recipe| recipe.styles = 2, "styles is 2");
    check(
        |recipe| recipe.imitation.as_mut().expect("a stage").brushwork = Some(BRUSHWORK),
        "left out for a network that enlarges",
    );
    check(
        |recipe| recipe.generator = Generator::Enlarger(enlarger::Sizes { c: 0, blocks: 1, cf: 4 }),
        "1 to 256 channels",
    );
    // As a file, too.
    let text = recipe(1).to_toml().expect("it can be written");
    assert_eq!(Recipe::parse(&text).expect("a recipe"), recipe(1));
}
