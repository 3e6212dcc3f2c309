// What moves values without weights, enlarges maps, and reduces them. A thread has one result: a value, or, where counts of
// channels are multiples of four, four of them, which `V` stands for. Channels are counted in `V`s.
#pragma once
#include "../device.cuh"

__device__ long long own_index() { return (long long)block_x() * threads() + thread(); }

// Of maps of so many rows in all and columns, the channels of a pixel as f * f of them.
__device__ void shuffle(const float *x, float *out, int rows, int cols, int channels, int f) {
    const long long at = own_index();
    if (at >= (long long)rows * cols * channels)
        return;
    const int fewer = channels / (f * f), c = (int)(at % fewer), col = (int)(at / fewer % (cols * f));
    const int row = (int)(at / fewer / (cols * f));
    out[at] = x[((long long)(row / f) * cols + col / f) * channels + (c * f + row % f) * f + col % f];
}

// Of maps of so many rows in all and columns, the channels of f * f pixels at one.
__device__ void unshuffle(const float *x, float *out, int rows, int cols, int channels, int f) {
    const long long at = own_index();
    if (at >= (long long)rows * cols * channels)
        return;
    const int more = channels * f * f, i = (int)(at % more), col = (int)(at / more % (cols / f));
    const int row = (int)(at / more / (cols / f));
    const long long pixel = (long long)(row * f + i / f % f) * cols + col * f + i % f;
    out[at] = x[pixel * channels + i / (f * f)];
}

template <class V>
__device__ void join(const V *a, const V *b, V *out, int pixels, int a_channels, int b_channels) {
    const int channels = a_channels + b_channels;
    const long long at = own_index(), pixel = at / channels;
    if (pixel >= pixels)
        return;
    const int c = (int)(at % channels);
    out[at] = c < a_channels ? a[pixel * a_channels + c] : b[pixel * b_channels + c - a_channels];
}

// `some` channels from `first` on.
template <class V> __device__ void part(const V *x, V *out, int pixels, int channels, int first, int some) {
    const long long at = own_index(), pixel = at / some;
    if (pixel < pixels)
        out[at] = x[pixel * channels + first + at % some];
}

template <class V> __device__ V larger(V a, V b) { return a > b ? a : b; }

template <class V> __device__ void max_pool2(const V *x, V *out, int maps, int rows, int cols, int channels) {
    const int half_rows = rows / 2, half_cols = cols / 2;
    const long long at = own_index();
    if (at >= (long long)maps * half_rows * half_cols * channels)
        return;
    const int c = (int)(at % channels), col = (int)(at / channels % half_cols);
    const int row = (int)(at / channels / half_cols % half_rows), map = (int)(at / channels / half_cols / half_rows);
    const V *first = x + (((long long)map * rows + 2 * row) * cols + 2 * col) * channels + c;
    const V *below = first + (long long)cols * channels;
    out[at] = larger(larger(first[0], first[channels]), larger(below[0], below[channels]));
}

// To the first of four that was the largest. A thread has the four; of those at an odd end not all are there, and all get 0.
template <class V>
__device__ void max_pool2_back(const V *x, const V *gradient, V *out, int maps, int rows, int cols, int channels) {
    const int squares_down = (rows + 1) / 2, squares_across = (cols + 1) / 2;
    const long long at = own_index();
    if (at >= (long long)maps * squares_down * squares_across * channels)
        return;
    const int c = (int)(at % channels), col = (int)(at / channels % squares_across);
    const int row = (int)(at / channels / squares_across % squares_down);
    const int map = (int)(at / channels / squares_across / squares_down);
    const bool has_right = 2 * col + 1 < cols, has_below = 2 * row + 1 < rows;
    const long long first = (((long long)map * rows + 2 * row) * cols + 2 * col) * channels + c;
    const long long below = first + (long long)cols * channels;
    const V none = {};
    V to[4] = {none, none, none, none};
    if (has_right && has_below) {
        const V p[4] = {x[first], x[first + channels], x[below], x[below + channels]};
        const V g = gradient[(((long long)map * (rows / 2) + row) * (cols / 2) + col) * channels + c];
        V largest = p[0];
        to[0] = g;
#pragma unroll
        for (int i = 1; i < 4; i++) {
            const auto is_larger = p[i] > largest;
            largest = is_larger ? p[i] : largest;
#pragma unroll
            for (int before = 0; before < i; before++)
                to[before] = is_larger ? none : to[before];
            to[i] = is_larger ? g : none;
        }
    }
    out[first] = to[0];
    if (has_right)
        out[first + channels] = to[1];
    if (has_below)
        out[below] = to[2];
    if (has_right && has_below)
        out[below + channels] = to[3];
}

