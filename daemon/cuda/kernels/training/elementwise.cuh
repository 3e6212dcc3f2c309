// What is done to each value for itself, and sums of all values.
#pragma once
#include "../device.cuh"

// out = of(a, b), value by value; a thread has four.
template <class Of> __device__ void each_value(const float *a, const float *b, float *out, int count, Of of) {
    const long long at = ((long long)block_x() * threads() + thread()) * 4;
    if (at + 4 <= count) {
        const floats4 x = *(const floats4 *)(a + at), y = *(const floats4 *)(b + at);
        *(floats4 *)(out + at) = floats4{of(x[0], y[0]), of(x[1], y[1]), of(x[2], y[2]), of(x[3], y[3])};
    } else
        for (long long i = at; i < count; i++)
            out[i] = of(a[i], b[i]);
}

// The sum of the values of all threads of a block, for each of them; shared memory has a value a warp.
__device__ float sum_of_block(float value) {
    float *sums = (float *)shared_memory;
    const int lane = thread() % WARP;
    value = sum_of_warp(value);
    if (lane == 0)
        sums[thread() / WARP] = value;
    wait_for_block();
    return sum_of_warp(lane < threads() / WARP ? sums[lane] : 0);
}

// The sum of |a - b|, or of |a|, over each block's part: a multiple of four values.
__device__ void distance_parts(const float *a, const float *b, float *sums, int count, int values_a_part) {
    const long long begin = (long long)block_x() * values_a_part;
    const long long end = begin + values_a_part < count ? begin + values_a_part : count;
    auto size = [](float value) { return value < 0 ? -value : value; };
    float sum = 0;
    for (long long at = begin + thread() * 4; at < end; at += threads() * 4)
        if (at + 4 <= end) {
            floats4 x = *(const floats4 *)(a + at);
            if (b)
                x -= *(const floats4 *)(b + at);
            sum += (size(x[0]) + size(x[1])) + (size(x[2]) + size(x[3]));
        } else
            for (long long i = at; i < end; i++)
                sum += size(a[i] - (b ? b[i] : 0));
    sum = sum_of_block(sum);
    if (thread() == 0)
        sums[block_x()] = sum;
}

// The mean of `count` values, by the sums of their parts; one block.
__device__ void mean_by_parts(const float *sums, float *mean, int parts, int count) {
    float sum = 0;
    for (int part = thread(); part < parts; part += threads())
        sum += sums[part];
    sum = sum_of_block(sum);
    if (thread() == 0)
        *mean = sum / (float)count;
}

KERNEL(256)
add_values(const float *a, const float *b, float *out, int count) {
    each_value(a, b, out, count, [](float x, float y) { return x + y; });
}

KERNEL(256)
through_activation(const float *result, const float *gradient, float *out, int count, float slope) {
    each_value(result, gradient, out, count, [=](float y, float g) { return y > 0 ? g : g * slope; });
}

// Of the mean of |a - b|, for a.
KERNEL(256)
through_distance(const float *a, const float *b, const float *given, float *out, int count) {
    const float step = *given / (float)count;
    each_value(a, b, out, count, [=](float x, float y) { return x > y ? step : x < y ? -step : 0; });
}

KERNEL(256)
sum_distances(const float *a, const float *b, float *sums, int count, int values_a_part) {
    distance_parts(a, b, sums, count, values_a_part);
}

KERNEL(256)
mean_of_sums(const float *sums, float *mean, int parts, int count) { mean_by_parts(sums, mean, parts, count); }
