// Noise by position, what it is added to, and the gradient of how much of it is.
#pragma once
#include "../noise.cuh"
#include "norms.cuh"

// A value a pixel; each map has its own.
KERNEL(256)
noise_of_maps(const Noise *noises, float *out, int maps, int rows, int cols) {
    const long long at = (long long)block_x() * threads() + thread();
    if (at >= (long long)maps * rows * cols)
        return;
    const int col = (int)(at % cols), row = (int)(at / cols % rows);
    const Noise noise = noises[at / cols / rows];
    out[at] = noise_at(noise, noise_of_row(noise, row), col);
}

template <class V>
__device__ void add_noise(const V *x, const V *weights, const float *noise, V *out, int pixels, int count) {
    const long long at = (long long)block_x() * threads() + thread();
    if (at < (long long)pixels * count)
        out[at] = x[at] + weights[at % count] * noise[at / count];
}

#define NOISE(NAME, V)                                                                                                 \
    KERNEL(256)                                                                                                        \
    add_noise_##NAME(const V *x, const V *weights, const float *noise, V *out, int pixels, int count) {                \
        add_noise(x, weights, noise, out, pixels, count);                                                              \
    }                                                                                                                  \
    KERNEL(256)                                                                                                        \
    sum_noise_##NAME(const V *gradient, const float *noise, V *sums, int parts, int pixels, int count, int lanes,      \
                     int pixels_a_part) {                                                                              \
        sum_columns<1>(sums, {parts, pixels, count, lanes, pixels_a_part}, [=](V *own, long long pixel, int channel) { \
            own[0] += gradient[pixel * count + channel] * noise[pixel];                                                \
        });                                                                                                            \
    }
NOISE(values, float)
NOISE(fours, floats4)
