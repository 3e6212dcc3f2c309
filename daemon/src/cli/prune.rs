//! `utsushi styles prune`: a smaller, faster file of a style that draws almost the same.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use utsushi_engine::prune::{self, PruneReport, Settings};
use utsushi_ipc::paths;

use super::gallery::Wanted;
use super::{Usage, values};
use crate::library::Library;

/// More pictures make it slower, and hardly better.
const MOST_PICTURES: usize = 24;
/// Half of the pictures are measured with.
const LEAST_PICTURES: usize = 2;
const PICTURE_PX: u32 = 768;
const LEAST_PX: u32 = 64;

/// Write a smaller, faster file of a style that draws almost the same
///
/// Channels that say least are taken out of the network, and the others fitted to do their work. How near the result is
/// to the style is measured on pictures, and told: 40 dB is hard to see.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  utsushi styles prune hana -o hana-small.safetensors
  utsushi styles prune hana --keep 0.25 --photos ~/Pictures/trip -o hana-tiny.safetensors")]
pub(super) struct Prune {
    /// The style; those that share its file come along
    #[arg(value_name = "ID")]
    id: String,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The share of the channels inside each block that stays
    #[arg(long, value_name = "0..1", default_value = "0.5", value_parser = values::fraction)]
    keep: f32,
    /// A folder of pictures such as the style will draw [default: the folder of pictures that the desktop knows]
    #[arg(long, value_name = "DIR")]
    photos: Option<PathBuf>,
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

/// What is told as JSON.
#[derive(Serialize)]
struct Told {
    channels: [usize; 2],
    bytes: [usize; 2],
    block_products: [usize; 2],
    worst_psnr_db: Option<f64>,
}

impl Prune {
    pub(super) fn execute(self, library: &Library) -> anyhow::Result<()> {
        let (_, file) =
            library.volume(&self.id).ok_or_else(|| Usage::new(library.unknown(&self.id).to_string()))?;
        if self.keep == 0.0 {
            return Err(Usage::new("--keep 0 would leave nothing: give a number above 0").into());
        }
        let photos = self.photos.or_else(paths::pictures);
        let photos =
            photos.ok_or_else(|| Usage::new("where the pictures are isn't known: say it with --photos"))?;
        let wanted = Wanted {
            most: MOST_PICTURES,
            least: LEAST_PICTURES,
            long_side_px: PICTURE_PX,
            short_side_px: LEAST_PX,
        };
        let pictures = wanted.read(&photos)?;
        let pictures: Vec<_> = pictures
            .iter()
            .map(|picture| prune::Picture {
                width: picture.width as usize,
                height: picture.height as usize,
                rgb: &picture.rgb,
            })
            .collect();
        let (pruned, report) = prune::prune(&file, Settings { keep: f64::from(self.keep) }, &pictures)?;
        pruned.save(&self.output)?;
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string(&Told::of(&report))?)?;
        } else {
            writeln!(out, "{}: {}", self.output.display(), describe(&report))?;
        }
        Ok(())
    }
}

impl Told {
    fn of(report: &PruneReport) -> Self {
        let PruneReport { channels, bytes, block_products, .. } = *report;
        let worst = report.worst_psnr_db();
        Self { channels, bytes, block_products, worst_psnr_db: worst.is_finite().then_some(worst) }
    }
}

fn describe(report: &PruneReport) -> String {
    let PruneReport { channels, bytes, block_products, .. } = report;
    let worst = report.worst_psnr_db();
    let difference = match worst.is_finite() {
        true => format!("at least {worst:.1} dB from the style"),
        false => "the same as the style".to_owned(),
    };
    format!(
        "{} of {} channels, {} of {} KB, {:.0} % of the work inside the blocks; {difference}",
        channels[1],
        channels[0],
        bytes[1] / 1000,
        bytes[0] / 1000,
        block_products[1] as f64 / block_products[0].max(1) as f64 * 100.0,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let report = PruneReport {
            channels: [100, 50],
            bytes: [800_000, 500_000],
            block_products: [1000, 510],
            psnr_db: vec![60.0, 54.321],
        };
        let expected = "50 of 100 channels, 500 of 800 KB, 51 % of the work inside the blocks; at least 54.3 dB from the \
                        style";
        assert_eq!(describe(&report), expected);
        let same = PruneReport { psnr_db: vec![f64::INFINITY], ..report };
        assert!(describe(&same).ends_with("the same as the style"));
        assert!(serde_json::to_string(&Told::of(&same)).expect("numbers").contains("\"worst_psnr_db\":null"));
    }
}
