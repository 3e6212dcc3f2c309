//! Compares two picture files: the same size, and as different as asked for. For checks in scripts.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Parser;
use utsushi::picture;
use utsushi_tests::pictures::mean_difference;

/// Are two pictures of one size, and their mean difference within bounds?
#[derive(Parser)]
struct Args {
    /// A picture
    a: PathBuf,
    /// Another
    b: PathBuf,
    /// The least mean difference of a sample, of 255
    #[arg(long, default_value_t = 0.0)]
    least_difference: f64,
    /// The most
    #[arg(long, default_value_t = 255.0)]
    most_difference: f64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let a = picture::read(&args.a).with_context(|| args.a.display().to_string())?;
    let b = picture::read(&args.b).with_context(|| args.b.display().to_string())?;
    ensure!(a.raster == b.raster, "{:?} and {:?} differ", a.raster, b.raster);
    let difference = mean_difference(&a.pixels, &b.pixels);
    println!("{} x {}, mean difference {difference:.2} of 255", a.raster.width(), a.raster.height());
    let bounds = args.least_difference..=args.most_difference;
    ensure!(bounds.contains(&difference), "the mean difference is not within {bounds:?}");
    Ok(())
}
