// What losses make of pictures, which have few channels.
#pragma once
#include "elementwise.cuh"

constexpr int FEW_CHANNELS = 4;

// out = act(weights x + bias) + added at each pixel, exactly; weights are [outputs][channels], or turned round.
KERNEL(256)
colour_maps(const float *x, const float *weights, const float *bias, const float *added, float *out, int pixels,
            int channels, int outputs, int turned, float slope) {
    const long long pixel = (long long)block_x() * threads() + thread();
    if (pixel >= pixels)
        return;
    float values[FEW_CHANNELS];
#pragma unroll
    for (int c = 0; c < FEW_CHANNELS; c++)
        values[c] = c < channels ? x[pixel * channels + c] : 0;
    for (int o = 0; o < outputs; o++) {
        float sum = bias ? bias[o] : 0;
#pragma unroll
        for (int c = 0; c < FEW_CHANNELS; c++)
            if (c < channels)
                sum += weights[turned ? c * outputs + o : o * channels + c] * values[c];
        const long long to = pixel * outputs + o;
        out[to] = (sum > 0 ? sum : sum * slope) + (added ? added[to] : 0);
    }
}

KERNEL(256)
subtract_values(const float *a, const float *b, float *out, int count) {
    each_value(a, b, out, count, [](float x, float y) { return x - y; });
}

// The means of `factor` x `factor` pixels; of maps of rows x cols such squares.
KERNEL(256)
reduce_maps(const float *x, float *out, int count, int cols, int channels, int factor) {
    const long long at = (long long)block_x() * threads() + thread();
    if (at >= count)
        return;
    const long long channel = at % channels, col = at / channels % cols, row = at / channels / cols;
    float sum = 0;
    for (int y = 0; y < factor; y++)
        for (int i = 0; i < factor; i++)
            sum += x[((row * factor + y) * cols * factor + col * factor + i) * channels + channel];
    out[at] = sum / (float)(factor * factor);
}

KERNEL(256)
through_reduction(const float *gradient, float *out, int count, int cols, int channels, int factor) {
    const long long at = (long long)block_x() * threads() + thread();
    if (at >= count)
        return;
    const long long channel = at % channels, pixel = at / channels;
    const long long col = pixel % (cols * factor) / factor, row = pixel / (cols * factor) / factor;
    out[at] = gradient[(row * cols + col) * channels + channel] / (float)(factor * factor);
}

__device__ float magnitude(float value) { return value < 0 ? -value : value; }

// Each block's part of mean |x(i, j + 1) - x(i, j)| + mean |x(i + 1, j) - x(i, j)|; `across` and `down` are 1 / the means'
// counts.
KERNEL(256)
sum_variation(const float *x, float *sums, int count, int rows, int cols, int channels, float across, float down,
              int values_a_part) {
    const long long begin = (long long)block_x() * values_a_part;
    const long long end = begin + values_a_part < count ? begin + values_a_part : count;
    float sum = 0;
    for (long long at = begin + thread(); at < end; at += threads()) {
        const int col = (int)(at / channels % cols), row = (int)(at / channels / cols % rows);
        if (col + 1 < cols)
            sum += magnitude(x[at + channels] - x[at]) * across;
        if (row + 1 < rows)
            sum += magnitude(x[at + cols * channels] - x[at]) * down;
    }
    sum = sum_of_block(sum);
    if (thread() == 0)
        sums[block_x()] = sum;
}

__device__ float sign(float value) { return value > 0 ? 1 : value < 0 ? -1 : 0; }

KERNEL(256)
through_variation(const float *x, const float *given, float *out, int count, int rows, int cols, int channels,
                  float across, float down) {
    const long long at = (long long)block_x() * threads() + thread();
    if (at >= count)
        return;
    const int col = (int)(at / channels % cols), row = (int)(at / channels / cols % rows);
    const int next = channels, below = cols * channels;
    float sum = 0;
    if (col > 0)
        sum += sign(x[at] - x[at - next]) * across;
    if (col + 1 < cols)
        sum -= sign(x[at + next] - x[at]) * across;
    if (row > 0)
        sum += sign(x[at] - x[at - below]) * down;
    if (row + 1 < rows)
        sum -= sign(x[at + below] - x[at]) * down;
    out[at] = sum * *given;
}

// Each block's part of the sums of values and of their squares.
KERNEL(256)
sum_moments(const float *x, pair *sums, int count, int values_a_part) {
    const long long begin = (long long)block_x() * values_a_part;
    const long long end = begin + values_a_part < count ? begin + values_a_part : count;
    float sum = 0, squares = 0;
    for (long long at = begin + thread(); at < end; at += threads()) {
        sum += x[at];
        squares += x[at] * x[at];
    }
    sum = sum_of_block(sum);
    wait_for_block();
    squares = sum_of_block(squares);
    if (thread() == 0)
        sums[block_x()] = {sum, squares};
}
