//! What is a recipe, and what is none.

use super::*;

#[test]
fn presets_are_right_and_survive_a_file() {
    for preset in [Preset::Fast, Preset::Quality] {
        let recipe = Recipe::preset(preset);
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
    let crops = recipe.photo_crops(vec![picture()], filtered).expect("crops");
    let [damaged, whole] = &crops.batch(1, 1, 2, 64)[..] else { panic!("two versions") };
    assert!(damaged.len() == whole.len() && damaged != whole);
    assert_ne!(recipe.shown(picture()), picture());
    let whole = Recipe::preset(Preset::Fast);
    assert_eq!(whole.shown(picture()), picture());
    let [photos, targets] = &whole
        .photo_crops(vec![picture()], |photos| Ok::<_, ()>(photos.to_vec()))
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
    check("form = \"hinge\"", "form = \"wasserstein\"", "unknown variant");
    check("features = 1.0\npixels = 0.5", "features = 0.0\npixels = 0.0", "discriminators is none");
    check("l1 = 1.0\ngradient = 1.0", "l1 = 0.0\ngradient = 0.0", "without any loss");
    check("most_returns = 5", "most_returns = 5000", "watch.most_returns is 5000: it must be 0 to 1000");
    check("art_scales = [0.22, 0.5]", "art_scales = [0.5, 0.2]", "art_scales is 0.2: it must be 0.5 to 1");
    check("lambda = 0.012", "lambda = -1.0", "abstraction");
    check("c1 = 48", "c1 = 0", "512 channels");
    check("seed = 1", &format!("seed = 1 #{}", " ".repeat(MAX_BYTES)), "at most 65536 bytes");
}
