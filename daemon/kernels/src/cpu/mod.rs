//! Which instructions there are, and kernels compiled for them.

#[cfg(target_arch = "x86_64")]
mod bf16;
mod lanes;

use std::sync::OnceLock;

pub(crate) use lanes::Lanes;
use lanes::{Native, Portable, Single};

/// The instruction sets that the kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cpu {
    /// Whatever the compiler makes of arrays of eight; on x86-64 that is SSE2.
    Portable,
    /// AVX2 and FMA: vectors of 8.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, BW, CD, DQ and VL: vectors of 16.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// The same, but products of inputs and weights are of numbers rounded to bf16 (8 bits of mantissa), which
    /// takes half the time; sums are `f32`.
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
    /// NEON: vectors of 4.
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Cpu {
    /// Every instruction set that this machine can run, the fastest first.
    pub fn available() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if bf16::token().is_some() {
                all.push(Self::Avx512Bf16);
            }
            if pulp::x86::V4::try_new().is_some() {
                all.push(Self::Avx512);
            }
            if pulp::x86::V3::try_new().is_some() {
                all.push(Self::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if pulp::aarch64::Neon::try_new().is_some() {
            all.push(Self::Neon);
        }
        all.push(Self::Portable);
        all
    }

    /// The fastest that this machine can run, or the one that the environment variable `UTSUSHI_CPU` names
    /// (`avx512-bf16`, `avx512`, `avx2`, `neon`, `portable`) if this machine can run it. Asked once a process.
    pub fn detect() -> Self {
        static CPU: OnceLock<Cpu> = OnceLock::new();
        *CPU.get_or_init(|| {
            let available = Self::available();
            let wanted = std::env::var("UTSUSHI_CPU").unwrap_or_default();
            available.iter().copied().find(|cpu| cpu.name() == wanted).unwrap_or(available[0])
        })
    }

    /// The same, but nothing is rounded to less than `f32`.
    pub const fn single(self) -> Self {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => Self::Avx512,
            other => other,
        }
    }

    /// As in `UTSUSHI_CPU`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => "avx512-bf16",
            #[cfg(target_arch = "aarch64")]
            Self::Neon => "neon",
        }
    }

    /// What products are made of.
    pub(crate) fn tile(self) -> Tile {
        struct Ask;
        impl Kernel for Ask {
            type Output = Tile;
            #[inline(always)]
            fn run<L: Lanes>(self, _: L) -> Tile {
                Tile { lanes: L::COUNT, vectors: L::TILE.1, inputs: L::INPUTS }
            }
        }
        self.run(Ask)
    }

    /// Runs a kernel compiled for this instruction set.
    ///
    /// # Panics
    /// If this machine lacks it: it did not come from [`Cpu::available`] or [`Cpu::detect`].
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            Self::Portable => kernel.run(Portable),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => vectorize(pulp::x86::V3::try_new(), kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => vectorize(pulp::x86::V4::try_new(), kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => bf16::run(bf16::token().expect("a Cpu comes from Cpu::available()"), kernel),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => vectorize(pulp::aarch64::Neon::try_new(), kernel),
        }
    }
}

/// What a CPU's products are made of.
pub(crate) struct Tile {
    /// Values a vector.
    pub(crate) lanes: usize,
    /// Vectors in a register tile.
    pub(crate) vectors: usize,
    /// Inputs in a word; see [`Lanes::INPUTS`].
    pub(crate) inputs: usize,
}

/// A loop that is compiled once for each instruction set.
pub(crate) trait Kernel {
    type Output;
    fn run<L: Lanes>(self, lanes: L) -> Self::Output;
}

fn vectorize<S: pulp::Simd, K: Kernel>(simd: Option<S>, kernel: K) -> K::Output {
    struct Op<K>(K);
    impl<K: Kernel> pulp::WithSimd for Op<K> {
        type Output = K::Output;
        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, simd: S) -> K::Output {
            self.0.run(Native::<S, Single>::new(simd))
        }
    }
    let simd = simd.expect("a Cpu comes from Cpu::available()");
    simd.vectorize(Op(kernel))
}
