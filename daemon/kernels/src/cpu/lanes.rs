//! Vectors of `f32`.

use std::marker::PhantomData;

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

    /// Inputs in a *word*, which is what a product multiplies with at once: 1, and the word is the input; or 2, and
    /// the word's bits are two inputs in bf16, the first in the lower half. Words are moved, never computed with.
    const INPUTS: usize;
    /// Inputs become words: a vector of them the first `COUNT / INPUTS` values of `to`.
    fn store_words(self, to: &mut [f32], inputs: Self::V);
    /// Each lane's word of a first and a second input. Where a word is one input, it is the first.
    fn word(self, first: Self::V, second: Self::V) -> Self::V;
    /// The product of a word of inputs, in every lane, and words of weights, plus `sum`.
    fn add_product(self, word: Self::V, weights: Self::V, sum: Self::V) -> Self::V;
}

/// How inputs are multiplied with weights.
pub(crate) trait Products<S: pulp::Simd>: Copy {
    /// See [`Lanes::INPUTS`].
    const INPUTS: usize;
    fn store_words(simd: S, to: &mut [f32], inputs: S::f32s);
    fn word(simd: S, first: S::f32s, second: S::f32s) -> S::f32s;
    fn add_product(simd: S, word: S::f32s, weights: S::f32s, sum: S::f32s) -> S::f32s;
}

/// As they are.
#[derive(Clone, Copy)]
pub(crate) struct Single;

impl<S: pulp::Simd> Products<S> for Single {
    const INPUTS: usize = 1;

    #[inline(always)]
    fn store_words(_: S, to: &mut [f32], inputs: S::f32s) {
        S::as_mut_simd_f32s(&mut to[..S::F32_LANES]).0[0] = inputs;
    }
    #[inline(always)]
    fn word(_: S, first: S::f32s, _: S::f32s) -> S::f32s {
        first
    }
    #[inline(always)]
    fn add_product(simd: S, word: S::f32s, weights: S::f32s, sum: S::f32s) -> S::f32s {
        simd.mul_add_f32s(word, weights, sum)
    }
}

/// The vectors of an instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Native<S, P>(S, PhantomData<P>);

impl<S, P> Native<S, P> {
    pub(crate) const fn new(simd: S) -> Self {
        Self(simd, PhantomData)
    }
}

impl<S: pulp::Simd, P: Products<S>> Lanes for Native<S, P> {
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

    const INPUTS: usize = P::INPUTS;
    #[inline(always)]
    fn store_words(self, to: &mut [f32], inputs: S::f32s) {
        P::store_words(self.0, to, inputs);
    }
    #[inline(always)]
    fn word(self, first: S::f32s, second: S::f32s) -> S::f32s {
        P::word(self.0, first, second)
    }
    #[inline(always)]
    fn add_product(self, word: S::f32s, weights: S::f32s, sum: S::f32s) -> S::f32s {
        P::add_product(self.0, word, weights, sum)
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
        *to.first_chunk_mut().expect("a vector's length") = value;
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

    const INPUTS: usize = 1;
    #[inline(always)]
    fn store_words(self, to: &mut [f32], inputs: [f32; 8]) {
        self.store(to, inputs);
    }
    #[inline(always)]
    fn word(self, first: [f32; 8], _: [f32; 8]) -> [f32; 8] {
        first
    }
    #[inline(always)]
    fn add_product(self, word: [f32; 8], weights: [f32; 8], sum: [f32; 8]) -> [f32; 8] {
        self.mul_add(word, weights, sum)
    }
}