// Maps of so many rows and columns enlarged twice, bilinearly with half-pixel centres, plus `base`.
template <class V>
__device__ void enlarge2_add(const V *low, const V *base, V *out, int maps, int rows, int cols, int channels) {
    const long long at = own_index();
    if (at >= 4LL * maps * rows * cols * channels)
        return;
    const int c = (int)(at % channels), col = (int)(at / channels % (2 * cols));
    const int row = (int)(at / channels / (2 * cols) % (2 * rows));
    const int map = (int)(at / channels / (2 * cols) / (2 * rows));
    // The nearer of two rows has three quarters of the weight.
    const int near_row = row / 2, far_row = clamp(near_row + row % 2 * 2 - 1, rows);
    const int near_col = col / 2, far_col = clamp(near_col + col % 2 * 2 - 1, cols);
    auto pixel = [=](int y, int x) { return low[(((long long)map * rows + y) * cols + x) * channels + c]; };
    const V near = 0.75f * pixel(near_row, near_col) + 0.25f * pixel(near_row, far_col);
    const V far = 0.75f * pixel(far_row, near_col) + 0.25f * pixel(far_row, far_col);
    out[at] = base[at] + (0.75f * near + 0.25f * far);
}

// The gradient of maps of so many rows and columns, from that of the enlarged ones.
template <class V>
__device__ void enlarge2_back(const V *gradient, V *out, int maps, int rows, int cols, int channels) {
    const long long at = own_index();
    if (at >= (long long)maps * rows * cols * channels)
        return;
    const int c = (int)(at % channels), col = (int)(at / channels % cols), row = (int)(at / channels / cols % rows);
    const int map = (int)(at / channels / cols / rows);
    auto weigh = [](V before, V first, V second, V after) { return 0.75f * (first + second) + 0.25f * (before + after); };
    // What sees this pixel; beyond the edge it is the edge again.
    V mixed[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const int x = clamp(2 * col - 1 + i, 2 * cols);
        V seen[4];
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const int y = clamp(2 * row - 1 + j, 2 * rows);
            seen[j] = gradient[(((long long)map * 2 * rows + y) * 2 * cols + x) * channels + c];
        }
        mixed[i] = weigh(seen[0], seen[1], seen[2], seen[3]);
    }
    out[at] = weigh(mixed[0], mixed[1], mixed[2], mixed[3]);
}

KERNEL(256)
shuffle_pixels(const float *x, float *out, int rows, int cols, int channels, int f) {
    shuffle(x, out, rows, cols, channels, f);
}

KERNEL(256)
unshuffle_pixels(const float *x, float *out, int rows, int cols, int channels, int f) {
    unshuffle(x, out, rows, cols, channels, f);
}

#define REARRANGE(NAME, V)                                                                                             \
    KERNEL(256)                                                                                                        \
    join_##NAME(const V *a, const V *b, V *out, int pixels, int a_channels, int b_channels) {                          \
        join(a, b, out, pixels, a_channels, b_channels);                                                               \
    }                                                                                                                  \
    KERNEL(256)                                                                                                        \
    part_##NAME(const V *x, V *out, int pixels, int channels, int first, int some) {                                   \
        part(x, out, pixels, channels, first, some);                                                                   \
    }                                                                                                                  \
    KERNEL(256)                                                                                                        \
    max_pool2_##NAME(const V *x, V *out, int maps, int rows, int cols, int channels) {                                 \
        max_pool2(x, out, maps, rows, cols, channels);                                                                 \
    }                                                                                                                  \
    KERNEL(256)                                                                                                        \
    max_pool2_back_##NAME(const V *x, const V *gradient, V *out, int maps, int rows, int cols, int channels) {         \
        max_pool2_back(x, gradient, out, maps, rows, cols, channels);                                                  \
    }                                                                                                                  \
    KERNEL(256)                                                                                                        \
    enlarge2_add_##NAME(const V *low, const V *base, V *out, int maps, int rows, int cols, int channels) {             \
        enlarge2_add(low, base, out, maps, rows, cols, channels);                                                      \
    }                                                                                                                  \
    KERNEL(256)                                                                                                        \
    enlarge2_back_##NAME(const V *gradient, V *out, int maps, int rows, int cols, int channels) {                      \
        enlarge2_back(gradient, out, maps, rows, cols, channels);                                                      \
    }
REARRANGE(values, float)
REARRANGE(fours, floats4)
