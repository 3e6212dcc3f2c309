//! What is a recipe, and what is none.

use super::*;

#[test]
fn presets_are_right_and_survive_a_file() {
    use {Kind::*, Preset::*};
    for (preset, kind) in [(Fast, Drawn), (Quality, Drawn), (Fast, Painted), (Quality, Painted)] {
        let recipe = Recipe::preset_for(preset, kind);
        recipe.check().expect("a preset is right");
        let text = recipe.to_toml().expect("it can be written");
        assert_eq!(Recipe::parse(&text).expect("it can be read"), recipe);
    }
}

#[test]
fn a_recipe_without_a_second_stage_is_one() {
    let recipe = Recipe { adversarial: None, ..Recipe::preset(Preset::Fast) };
    let text = recipe.to_toml().expect("it can be written");
    assert!(!text.contains("adversarial"));
    assert_eq!(Recipe::parse(&text).expect("it can be read"), recipe);
}

/// The preset's file with one text in another's place, and what is said about it.
#[track_caller]
fn check(from: &str, to: &str, want: &str) {
    let text = Recipe::preset(Preset::Fast).to_toml().expect("it can be written");
    assert!(text.contains(from), "{from} in {text}");
    let error = Recipe::parse(&text.replacen(from, to, 1)).expect_err("it is wrong").to_string();
    assert!(error.contains(want), "{error}");
}

#[test]
fn damage_takes_the_place_of_the_filter() {
    let ranges = "blur_px = [0.0, 1.0]\nreduction = [1.0, 2.0]\nnoise = [0.0, 0.1]\njpeg_quality = [30, 90]\nspared = 0.2\n";
    let text = Recipe::preset(Preset::Fast).to_toml().expect("it can be written") + "\n[damage]\n" + ranges;
    let recipe = Recipe::parse(&text).expect("a recipe");
    let picture = || Picture { width: 100, height: 80, rgb: (0..24_000).map(|i| (i % 251) as u8).collect() };
    let filtered = |_: &[Picture]| -> Result<Vec<Picture>, ()> { panic!("nothing is filtered") };
    let crops = recipe.photo_crops(vec![picture().into()], filtered).expect("crops");
    let [damaged, whole] = &crops.batch(1, 1, 2, 64)[..] else { panic!("two versions") };
    assert!(damaged.len() == whole.len() && damaged != whole);
    assert_ne!(recipe.shown(picture()), picture());
    let whole = Recipe::preset(Preset::Fast);
    assert_eq!(whole.shown(picture()), picture());
    let [photos, targets] = &whole
        .photo_crops(vec![picture().into()], |photos| Ok::<_, ()>(photos.to_vec()))
        .expect("crops")
        .batch(1, 1, 1, 64)[..]
    else {
        panic!("two versions")
    };
    assert_eq!(photos, targets);
    let error =
        Recipe::parse(&text.replace("spared = 0.2", "spared = 2.0")).expect_err("it is wrong").to_string();
    assert!(error.contains("damage") && error.contains("spared"), "{error}");
}

/// Photos become what is made of them, drawings stay what they are, whatever their order.
#[test]
fn drawings_are_their_own_targets() {
    let picture = |value: u8| Picture { width: 80, height: 80, rgb: vec![value; 80 * 80 * 3] };
    let drawing = |value| Content { is_drawn: true, ..picture(value).into() };
    let shown = vec![drawing(10), picture(100).into(), drawing(20), picture(110).into()];
    let brighter = |photos: &[Picture]| -> Result<Vec<Picture>, ()> {
        Ok(photos.iter().map(|photo| picture(photo.rgb[0] + 100)).collect())
    };
    let crops = Recipe::preset(Preset::Fast).photo_crops(shown, brighter).expect("crops");
    let first = |pictures: &[Picture]| pictures.iter().map(|picture| picture.rgb[0]).collect::<Vec<_>>();
    assert_eq!(first(crops.pictures()), [100, 110, 10, 20]);
    assert_eq!(first(crops.targets()), [200, 210, 10, 20]);
}

