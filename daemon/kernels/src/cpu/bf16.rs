//! Products of bf16 with AVX-512's `vdpbf16ps`: two inputs at a time, summed in `f32`.
//!
//! pulp has no token for the instructions, so that this is the one place of the kernels that calls them itself.

#![allow(unsafe_code, reason = "pulp lacks avx512bf16")]

use std::arch::x86_64::{
    __m256bh, __m256i, __m512, __m512bh, __m512i, _mm512_cvtepu16_epi32, _mm512_cvtneps_pbh,
    _mm512_dpbf16_ps, _mm512_or_si512, _mm512_slli_epi32,
};
use std::mem::transmute;

use pulp::f32x16;
use pulp::x86::V4;

use super::Kernel;
use super::lanes::{Native, Products};

/// Proof that this CPU has AVX-512 with bf16.
#[derive(Clone, Copy)]
pub(super) struct Token(V4);

/// The proof, if there is one.
pub(super) fn token() -> Option<Token> {
    V4::try_new().filter(|_| std::arch::is_x86_feature_detected!("avx512bf16")).map(Token)
}

/// Runs a kernel compiled for these instructions.
pub(super) fn run<K: Kernel>(token: Token, kernel: K) -> K::Output {
    #[target_feature(
        enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512bf16,avx2,bmi1,bmi2,fma,lzcnt"
    )]
    fn compiled<K: Kernel>(token: Token, kernel: K) -> K::Output {
        kernel.run(Native::<V4, Bf16>::new(token.0))
    }
    // SAFETY: the token exists only where all of these features were detected.
    unsafe { compiled(token, kernel) }
}

/// Inputs and weights in pairs. It is private to this module, whose `run` alone makes lanes of it, so that whoever
/// calls its functions has passed a [`Token`].
#[derive(Clone, Copy)]
struct Bf16;

impl Products<V4> for Bf16 {
    const INPUTS: usize = 2;

    #[inline(always)]
    fn store_words(_: V4, to: &mut [f32], inputs: f32x16) {
        // SAFETY: these instructions are there, as `Bf16` says; vectors and arrays are plain bits of the same size.
        let words: [f32; 8] = unsafe {
            transmute::<__m256bh, [f32; 8]>(_mm512_cvtneps_pbh(transmute::<f32x16, __m512>(inputs)))
        };
        // Not `copy_from_slice`, which may remain a call.
        *to.first_chunk_mut().expect("room for a vector's words") = words;
    }

    #[inline(always)]
    fn word(_: V4, first: f32x16, second: f32x16) -> f32x16 {
        // SAFETY: as above.
        unsafe {
            let first = _mm512_cvtneps_pbh(transmute::<f32x16, __m512>(first));
            let second = _mm512_cvtneps_pbh(transmute::<f32x16, __m512>(second));
            let low = _mm512_cvtepu16_epi32(transmute::<__m256bh, __m256i>(first));
            let high = _mm512_cvtepu16_epi32(transmute::<__m256bh, __m256i>(second));
            transmute::<__m512i, f32x16>(_mm512_or_si512(low, _mm512_slli_epi32::<16>(high)))
        }
    }

    #[inline(always)]
    fn add_product(_: V4, word: f32x16, weights: f32x16, sum: f32x16) -> f32x16 {
        // SAFETY: as above.
        unsafe {
            let word = transmute::<f32x16, __m512bh>(word);
            let weights = transmute::<f32x16, __m512bh>(weights);
            transmute::<__m512, f32x16>(_mm512_dpbf16_ps(transmute::<f32x16, __m512>(sum), word, weights))
        }
    }
}
