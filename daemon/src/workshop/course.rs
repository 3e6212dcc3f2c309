//! The recipe that an order stands for, and the weights that it starts from.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use utsushi_engine::Generator;
use utsushi_engine::arch::brush::Sizes;
use utsushi_ipc::protocol::{Budget, RecipeChoice};
use utsushi_training::optimiser::Tensors;
use utsushi_training::recipe::{Adversarial, Generator as Network, Kind, Length, Preset, Recipe, Target};

use crate::jobs::order::Order;
use crate::library::Library;

/// How long the presets take.
const FAST_MINUTES: f64 = 60.0;
const QUALITY_MINUTES: f64 = 480.0;

/// Weights of a generator of these sizes.
pub(super) struct Start {
    pub(super) sizes: Sizes,
    pub(super) weights: Tensors,
}

/// What draws the pictures that photos are to become, and what tells it from all others.
pub(super) struct Teacher {
    pub(super) key: String,
    pub(super) generator: Arc<dyn Generator>,
}

/// What art is whose nearest built-in style this is; drawn, if it isn't known.
pub(super) fn kind_of(like: &str) -> Kind {
    match like {
        "oil" | "van-gogh" | "impressionist" | "paint" => Kind::Painted,
        _ => Kind::Drawn,
    }
}

/// The recipe of an order, checked, and as long as ordered.
///
/// The presets leave the imitation out: they start from a style that has learned it already, and what it draws is what
/// photos are to become, but for the art's palette and finish. What taught to restore goes on doing so.
pub(super) fn recipe(order: &Order) -> Result<Recipe, String> {
    let preset = |preset, minutes| {
        let like = order.like.as_deref().unwrap_or(Kind::Drawn.base());
        let kind = kind_of(like);
        let preset = Recipe { imitation: None, ..Recipe::preset_for(preset, kind) };
        let preset = match Library::built_in_recipe(like).map(followed) {
            Some(Recipe { pictures, damage: Some(damage), .. }) => {
                let adversarial = preset.adversarial.map(|stage| Adversarial { own_targets: false, ..stage });
                Recipe { pictures, damage: Some(damage), adversarial, ..preset }
            }
            _ => preset,
        };
        (preset, Some(Length::Minutes(minutes)))
    };
    let (mut recipe, mut length) = match &order.recipe {
        RecipeChoice::Fast => preset(Preset::Fast, FAST_MINUTES),
        RecipeChoice::Quality => preset(Preset::Quality, QUALITY_MINUTES),
        RecipeChoice::Own(text) => (Recipe::parse(text).map_err(|error| error.to_string())?, None),
    };
    if recipe.styles != 1 {
        return Err(format!(
            "the recipe is for {} styles, and one is trained at a time; say 1",
            recipe.styles
        ));
    }
    if recipe.generator.brush().is_none() {
        return Err("the recipe trains a network that enlarges, which is no style".into());
    }
    match order.budget {
        Budget::Recipe => {}
        Budget::Minutes(minutes) => length = Some(Length::Minutes(f64::from(minutes))),
        Budget::Steps(steps) => length = Some(Length::Steps(u64::from(steps))),
    }
    if let Some(length) = length {
        set_length(&mut recipe, length);
    }
    recipe.check().map_err(|error| error.to_string())?;
    Ok(recipe)
}

/// The recipe of a built-in style.
fn followed(text: &str) -> Recipe {
    Recipe::parse(text).expect("the recipe of a built-in style can be followed")
}

/// Does a built-in style draw, and not only restore what was damaged?
pub(super) fn draws(id: &str) -> bool {
    Library::built_in_recipe(id).map(followed).is_some_and(|recipe| recipe.damage.is_none())
}

/// Gives the stages their parts of the whole.
fn set_length(recipe: &mut Recipe, length: Length) {
    let shares = shares(recipe);
    let imitation = recipe.imitation.as_mut().map(|stage| &mut stage.course.length);
    let adversarial = recipe.adversarial.as_mut().map(|stage| &mut stage.course.length);
    for (stage, share) in [imitation, adversarial].into_iter().zip(shares) {
        let Some(stage) = stage else { continue };
        *stage = match length {
            Length::Minutes(minutes) => Length::Minutes((minutes * share).max(0.1)),
            Length::Steps(steps) => Length::Steps(((steps as f64 * share).round() as u64).max(1)),
        };
    }
}

