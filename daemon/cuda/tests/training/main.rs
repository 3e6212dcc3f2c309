//! The GPU's operations for training against the processor's, whose gradients are tested against PyTorch's.
//!
//! They need a GPU, or the emulator in its place, and `UTSUSHI_TEST_DEVICE=cuda`; otherwise they say so and pass.

mod blur;
mod conv;
mod depthwise;
mod elementwise;
mod gram;
mod noise;
mod norms;
mod pixels;
mod rearrange;

use std::sync::{Arc, OnceLock};

use utsushi_cuda::Gpu;
use utsushi_cuda::training::{Batch, Values, Workbench};
use utsushi_kernels::Shape;

/// The GPU, if there is to be one.
fn bench() -> Option<&'static Arc<Workbench>> {
    static BENCH: OnceLock<Option<Arc<Workbench>>> = OnceLock::new();
    let open = || {
        if std::env::var("UTSUSHI_TEST_DEVICE").as_deref() != Ok("cuda") {
            eprintln!("skipped: UTSUSHI_TEST_DEVICE isn't cuda");
            return None;
        }
        Some(Workbench::new(Gpu::open(0).expect("a GPU")).expect("one that trains"))
    };
    BENCH.get_or_init(open).as_ref()
}

fn upload(bench: &Arc<Workbench>, values: &[f32]) -> Values {
    bench.upload(values).expect("room on the GPU")
}

/// Noise in -1..1 that is the same everywhere.
fn noise(seed: usize, len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 7 + seed * 13) as f32 * 12.9898).sin() * 43_758.547 % 1.0).collect()
}

fn shape(batch: Batch) -> Shape {
    Shape::new(batch.rows, batch.cols, batch.channels)
}

/// Both within a share of the largest value.
#[track_caller]
fn assert_close(what: &str, bench: &Workbench, got: &Values, want: &[f32], share: f32) {
    let got = bench.download(&[got]).expect("values");
    assert_eq!(got.len(), want.len(), "{what}");
    let largest = want.iter().fold(1e-6, |most, v| f32::max(most, v.abs()));
    let (at, worst) =
        got.iter().zip(want).map(|(a, b)| (a - b).abs()).enumerate().fold((0, 0.0), |worst, (i, d)| {
            // Not a number isn't close.
            if d <= worst.1 { worst } else { (i, d) }
        });
    assert!(
        worst <= share * largest,
        "{what}: at {at} {}, not {}, where the largest is {largest}",
        got[at],
        want[at]
    );
}

/// Both to the last bit.
#[track_caller]
fn assert_same(what: &str, bench: &Workbench, got: &Values, want: &[f32]) {
    let got = bench.download(&[got]).expect("values");
    assert_eq!(got.len(), want.len(), "{what}");
    if let Some(at) = (0..want.len()).find(|at| got[*at].to_bits() != want[*at].to_bits()) {
        panic!("{what}: at {at} {}, not {}", got[at], want[at]);
    }
}
