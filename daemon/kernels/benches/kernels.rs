//! How fast the kernels are, next to what the machine can do.
//!
//! `cargo bench -p utsushi-kernels --bench kernels [NAME]` measures the machine's peak, multiply-adds in registers
//! on every thread, and then each kernel whose name contains NAME at the sizes that networks have it in: for each
//! the time, the GFLOP/s of the convolution as it is defined, and those as a share of the peak. A convolution by
//! Winograd multiplies less than that, so that its share can exceed 100 %; what it really multiplies stands in the
//! last column. Without vector instructions the peak is that of single values. `UTSUSHI_CPU` and
//! `RAYON_NUM_THREADS` choose instructions and threads.

use std::hint::black_box;
use std::time::Instant;

use pulp::{Simd, WithSimd};
use utsushi_kernels::{
    Activation, Block, BlockWeights, Conv, ConvWeights, Cpu, Geometry, InputNorm, Map, Noise, Shape, Source,
    Tail, TailWeights,
};

fn main() {
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let peak = peak_gflops();
    println!("{}, {} threads: peak {peak:.0} GFLOP/s", Cpu::detect().name(), rayon::current_num_threads());
    println!("{:34}{:>9}{:>10}{:>8}{:>10}", "", "ms", "GFLOP/s", "peak", "really");
    let report = |name: &str, flops: f64, multiplied: f64, run: &mut dyn FnMut()| {
        if name.contains(&wanted) {
            let seconds = seconds(run);
            let rate = |flops: f64| flops / seconds / 1e9;
            let share = |flops: f64| format!("{:.0} %", 100.0 * rate(flops) / peak);
            let (ms, gflops) = (seconds * 1e3, rate(flops));
            println!("{name:34}{ms:9.2}{gflops:10.1}{:>8}{:>10}", share(flops), share(multiplied));
        }
    };

    for (name, geometry, channels, outputs, rows, cols) in convolutions() {
        let Geometry { kernel, stride, unshuffle, .. } = geometry;
        let shape = Shape::new((rows + kernel - stride) * unshuffle, cols * unshuffle, channels);
        let inputs = channels * unshuffle * unshuffle;
        let (x, weight) = (noise(shape.len()), noise(outputs * inputs * kernel * kernel));
        let weights = ConvWeights { weight: &weight, bias: &vec![0.1; outputs] };
        let conv = Conv::new(Cpu::detect(), geometry, weights);
        let rows_of_x: Vec<_> = x.chunks_exact(shape.row_len()).collect();
        let map = Map::new(&rows_of_x, shape.cols, channels);
        let source = match unshuffle {
            1 => Source::Map(map),
            factor => Source::Unshuffled(map, factor),
        };
        let mut out = vec![0.0; conv.output_shape(source.shape()).len()];
        let pixels = rows / stride * (cols / stride);
        let flops = 2.0 * (pixels * outputs * inputs * kernel * kernel) as f64;
        report(name, flops, 2.0 * pixels as f64 * conv.multiplications(), &mut || {
            conv.run(source, Activation::Relu, &mut out);
            black_box(&out);
        });
    }

    for (name, channels, rows, cols) in
        [("brush block 48", 48, 75, 75), ("brush block 96", 96, 38, 38), ("brush block 24", 24, 150, 150)]
    {
        let shape = Shape::new(rows + 2 * Block::REACH, cols, channels);
        let x = noise(shape.len());
        let weight = noise(2 * channels * channels);
        let block = Block::new(
            Cpu::detect(),
            BlockWeights {
                depthwise: &noise(channels * 25),
                depthwise_bias: &noise(channels),
                noise: &noise(channels),
                expand: &weight,
                expand_bias: &noise(2 * channels),
                project: &weight,
                project_bias: &noise(channels),
            },
        );
        let rows_of_x: Vec<_> = x.chunks_exact(shape.row_len()).collect();
        let map = Map::new(&rows_of_x, cols, channels);
        let strokes = noise(rows * cols);
        let mut out = vec![0.0; rows * shape.row_len()];
        let flops = 2.0 * (rows * cols * channels * (25 + 4 * channels)) as f64;
        report(name, flops, flops, &mut || {
            block.run(map, &strokes, &mut out);
            black_box(&out);
        });
    }
    tail(report);
}

/// The layers of brush-1, and of brush-2, at the full size of 300 x 300.
fn tail(report: impl Fn(&str, f64, f64, &mut dyn FnMut())) {
    let (half_shape, shape) = (Shape::new(150, 150, 24), Shape::new(300, 300, 3));
    let (half, picture) = (noise(half_shape.len()), noise(shape.len()));
    let weights = |inputs: usize, outputs: usize| (noise(inputs * outputs), noise(outputs));
    let (expand, join, rgb) = (weights(24, 48), weights(15 * 9, 12), weights(12 * 9, 3));
    let of_noise = noise(12);
    let tail = |noise| {
        let weights = TailWeights {
            expand: ConvWeights { weight: &expand.0, bias: &expand.1 },
            noise,
            join: ConvWeights { weight: &join.0, bias: &join.1 },
            rgb: ConvWeights { weight: &rgb.0, bias: &rgb.1 },
        };
        Tail::new(Cpu::detect(), weights)
    };
    let (half, picture): (Vec<_>, Vec<_>) =
        (half.chunks_exact(half_shape.row_len()).collect(), picture.chunks_exact(shape.row_len()).collect());
    let mut out = vec![0.0; shape.len()];
    let products =
        half_shape.rows * half_shape.cols * 24 * 48 + shape.rows * shape.cols * 9 * (15 * 12 + 12 * 3);
    for (name, tail) in
        [("brush-1 tail 24->3 300", tail(None)), ("brush-2 tail 24->3 300", tail(Some(&of_noise)))]
    {
        report(name, 2.0 * products as f64, 2.0 * products as f64, &mut || {
            let half = Map::new(&half, half_shape.cols, half_shape.channels);
            let noise = Noise::new(1, 2, 1.0, (0, 0));
            tail.run(half, Map::new(&picture, shape.cols, 3), noise, 0..shape.rows, &mut out);
            black_box(&out);
        });
    }
}