/// The parts of all that the stages are, imitation first: 1 in all.
pub(super) fn shares(recipe: &Recipe) -> [f64; 2] {
    let lengths = [
        recipe.imitation.as_ref().map(|stage| stage.course.length),
        recipe.adversarial.as_ref().map(|stage| stage.course.length),
    ];
    match lengths {
        [Some(Length::Steps(a)), Some(Length::Steps(b))] => parts(a as f64, b as f64),
        [Some(Length::Minutes(a)), Some(Length::Minutes(b))] => parts(a, b),
        // Minutes and steps can't be compared.
        [Some(_), Some(_)] => [0.5, 0.5],
        [Some(_), None] => [1.0, 0.0],
        [None, _] => [0.0, 1.0],
    }
}

fn parts(a: f64, b: f64) -> [f64; 2] {
    [a / (a + b), b / (a + b)]
}

/// What an order starts from: the style that it names; otherwise the base of drawn styles, for a recipe without imitation; or
/// nothing.
pub(super) fn start(order: &Order, recipe: &Recipe, library: &Library) -> Result<Option<Start>, String> {
    let id = match &order.like {
        Some(id) => id,
        None if recipe.imitation.is_none() => Kind::Drawn.base(),
        None => return Ok(None),
    };
    let (_, file) = library.volume(id).ok_or_else(|| library.unknown(id).to_string())?;
    let (sizes, weights) = file.trainable(id).ok_or_else(|| {
        format!(
            "the style {id:?} has a network ({}) that isn't trained here; start from another (--like)",
            file.arch()
        )
    })?;
    Ok(Some(Start { sizes, weights: weights.into_iter().collect::<BTreeMap<_, _>>() }))
}

/// Who draws what photos are to become, if the recipe names a style.
pub(super) fn teacher(recipe: &Recipe, library: &Library) -> Result<Option<Teacher>, String> {
    let Some(Target { style: id }) = &recipe.target else { return Ok(None) };
    let (_, file) = library.volume(id).ok_or_else(|| library.unknown(id).to_string())?;
    let unfit = |why: &dyn Display| format!("the style {id:?} can't draw what photos are to become: {why}");
    let (_, weights) = file.trainable(id).ok_or_else(|| unfit(&format!("it is a {}", file.arch())))?;
    let mut hasher = DefaultHasher::new();
    for (name, weight) in weights.into_iter().collect::<BTreeMap<_, _>>() {
        let values: Vec<f32> =
            weight.flatten_all().and_then(|flat| flat.to_vec1()).map_err(|error| unfit(&error))?;
        (name, values.into_iter().map(f32::to_bits).collect::<Vec<_>>()).hash(&mut hasher);
    }
    let shares: Vec<_> = file.styles().iter().map(|style| f32::from(style.id == *id)).collect();
    let generator = file.generator(&shares).map_err(|error| unfit(&error))?;
    Ok(Some(Teacher { key: format!("style {:016x}", hasher.finish()), generator }))
}

/// Is it left open which style a preset starts from?
pub(super) fn needs_start(order: &Order) -> bool {
    order.like.is_none() && !matches!(order.recipe, RecipeChoice::Own(_))
}

