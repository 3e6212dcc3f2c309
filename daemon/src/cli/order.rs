//! How pictures are to be drawn: the options that `stylize` and `batch` have in common, and what `enlarge` asks for.

use std::collections::HashSet;

use clap::Args;
use utsushi_ipc::pixels::{Raster, RasterError};
use utsushi_ipc::protocol::{
    BrushSize, EnlargeScale, EnlargeSpec, MAX_MIX, MAX_SEED, PictureKind, PictureSpec, Priority, Profile,
    StyleShare, StylizeSpec,
};

use super::{Usage, values};
use crate::library::{self, Library};
use crate::picture::{Format, WriteOptions};

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "How to draw")]
pub(super) struct OrderArgs {
    /// The style; given several times, a mix, each with its share as in `--style cel=0.7`
    #[arg(short, long = "style", value_name = "ID[=SHARE]", default_value = Library::default_id())]
    #[arg(value_parser = values::style_share)]
    styles: Vec<StyleShare>,
    /// How much of the style: 0 leaves the picture as it is, 1 is all of it
    #[arg(long, value_name = "0..1", default_value = "1", value_parser = values::fraction)]
    strength: f32,
    /// The scale at which the style works: 1 gives the finest strokes of the brush, 64 the coarsest;
    /// `auto` makes small and large pictures look alike
    #[arg(long, value_name = "auto|1..64", default_value = "auto", value_parser = values::brush_size)]
    brush_size: BrushSize,
    /// How much of the picture's own colours to keep: 0 takes the style's, 1 keeps the picture's
    #[arg(long, alias = "keep-colors", value_name = "0..1", default_value = "0")]
    #[arg(value_parser = values::fraction)]
    keep_colours: f32,
    /// Which random texture, of styles that have one: another seed moves the strokes, the same gives the same picture
    #[arg(long, value_name = "0..2147483647", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=MAX_SEED))]
    seed: u64,
    /// How strong the style's random texture is, from 0, none of it, to 1, as the style was trained
    #[arg(long, value_name = "0..1", default_value = "1", value_parser = values::fraction)]
    grain: f32,
    /// The quality of JPEG files [default: 95]; other formats are written without loss
    #[arg(long, value_name = "1..100", value_parser = clap::value_parser!(u8).range(1..=100))]
    quality: Option<u8>,
}

/// Checked options.
#[derive(Debug, Clone)]
pub(super) struct Order {
    task: Task,
    /// If it was asked for.
    quality: Option<u8>,
    priority: Priority,
}

/// What is done to a picture.
#[derive(Debug, Clone)]
enum Task {
    Stylize {
        mix: Vec<StyleShare>,
        strength: f32,
        brush_size: BrushSize,
        keep_colours: f32,
        seed: u64,
        grain: f32,
    },
    Enlarge {
        scale: EnlargeScale,
        kind: PictureKind,
    },
}

impl OrderArgs {
    pub(super) fn order(self, priority: Priority) -> Result<Order, Usage> {
        let Self { styles: mix, strength, brush_size, keep_colours, seed, grain, quality } = self;
        if mix.len() > MAX_MIX {
            return Err(Usage::new(format!("a mix of {} styles: at most {MAX_MIX} can be mixed", mix.len())));
        }
        let mut seen = HashSet::new();
        if let Some(twice) = mix.iter().find(|style| !seen.insert(&style.id)) {
            return Err(Usage::new(format!(
                "--style {} is given twice: give it once, with its share",
                twice.id
            )));
        }
        let task = Task::Stylize { mix, strength, brush_size, keep_colours, seed, grain };
        Ok(Order { task, quality, priority })
    }
}

impl Order {
    /// To enlarge pictures.
    pub(super) fn enlarge(
        scale: EnlargeScale,
        kind: PictureKind,
        quality: Option<u8>,
        priority: Priority,
    ) -> Self {
        Self { task: Task::Enlarge { scale, kind }, quality, priority }
    }

    /// The styles to mix, where it is styles that draw.
    pub(super) fn styles(&self) -> impl Iterator<Item = &str> {
        let mix = match &self.task {
            Task::Stylize { mix, .. } => &mix[..],
            Task::Enlarge { .. } => &[],
        };
        mix.iter().map(|style| style.id.as_str())
    }

    pub(super) fn seed(&self) -> u64 {
        match self.task {
            Task::Stylize { seed, .. } => seed,
            Task::Enlarge { .. } => 0,
        }
    }

    /// What to ask of the daemon for a picture of this size, in sRGB.
    ///
    /// # Errors
    /// If the result would be too large.
    pub(super) fn spec(&self, raster: Raster) -> Result<PictureSpec, RasterError> {
        let priority = self.priority;
        Ok(match self.task.clone() {
            Task::Enlarge { scale, kind } => EnlargeSpec::new(raster, scale, kind, priority)?.into(),
            Task::Stylize { mix, strength, brush_size, keep_colours, seed, grain } => {
                let (place, profile) = (None, Profile::default());
                let spec = StylizeSpec {
                    raster,
                    mix,
                    strength,
                    brush_size,
                    keep_colours,
                    seed,
                    grain,
                    place,
                    priority,
                    profile,
                };
                spec.into()
            }
        })
    }

