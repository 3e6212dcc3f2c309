// The kernels' view of the emulator: what device.cuh has from the GPU, for the CPU. Threads of a block are fibers of one
// thread, which go on in turns until each is done; what a warp does together is done when the last of it has come.
#pragma once
#include <cstdint>
#include <immintrin.h>

#define __global__
#define __device__ static inline
#define __shared__
#define KERNEL(threads) static void

namespace emulator {

struct Place {
    int thread, x, y, z, threads;
};

// Of the fiber that runs.
extern Place place;
extern words4 shared[];

// Whether values of products aren't rounded.
extern const bool is_exact;

void wait_for_block();

// What the threads of a warp bring together. The last to come computes, for all, and the others wait for it.
struct Warp {
    int arrived = 0;
    unsigned generation = 0;
    float values[32], sums_of_quads[32], sums_of_groups[32], sum;
    int group;
    word a[32][4], b[32][2];
    float *sums[32];
};
Warp &warp();
void wait_for_warp(Warp &warp, void (*last)(Warp &));

void add_quads(Warp &warp);
void add_groups(Warp &warp);
void add_all(Warp &warp);
void multiply(Warp &warp);
void multiply_tf32(Warp &warp);

} // namespace emulator

static words4 *const shared_memory = emulator::shared;

static inline int thread() { return emulator::place.thread; }
static inline int block_x() { return emulator::place.x; }
static inline int block_y() { return emulator::place.y; }
static inline int block_z() { return emulator::place.z; }
static inline int threads() { return emulator::place.threads; }
static inline void wait_for_block() { emulator::wait_for_block(); }

static inline word pack(float x, float y) {
    auto rounded = [](float value) {
        const float most = 65504.0f;
        value = value > most ? most : value < -most ? -most : value;
        return (word)(uint16_t)_cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT);
    };
    return rounded(x) | rounded(y) << 16;
}

static inline pair unpack(word values) { return {_cvtsh_ss(values & 0xffff), _cvtsh_ss(values >> 16)}; }

static inline float sum_of_quad(float value) {
    emulator::Warp &warp = emulator::warp();
    const int lane = thread() % 32;
    warp.values[lane] = value;
    emulator::wait_for_warp(warp, emulator::add_quads);
    return warp.sums_of_quads[lane];
}

static inline float sum_of_group(float value, int size) {
    emulator::Warp &warp = emulator::warp();
    const int lane = thread() % 32;
    warp.values[lane] = value;
    warp.group = size;
    emulator::wait_for_warp(warp, emulator::add_groups);
    return warp.sums_of_groups[lane];
}

static inline float sum_of_warp(float value) {
    emulator::Warp &warp = emulator::warp();
    warp.values[thread() % 32] = value;
    emulator::wait_for_warp(warp, emulator::add_all);
    return warp.sum;
}

static inline float inverse_root(float value) { return 1.0f / __builtin_sqrtf(value); }

static inline word tf32(float value) {
    const word bits = __builtin_bit_cast(word, value);
    // To the nearest, halves away from zero.
    return emulator::is_exact ? bits : (bits + 0x1000) & ~0x1fffu;
}

static inline void multiply_by(void (*how)(emulator::Warp &), float sums[4], const word a[4], word b0, word b1) {
    emulator::Warp &warp = emulator::warp();
    const int lane = thread() % 32;
    for (int i = 0; i < 4; i++)
        warp.a[lane][i] = a[i];
    warp.b[lane][0] = b0;
    warp.b[lane][1] = b1;
    warp.sums[lane] = sums;
    emulator::wait_for_warp(warp, how);
}

static inline void multiply_add(float sums[4], const word a[4], word b0, word b1) {
    multiply_by(emulator::multiply, sums, a, b0, b1);
}

static inline void multiply_add_tf32(float sums[4], const word a[4], word b0, word b1) {
    multiply_by(emulator::multiply_tf32, sums, a, b0, b1);
}