/// The recipe with the sizes of the network that it starts from.
pub(super) fn fitted(recipe: Recipe, start: Option<&Start>) -> Recipe {
    match start {
        Some(start) => Recipe { generator: Network::Brush(start.sizes), ..recipe },
        None => recipe,
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use utsushi_engine::arch::brush::Version;

    use super::*;
    use crate::jobs::fake;

    fn order(recipe: RecipeChoice, budget: Budget) -> Order {
        let spec = fake::spec(Path::new("/"), "hana", 1);
        Order { recipe, budget, ..Order::try_from(spec).expect("sound") }
    }

    /// The lengths of the two stages.
    fn lengths(recipe: &Recipe) -> [Option<Length>; 2] {
        let imitation = recipe.imitation.as_ref().map(|stage| stage.course.length);
        [imitation, recipe.adversarial.as_ref().map(|stage| stage.course.length)]
    }

    /// Of a recipe with both stages.
    fn own(imitation: Length, adversarial: Length) -> RecipeChoice {
        let mut recipe = Recipe::preset(Preset::Fast);
        recipe.imitation.as_mut().expect("a stage").course.length = imitation;
        recipe.adversarial.as_mut().expect("a stage").course.length = adversarial;
        RecipeChoice::Own(recipe.to_toml().expect("it can be written"))
    }

    #[test]
    fn budgets_are_parted_among_the_stages() {
        use Length::{Minutes, Steps};
        fn check(choice: RecipeChoice, budget: Budget, expected: [Option<Length>; 2]) {
            let recipe = recipe(&order(choice.clone(), budget)).expect("a recipe");
            assert_eq!(lengths(&recipe), expected, "{choice:?} {budget:?}");
            recipe.check().expect("it can be followed");
        }
        check(RecipeChoice::Fast, Budget::Recipe, [None, Some(Minutes(60.0))]);
        check(RecipeChoice::Quality, Budget::Recipe, [None, Some(Minutes(480.0))]);
        check(RecipeChoice::Fast, Budget::Minutes(5), [None, Some(Minutes(5.0))]);
        check(RecipeChoice::Quality, Budget::Steps(7), [None, Some(Steps(7))]);
        let both = || own(Steps(100), Steps(300));
        check(both(), Budget::Recipe, [Some(Steps(100)), Some(Steps(300))]);
        check(both(), Budget::Minutes(60), [Some(Minutes(15.0)), Some(Minutes(45.0))]);
        check(both(), Budget::Steps(8), [Some(Steps(2)), Some(Steps(6))]);
        check(both(), Budget::Steps(1), [Some(Steps(1)), Some(Steps(1))]);
        check(own(Minutes(1.0), Steps(1)), Budget::Steps(4), [Some(Steps(2)), Some(Steps(2))]);
    }

    #[test]
    fn recipes_that_cannot_be_followed_are_refused() {
        fn check(change: impl FnOnce(&mut Recipe), words: &str) {
            let mut own = Recipe::preset(Preset::Fast);
            change(&mut own);
            let own = RecipeChoice::Own(own.to_toml().expect("it can be written"));
            let error = recipe(&order(own, Budget::Recipe)).expect_err(words);
            assert!(error.contains(words), "{error}, not {words}");
        }
        check(|recipe| recipe.styles = 2, "2 styles");
        check(|recipe| recipe.generator = Network::Brush(Sizes { c1: 0, ..Sizes::default() }), "generator");
        let text = RecipeChoice::Own("seed = much".into());
        assert!(recipe(&order(text, Budget::Recipe)).is_err());
    }

    #[test]
    fn kinds_have_weights_of_their_own() {
        let check = |like: Option<&str>, own_targets: bool, l1: f64, art_scales: [f32; 2]| {
            let order = order(RecipeChoice::Fast, Budget::Recipe);
            let recipe = recipe(&Order { like: like.map(str::to_owned), ..order }).expect("a recipe");
            assert_eq!(recipe.damage.is_some(), !own_targets, "{like:?}");
            assert_eq!(recipe.pictures.art_scales, art_scales, "{like:?}");
            assert!(recipe.imitation.is_none(), "{like:?}");
            let stage = recipe.adversarial.expect("a game");
            assert_eq!((stage.own_targets, stage.weights.l1), (own_targets, l1), "{like:?}");
        };
        for like in [None, Some("mine"), Some("cel"), Some("comic")] {
            check(like, true, 1.0, [0.25, 0.6]);
        }
        for like in ["oil", "van-gogh", "impressionist", "paint"] {
            check(Some(like), true, 0.7, [0.4, 0.9]);
        }
        check(Some("restore"), false, 1.0, [0.5, 1.0]);
    }

    #[test]
    fn teachers_are_told_apart() {
        let library = Library::open(PathBuf::from("/nowhere"));
        let by = |style: &str| {
            let recipe =
                Recipe { target: Some(Target { style: style.into() }), ..Recipe::preset(Preset::Fast) };
            teacher(&recipe, &library).map(|teacher| teacher.expect("a teacher").key)
        };
        assert_eq!(by("cel").expect("a key"), by("cel").expect("a key"));
        assert_ne!(by("cel").expect("a key"), by("oil").expect("a key"));
        assert!(by("none").is_err_and(|why| why.contains("no style \"none\"")));
    }

    #[test]
    fn what_it_starts_from() {
        let library = Library::open(PathBuf::from("/nowhere"));
        let presets = order(RecipeChoice::Fast, Budget::Recipe);
        let preset = recipe(&presets).expect("a recipe");
        let found = start(&presets, &preset, &library).expect("a style").expect("a start");
        let count = Sizes::default().tensor_count(Version::Two);
        assert_eq!((found.sizes, found.weights.len()), (Sizes::default(), count));
        let whole = order(own(Length::Steps(1), Length::Steps(1)), Budget::Recipe);
        let recipe = recipe(&whole).expect("a recipe");
        assert!(start(&whole, &recipe, &library).expect("nothing").is_none());
        let like = Order { like: Some("cel".into()), ..whole.clone() };
        assert!(start(&like, &recipe, &library).expect("a style").is_some());
        let like = Order { like: Some("none".into()), ..whole };
        assert!(start(&like, &recipe, &library).is_err_and(|why| why.contains("no style \"none\"")));
    }
}
