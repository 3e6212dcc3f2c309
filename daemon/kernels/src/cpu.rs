//! Which instructions there are, and vectors of them.

use std::sync::OnceLock;

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
    /// (`avx512`, `avx2`, `neon`, `portable`) if this machine can run it. Asked once a process.
    pub fn detect() -> Self {
        static CPU: OnceLock<Cpu> = OnceLock::new();
        *CPU.get_or_init(|| {
            let available = Self::available();
            let wanted = std::env::var("UTSUSHI_CPU").unwrap_or_default();
            available.iter().copied().find(|cpu| cpu.name() == wanted).unwrap_or(available[0])
        })
    }

    /// As in `UTSUSHI_CPU`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Self::Neon => "neon",
        }
    }

    /// Values a vector, and vectors a register tile.
    pub(crate) fn tile(self) -> (usize, usize) {
        struct Tile;
        impl Kernel for Tile {
            type Output = (usize, usize);
            #[inline(always)]
            fn run<L: Lanes>(self, _: L) -> (usize, usize) {
                (L::COUNT, L::TILE.1)
            }
        }
        self.run(Tile)
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
            #[cfg(target_arch = "aarch64")]
            Self::Neon => vectorize(pulp::aarch64::Neon::try_new(), kernel),
        }
    }
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
            self.0.run(Native(simd))
        }
    }
    let simd = simd.expect("a Cpu comes from Cpu::available()");
    simd.vectorize(Op(kernel))
}

/// Vectors of `f32`. `load` and `store` take slices of at least `COUNT` values.
pub(crate) trait Lanes: Copy {
    type V: Copy;
    const COUNT: usize;
    /// Pixels and vectors of the register tile of a product: as many accumulators as there are registers for.
    const TILE: (usize, usize);
    fn vectors(from: &[f32]) -> &[Self::V];
    fn splat(self, value: f32) -> Self::V;
    fn load(self, from: &[f32]) -> Self::V;
    fn store(self, to: &mut [f32], value: Self::V);
    /// At most `COUNT` values, and zeros.
    fn load_first(self, from: &[f32]) -> Self::V;
    /// As many of the values as there is room for.
    fn store_first(self, to: &mut [f32], value: Self::V);
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// a * b + c, rounded once where the CPU can.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    fn sum(self, a: Self::V) -> f32;
}

#[derive(Clone, Copy)]
pub(crate) struct Native<S>(S);

impl<S: pulp::Simd> Lanes for Native<S> {
    type V = S::f32s;
    const COUNT: usize = S::F32_LANES;
    // AVX2 has 16 registers, the others 32.
    const TILE: (usize, usize) = if S::F32_LANES == 8 { (6, 2) } else { (8, 3) };

    #[inline(always)]
    fn vectors(from: &[f32]) -> &[S::f32s] {
        S::as_simd_f32s(from).0
    }

    #[inline(always)]
    fn splat(self, value: f32) -> S::f32s {
        self.0.splat_f32s(value)
    }
    #[inline(always)]
    fn load(self, from: &[f32]) -> S::f32s {
        S::as_simd_f32s(&from[..S::F32_LANES]).0[0]
    }
    #[inline(always)]
    fn store(self, to: &mut [f32], value: S::f32s) {
        S::as_mut_simd_f32s(&mut to[..S::F32_LANES]).0[0] = value;
    }
    #[inline(always)]
    fn load_first(self, from: &[f32]) -> S::f32s {
        self.0.partial_load_f32s(from)
    }
    #[inline(always)]
    fn store_first(self, to: &mut [f32], value: S::f32s) {
        self.0.partial_store_f32s(to, value);
    }
    #[inline(always)]
    fn add(self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.add_f32s(a, b)
    }
    #[inline(always)]
    fn sub(self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.sub_f32s(a, b)
    }
    #[inline(always)]
    fn mul(self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.mul_f32s(a, b)
    }
    #[inline(always)]
    fn max(self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.max_f32s(a, b)
    }
    #[inline(always)]
    fn mul_add(self, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
        self.0.mul_add_f32s(a, b, c)
    }
    #[inline(always)]
    fn sum(self, a: S::f32s) -> f32 {
        self.0.reduce_sum_f32s(a)
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Portable {
    #[inline(always)]
    fn zip(a: [f32; 8], b: [f32; 8], f: impl Fn(f32, f32) -> f32) -> [f32; 8] {
        std::array::from_fn(|i| f(a[i], b[i]))
    }
}

impl Lanes for Portable {
    type V = [f32; 8];
    const COUNT: usize = 8;
    const TILE: (usize, usize) = (2, 2);

    #[inline(always)]
    fn vectors(from: &[f32]) -> &[[f32; 8]] {
        from.as_chunks().0
    }

    #[inline(always)]
    fn splat(self, value: f32) -> [f32; 8] {
        [value; 8]
    }
    #[inline(always)]
    fn load(self, from: &[f32]) -> [f32; 8] {
        *from.first_chunk().expect("a vector's length")
    }
    #[inline(always)]
    fn store(self, to: &mut [f32], value: [f32; 8]) {
        to[..8].copy_from_slice(&value);
    }
    #[inline(always)]
    fn load_first(self, from: &[f32]) -> [f32; 8] {
        std::array::from_fn(|i| from.get(i).copied().unwrap_or(0.0))
    }
    #[inline(always)]
    fn store_first(self, to: &mut [f32], value: [f32; 8]) {
        to.iter_mut().zip(value).for_each(|(to, value)| *to = value);
    }
    #[inline(always)]
    fn add(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        Self::zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        Self::zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        Self::zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn max(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        // Not `f32::max`, which is slower since it must look for NaN.
        Self::zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn mul_add(self, a: [f32; 8], b: [f32; 8], c: [f32; 8]) -> [f32; 8] {
        // Not `f32::mul_add`, which is a function call where the CPU lacks the instruction.
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    fn sum(self, a: [f32; 8]) -> f32 {
        a.iter().sum()
    }
}