/// Name, geometry, channels before an unshuffle, outputs, rows and columns as the convolution sees them.
fn convolutions() -> Vec<(&'static str, Geometry, usize, usize, usize, usize)> {
    let k = Geometry::tiles;
    let down = |kernel| Geometry { stride: 2, ..k(kernel) };
    let unshuffle = |unshuffle| Geometry { unshuffle, ..k(3) };
    let shuffle = Geometry { shuffle: 2, input: InputNorm::Channels, ..k(1) };
    vec![
        // AnimeGANv2 on a strip of a picture 512 wide.
        ("anime 7x7 3->32 512", k(7), 3, 32, 32, 512),
        ("anime 3x3/2 32->64 512", down(3), 32, 64, 32, 512),
        ("anime 3x3 64->64 256", k(3), 64, 64, 64, 256),
        ("anime 3x3/2 64->128 256", down(3), 64, 128, 64, 256),
        ("anime 3x3 128->128 128", k(3), 128, 128, 128, 128),
        ("anime 1x1 128->256 128", k(1), 128, 256, 128, 128),
        ("anime 1x1 256->512 128", k(1), 256, 512, 128, 128),
        ("anime 1x1 512->256 128", k(1), 512, 256, 128, 128),
        ("anime 3x3 256->128 128", k(3), 256, 128, 128, 128),
        ("anime 3x3 128->128 256", k(3), 128, 128, 64, 256),
        ("anime 3x3 128->64 512", k(3), 128, 64, 32, 512),
        ("anime 3x3 64->64 512", k(3), 64, 64, 32, 512),
        ("anime 7x7 64->32 512", k(7), 64, 32, 32, 512),
        ("anime 1x1 32->3 512", k(1), 32, 3, 32, 512),
        // brush-1 on 300 x 300.
        ("brush stem 48->48 75", unshuffle(4), 3, 48, 75, 75),
        ("brush down 48->96 75", down(2), 48, 96, 74, 74),
        ("brush up 96->48 38", k(1), 96, 48, 38, 38),
        ("brush h1 48->96 75", shuffle, 48, 96, 75, 75),
        ("brush skip 12->24 150", unshuffle(2), 3, 24, 150, 150),
        ("brush h2 24->48 150", shuffle, 24, 48, 150, 150),
        ("brush dw 15->12 300", k(3), 15, 12, 300, 300),
        ("brush rgb 12->3 300", k(3), 12, 3, 300, 300),
    ]
}

/// The least that a run takes, over half a second of runs: what it takes when nobody else wants the cores.
fn seconds(run: &mut dyn FnMut()) -> f64 {
    run();
    let (begin, mut least) = (Instant::now(), f64::INFINITY);
    while begin.elapsed().as_secs_f64() < 0.5 {
        let start = Instant::now();
        run();
        least = least.min(start.elapsed().as_secs_f64());
    }
    least
}

fn noise(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i * 7919 % 2003) as f32 / 1001.0 - 1.0).collect()
}

/// Multiply-adds that wait for nothing but themselves, on every thread; the best of some runs.
fn peak_gflops() -> f64 {
    const ROUNDS: usize = 1 << 18;
    let flops = (2 * ROUNDS * ACCUMULATORS * lanes() * rayon::current_num_threads()) as f64;
    let best = (0..100)
        .map(|_| {
            let start = Instant::now();
            rayon::broadcast(|_| black_box(dispatch(Fma(ROUNDS))));
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min);
    flops / best / 1e9
}

/// Enough that each waits for its predecessor no longer than the others take; they fit in 16 registers.
const ACCUMULATORS: usize = 12;

struct Fma(usize);

impl WithSimd for Fma {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let (factor, term) = (simd.splat_f32s(black_box(0.99)), simd.splat_f32s(black_box(0.01)));
        let mut sums = [simd.splat_f32s(0.5); ACCUMULATORS];
        for _ in 0..self.0 {
            for sum in &mut sums {
                *sum = simd.mul_add_e_f32s(*sum, factor, term);
            }
        }
        sums.into_iter().map(|sum| simd.reduce_sum_f32s(sum)).sum()
    }
}

/// Runs with the instructions that the kernels use.
#[cfg(target_arch = "x86_64")]
fn dispatch<Op: WithSimd>(op: Op) -> Op::Output {
    match Cpu::detect().single() {
        Cpu::Avx512 | Cpu::Avx512Bf16 => {
            Simd::vectorize(pulp::x86::V4::try_new().expect("AVX-512 was detected"), op)
        }
        Cpu::Avx2 => Simd::vectorize(pulp::x86::V3::try_new().expect("AVX2 was detected"), op),
        Cpu::Portable => Simd::vectorize(pulp::Scalar::new(), op),
    }
}

#[cfg(target_arch = "aarch64")]
fn dispatch<Op: WithSimd>(op: Op) -> Op::Output {
    match Cpu::detect().single() {
        Cpu::Neon => Simd::vectorize(pulp::aarch64::Neon::try_new().expect("NEON was detected"), op),
        Cpu::Portable => Simd::vectorize(pulp::Scalar::new(), op),
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn dispatch<Op: WithSimd>(op: Op) -> Op::Output {
    Simd::vectorize(pulp::Scalar::new(), op)
}

fn lanes() -> usize {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;
        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }
    dispatch(Lanes)
}
