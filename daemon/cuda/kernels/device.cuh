// What the kernels need of CUDA's C++, without its headers: clang makes PTX of it where no toolkit is installed, and the
// tests' emulator (tests/cuda) makes a program for the CPU of it.
//
// A map lies in memory as [rows][cols][channels], f16, channels padded to a multiple of 16; what is padded is zero.
// A *word* is two of its values, the first in the lower half.
#pragma once

using f16 = unsigned short;
using word = unsigned int;

struct alignas(16) words4 {
    word x, y, z, w;
};

struct alignas(8) words2 {
    word x, y;
};

struct alignas(8) pair {
    float x, y;
};

using floats4 = float __attribute__((vector_size(16)));

constexpr int WARP = 32;

#ifdef UTSUSHI_EMULATOR
#include "emulator.h"
#else

#define __global__ __attribute__((global))
#define __device__ __attribute__((device, always_inline)) inline
#define __shared__ __attribute__((shared))
#define KERNEL(threads) extern "C" __global__ __attribute__((launch_bounds(threads))) void

extern __shared__ words4 shared_memory[];

__device__ int thread() { return __nvvm_read_ptx_sreg_tid_x(); }
__device__ int block_x() { return __nvvm_read_ptx_sreg_ctaid_x(); }
__device__ int block_y() { return __nvvm_read_ptx_sreg_ctaid_y(); }
__device__ int block_z() { return __nvvm_read_ptx_sreg_ctaid_z(); }
__device__ int threads() { return __nvvm_read_ptx_sreg_ntid_x(); }
__device__ void wait_for_block() { __nvvm_bar_sync(0); }

// Two values rounded to the nearest f16. What is too large becomes the largest that there is: an infinity would be NaN
// one layer later.
__device__ word pack(float x, float y) {
    word out;
    const float most = 65504.0f;
    asm("{.reg .f16 x, y; cvt.rn.f16.f32 x, %1; cvt.rn.f16.f32 y, %2; mov.b32 %0, {x, y};}"
        : "=r"(out)
        : "f"(__nvvm_fmin_f(__nvvm_fmax_f(x, -most), most)), "f"(__nvvm_fmin_f(__nvvm_fmax_f(y, -most), most)));
    return out;
}

__device__ pair unpack(word values) {
    pair out;
    asm("{.reg .f16 x, y; mov.b32 {x, y}, %2; cvt.f32.f16 %0, x; cvt.f32.f16 %1, y;}"
        : "=f"(out.x), "=f"(out.y)
        : "r"(values));
    return out;
}

// The sum of the values of the four neighbouring threads that have this one's pixel.
__device__ float sum_of_quad(float value) {
    value += __nvvm_shfl_sync_bfly_f32(0xffffffffu, value, 1, 31);
    return value + __nvvm_shfl_sync_bfly_f32(0xffffffffu, value, 2, 31);
}

// The sum of the values of all threads of a warp, for each of them.
__device__ float sum_of_warp(float value) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2)
        value += __nvvm_shfl_sync_bfly_f32(0xffffffffu, value, distance, 31);
    return value;
}

// The sum of the values of `size` neighbouring threads, a power of two up to a warp's, for each of them.
__device__ float sum_of_group(float value, int size) {
    for (int distance = 1; distance < size; distance *= 2)
        value += __nvvm_shfl_sync_bfly_f32(0xffffffffu, value, distance, 31);
    return value;
}

__device__ float inverse_root(float value) { return __nvvm_rsqrt_approx_f(value); }

// sums += a * b by a warp: 16 x 16 by 16 x 8, f16 with sums in f32. Which thread holds what is in the PTX manual, "Matrix
// Fragments for mma.m16n8k16".
__device__ void multiply_add(float sums[4], const word a[4], word b0, word b1) {
#if __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
                 : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
                 : "r"(a[0]), "r"(a[1]), "r"(b0));
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
                 : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
                 : "r"(a[2]), "r"(a[3]), "r"(b1));
#endif
}

#if __CUDA_ARCH__ >= 800
// A value as `multiply_add_tf32` takes it: with a mantissa of 10 bits.
__device__ word tf32(float value) {
    word out;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(out) : "f"(value));
    return out;
}

// sums += a * b by a warp: 16 x 8 by 8 x 8, TF32 with sums in f32. "Matrix Fragments for mma.m16n8k8" in the PTX manual.
__device__ void multiply_add_tf32(float sums[4], const word a[4], word b0, word b1) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
#endif
#endif

// The place of this thread in its warp, and which pixel and which channels of a fragment it holds: pixels `pixel` and
// `pixel + 8` of 16, channels `2 * part` and the next, and those 8 further.
struct Lane {
    int index, pixel, part;
};

__device__ Lane lane() {
    const int index = thread() % WARP;
    return {index, index / 4, index % 4};
}

// What was too large for f16 when a picture was rounded; an infinity would be NaN one layer later.
__device__ f16 finite(f16 value) { return (f16)pack(unpack(value).x, 0); }

__device__ float relu(float value) { return value > 0 ? value : 0; }

__device__ int clamp(int value, int end) { return value < 0 ? 0 : value >= end ? end - 1 : value; }

__device__ int least(int a, int b) { return a < b ? a : b; }

// Weights lie as fragments: for each 16 inputs and 8 outputs two words a thread.
__device__ words2 fragment(const words2 *weights, int tile, Lane lane) { return weights[tile * WARP + lane.index]; }

// Sums of products begin with the bias of their two outputs.
__device__ void begin(float sums[4], pair bias) {
    sums[0] = sums[2] = bias.x;
    sums[1] = sums[3] = bias.y;
}

constexpr float EPSILON = 1e-5f;

// What brings a pixel's channels to mean 0 and variance 1.
struct Norm {
    float mean, scale;
};

// Of a pixel of so many words in memory; the four threads that share it ask together.
__device__ Norm norm_over(const word *pixel, int words, Lane lane, int channels) {
    float sum = 0, squares = 0;
    for (int i = lane.part; i < words; i += 4) {
        const pair value = unpack(pixel[i]);
        sum += value.x + value.y;
    }
    const float mean = sum_of_quad(sum) / channels;
    for (int i = lane.part; i < words; i += 4) {
        const pair value = unpack(pixel[i]);
        const float dx = i * 2 < channels ? value.x - mean : 0, dy = i * 2 + 1 < channels ? value.y - mean : 0;
        squares += dx * dx + dy * dy;
    }
    return {mean, inverse_root(sum_of_quad(squares) / channels + EPSILON)};
}

__device__ word normalise(word value, Norm norm) {
    const pair v = unpack(value);
    return pack((v.x - norm.mean) * norm.scale, (v.y - norm.mean) * norm.scale);
}