    pub(super) fn write_options(&self) -> WriteOptions {
        let WriteOptions { jpeg_quality } = WriteOptions::default();
        WriteOptions { jpeg_quality: self.quality.unwrap_or(jpeg_quality) }
    }

    /// Why the quality that was asked for can't be had, if one was: `format` is always written without loss. Of WebP,
    /// which others write with a loss, people expect it to be heard.
    pub(super) fn unheard_quality(&self, format: Format) -> Option<String> {
        (self.quality.is_some() && format == Format::WebP).then(|| {
            "WebP is written without loss, and takes no --quality; leave it out, or write JPEG".to_owned()
        })
    }

    /// Everything that decides what a file of this format will hold, in words that differ if any of it does.
    pub(super) fn describe(&self, format: Format) -> String {
        let mut words = self.task.describe();
        if format == Format::Jpeg {
            words += &format!(" quality {}", self.write_options().jpeg_quality);
        }
        words
    }
}

impl Task {
    fn describe(&self) -> String {
        let (mix, strength, brush_size, keep_colours, seed, grain) = match self {
            Self::Enlarge { scale, kind } => {
                let (kind_name, mark) = (values::kind_name(*kind), library::enlarger_mark(*kind));
                return format!("enlarge {kind_name} scale {} network {mark}", scale.times());
            }
            Self::Stylize { mix, strength, brush_size, keep_colours, seed, grain } => {
                (mix, strength, brush_size, keep_colours, seed, grain)
            }
        };
        let mix: Vec<_> = mix.iter().map(|style| format!("{}={}", style.id, style.share)).collect();
        let mix = mix.join("+");
        let brush_size = match brush_size {
            BrushSize::Auto => "auto".into(),
            BrushSize::Factor(factor) => factor.to_string(),
        };
        let mut words = format!(
            "style {mix} strength {strength} brush-size {brush_size} keep-colours {keep_colours} seed {seed}"
        );
        // Not said where it is 1: what was drawn before there was a choice is drawn.
        if *grain != 1.0 {
            words += &format!(" grain {grain}");
        }
        words
    }
}

#[cfg(test)]
pub(super) mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        order: OrderArgs,
    }

    /// The order that these options make.
    pub(in super::super) fn parse(line: &str) -> Option<Order> {
        let words = std::iter::once("x").chain(line.split_whitespace());
        Line::try_parse_from(words).ok()?.order.order(Priority::Batch).ok()
    }

    #[test]
    fn options_become_words() {
        fn check(line: &str, format: Format, expected: Option<&str>) {
            assert_eq!(parse(line).map(|order| order.describe(format)).as_deref(), expected, "{line}");
        }
        let plain = "style anime=1 strength 1 brush-size auto keep-colours 0 seed 0";
        check("", Format::Png, Some(plain));
        check("--quality 80", Format::Png, Some(plain));
        check("--quality 80", Format::Jpeg, Some(&format!("{plain} quality 80")));
        check("", Format::Jpeg, Some(&format!("{plain} quality 95")));
        check(
            "-s ink=0.7 --style oil=0.3 --strength 0.5 --brush-size 2 --keep-colors 1 --seed 7",
            Format::WebP,
            Some("style ink=0.7+oil=0.3 strength 0.5 brush-size 2 keep-colours 1 seed 7"),
        );
        check("--grain 1", Format::Png, Some(plain));
        check("--grain 0.25", Format::Png, Some(&format!("{plain} grain 0.25")));
        check("--grain 0 --quality 80", Format::Jpeg, Some(&format!("{plain} grain 0 quality 80")));
        let most = "style anime=1 strength 1 brush-size auto keep-colours 0 seed 2147483647";
        check("--seed 2147483647", Format::Png, Some(most));
        check("--seed 2147483648", Format::Png, None);
        check("--seed 18446744073709551616", Format::Png, None);
        check("--seed 1.5", Format::Png, None);
        check("--grain 7", Format::Png, None);
        check("--grain -0.1", Format::Png, None);
        check("--grain NaN", Format::Png, None);
        check("-s ink -s ink=2", Format::Png, None);
        check("-s a -s b -s c -s d -s e -s f -s g -s h -s i", Format::Png, None);
        check("--quality 0", Format::Png, None);
        check("--quality 101", Format::Png, None);
        check("--seed -1", Format::Png, None);
    }

    #[test]
    fn a_quality_that_nobody_hears_is_told() {
        fn check(line: &str, format: Format, expected: bool) {
            let told = parse(line).unwrap().unheard_quality(format);
            assert_eq!(told.is_some(), expected, "{line} {format:?}: {told:?}");
        }
        check("--quality 80", Format::WebP, true);
        check("", Format::WebP, false);
        check("--quality 80", Format::Jpeg, false);
        check("--quality 80", Format::Png, false);
    }
}