/// Characters without a ground are laid on what photos become where there is hardly any art to lay them on.
#[test]
fn characters_get_grounds() {
    let plain = |value: u8| Picture { width: 64, height: 64, rgb: vec![value; 64 * 64 * 3] };
    let character = || Sheet { picture: plain(255), opacity: Some(plain(0)) };
    let recipe = Recipe::preset(Preset::Fast);
    let shown = recipe.photo_crops(vec![plain(1).into()], |_| Ok::<_, ()>(vec![plain(51)])).expect("crops");
    let values = |opaque: usize| {
        let art = (0..40).map(|i| if i < opaque { plain(204).into() } else { character() }).collect();
        let batch = recipe.art_crops(art, &shown).batch(1, 1, 64, 64).remove(0);
        let mut values: Vec<_> = batch.iter().map(|value| ((value + 1.0) * 127.5).round() as u8).collect();
        values.sort_unstable();
        values.dedup();
        values
    };
    assert_eq!((values(0), values(7), values(8)), (vec![51], vec![51, 204], vec![204]));
}

/// As released; what has no meaning any more is passed over, and what is wrong is still found.
#[test]
fn recipes_of_version_0_1_0_are_read() {
    let old = include_str!("../../tests/data/recipe-0.1.0.toml");
    let recipe = Recipe::parse(old).expect("a recipe");
    let adversarial = recipe.adversarial.as_ref().expect("a stage");
    assert_eq!((adversarial.weights.content, adversarial.discriminator_rate), (2.0, 6e-4));
    let text = recipe.to_toml().expect("it can be written");
    assert!(!text.contains("grid") && !text.contains("discriminators]"), "{text}");
    assert_eq!(Recipe::parse(&text).expect("it can be read"), recipe);
    for (from, to, want) in [
        ("batch = 4", "batch = 0", "batch is 0"),
        ("colour = 4.0", "color = 4.0", "unknown field `color`"),
        ("reduction = 1\n", "reduction = 1\ngrit = 2\n", "unknown field `grit`"),
    ] {
        let error = Recipe::parse(&old.replacen(from, to, 1)).expect_err("it is wrong").to_string();
        assert!(error.contains(want), "{error}, not {want}");
    }
}

#[test]
fn wrong_numbers_are_named() {
    check("batch = 4", "batch = 0", "imitation.course.batch is 0: it must be 1 to 64");
    check("learning_rate = 0.001", "learning_rate = nan", "learning_rate is NaN: it must be 0 to 1");
    check("crops_px = [128, 160]", "crops_px = [100]", "100: it must be a multiple of 8");
    check("crops_px = [128, 160]", "crops_px = []", "crops_px, in number, is 0");
    check("minutes = 15.0", "steps = 0", "length.steps is 0");
    check("seed = 1", "seed = -1", "can't be read");
    check("seed = 1", "seed = 1\nsead = 2", "unknown field");
    check("seed = 1\n", "", "missing field");
    check(
        "discriminator_rate = 0.0006",
        "discriminator_rate = 2.0",
        "discriminator_rate is 2: it must be 0 to 1",
    );
    check(
        "[watch]",
        "[target]\nstyle = \"../cel\"\n\n[watch]",
        "target.style is ../cel: it must be a style's id",
    );
    check("l1 = 1.0\ngradient = 1.0", "l1 = 0.0\ngradient = 0.0", "without any loss");
    check("most_returns = 5", "most_returns = 5000", "watch.most_returns is 5000: it must be 0 to 1000");
    check("art_scales = [0.25, 0.6]", "art_scales = [0.5, 0.2]", "art_scales is 0.2: it must be 0.5 to 1");
    check("lambda = 0.012", "lambda = -1.0", "abstraction");
    check("c1 = 48", "c1 = 0", "512 channels");
    check("seed = 1", &format!("seed = 1 #{}", " ".repeat(MAX_BYTES)), "at most 65536 bytes");
}
