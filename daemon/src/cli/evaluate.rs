//! `utsushi evaluate`: how good is a style, in numbers?

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use utsushi_ipc::paths;
use utsushi_training::abstraction::redrawn;
use utsushi_training::data::MIN_SIDE_PX;
use utsushi_training::evaluate::{Judge, LEAST_PICTURES, Scores, common_side, stacked};

use super::gallery::Wanted;
use super::{Ending, Usage};
use crate::library::Library;
use crate::workshop;

/// More make it slower, and hardly surer.
const MOST_PICTURES: usize = 40;
/// What is judged is the middle of each picture, as large as all pictures have it, after it was reduced to this, but not
/// below training's least side: art more than photos, so that lines are a pixel or two wide.
const PHOTO_PX: u32 = 512;
const ART_PX: u32 = 384;

/// Judge a style by what it makes of photos, and by the art it was learned from
///
/// Distance says how far the results are from the art, by how they are painted: at 0 they can't be told apart; that of the
/// photos themselves is where a style begins. Content says how far they are from what
/// the photos show: at 0 they show exactly that. Diversity says how unlike each other they are, against the photos. All
/// three are about what a perceptual network sees; only numbers from the same pictures can be compared.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  utsushi evaluate hana --art ~/art
  utsushi evaluate hana --art ~/art --photos ~/Pictures/trip --json")]
pub(super) struct Evaluate {
    /// The style
    #[arg(value_name = "STYLE")]
    style: String,
    /// A folder of pictures in the style
    #[arg(long, value_name = "DIR")]
    art: PathBuf,
    /// A folder of photos, better such as it wasn't trained with [default: the folder that the desktop knows]
    #[arg(long, value_name = "DIR")]
    photos: Option<PathBuf>,
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

/// What is told as JSON.
#[derive(Serialize)]
struct Told<'a> {
    style: &'a str,
    pictures: usize,
    photos: usize,
    photos_distance: f64,
    #[serde(flatten)]
    scores: Scores,
}

impl Evaluate {
    pub(super) fn execute(self) -> anyhow::Result<Ending> {
        let library = Library::open(paths::styles());
        let (_, file) = library
            .volume(&self.style)
            .ok_or_else(|| Usage::new(library.unknown(&self.style).to_string()))?;
        let shares: Vec<_> = file.styles().iter().map(|style| f32::from(style.id == self.style)).collect();
        let generator = file.generator(&shares).context("the style can't be loaded")?;
        let photos = self.photos.or_else(paths::pictures);
        let photos =
            photos.ok_or_else(|| Usage::new("where the photos are isn't known: say it with --photos"))?;
        let (art, photos) = (wanted(ART_PX).read(&self.art)?, wanted(PHOTO_PX).read(&photos)?);
        let features = workshop::features().map_err(anyhow::Error::msg)?;
        let features = &*features;

        let began = Instant::now();
        let results = photos.iter().map(|photo| redrawn(&generator, photo)).collect::<Result<Vec<_>, _>>()?;
        let megapixels: f64 = photos.iter().map(|p| f64::from(p.width) * f64::from(p.height) / 1e6).sum();
        let seconds = began.elapsed().as_secs_f64() / megapixels;

        let side = common_side(art.iter().chain(&photos));
        let judge = Judge::new(features, &stacked(&art, side)?, &stacked(&photos, side)?)?;
        let scores = judge.judge(features, &stacked(&results, side)?)?;
        let scores = Scores { seconds_per_megapixel: Some(seconds), ..scores };
        let photos_distance = judge.judge(features, judge.photos())?.distance;
        let told =
            Told { style: &self.style, pictures: art.len(), photos: photos.len(), photos_distance, scores };
        let mut out = io::stdout().lock();
        match self.json {
            true => writeln!(out, "{}", serde_json::to_string(&told)?)?,
            false => out.write_all(describe(&told).as_bytes())?,
        }
        Ok(Ending::Done)
    }
}

fn wanted(long_side_px: u32) -> Wanted {
    Wanted { most: MOST_PICTURES, least: LEAST_PICTURES, long_side_px, short_side_px: MIN_SIDE_PX }
}

fn describe(Told { pictures, photos, photos_distance, scores, .. }: &Told) -> String {
    let Scores { distance, distance_error, content, diversity, seconds_per_megapixel, .. } = scores;
    format!(
        "distance   {distance:.4} (standard error {distance_error:.4}), against {pictures} pictures; the photos': {photos_distance:.4}\n\
         content    {content:.3} from the {photos} photos\n\
         diversity  {diversity:.3} of the photos'\n\
         time       {:.3} s a megapixel\n",
        seconds_per_megapixel.unwrap_or(0.0)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let scores = Scores {
            distance: 0.1,
            distance_error: 0.02,
            content: 0.5,
            diversity: 0.75,
            art_accuracy: None,
            result_accuracy: None,
            seconds_per_megapixel: Some(0.25),
        };
        let told = Told { style: "hana", pictures: 30, photos: 20, photos_distance: 0.3, scores };
        assert_eq!(
            describe(&told),
            "distance   0.1000 (standard error 0.0200), against 30 pictures; the photos': 0.3000\n\
             content    0.500 from the 20 photos\n\
             diversity  0.750 of the photos'\n\
             time       0.250 s a megapixel\n"
        );
        let json = serde_json::to_string(&told).expect("numbers");
        assert!(
            json.starts_with(
                r#"{"style":"hana","pictures":30,"photos":20,"photos_distance":0.3,"distance":0.1,"#
            ),
            "{json}"
        );
    }
}
