// The binomial filter over whole maps, and its gradient. A thread has one result, or four of neighbouring channels; channels
// are counted in `V`s.
#pragma once
#include "../blur.cuh"

// But for the borders the filter's matrix B is its own transpose. A border's pixel takes its neighbour twice; the neighbour
// takes it once. So, with D the matrix that doubles the borders, D B is symmetric, and B^T = D^-1 B D.
template <class V>
__device__ void blur(const V *x, V *out, int maps, int rows, int cols, int channels, bool is_turned) {
    const long long at = (long long)block_x() * threads() + thread();
    if (at >= (long long)maps * rows * cols * channels)
        return;
    const int c = (int)(at % channels), col = (int)(at / channels % cols), row = (int)(at / channels / cols % rows);
    const long long map = at / channels / cols / rows * rows;
    auto doubled = [=](int y, int x) {
        return is_turned ? (y == 0 || y == rows - 1 ? 2.0f : 1.0f) * (x == 0 || x == cols - 1 ? 2.0f : 1.0f) : 1.0f;
    };
    V mixed[3];
#pragma unroll
    for (int dx = 0; dx < 3; dx++) {
        const int from_col = reflected(col + dx - 1, cols);
        auto value = [=](int dy) {
            const int from_row = reflected(row + dy, rows);
            return x[((map + from_row) * cols + from_col) * channels + c] * doubled(from_row, from_col);
        };
        mixed[dx] = binomial(value(-1), value(0), value(1));
    }
    out[at] = binomial(mixed[0], mixed[1], mixed[2]) * (1.0f / doubled(row, col));
}

#define BLUR(NAME, V)                                                                                                  \
    KERNEL(256)                                                                                                        \
    blur_maps_##NAME(const V *x, V *out, int maps, int rows, int cols, int channels) {                                 \
        blur(x, out, maps, rows, cols, channels, false);                                                               \
    }                                                                                                                  \
    KERNEL(256)                                                                                                        \
    blur_maps_back_##NAME(const V *gradient, V *out, int maps, int rows, int cols, int channels) {                     \
        blur(gradient, out, maps, rows, cols, channels, true);                                                         \
    }
BLUR(values, float)
BLUR(fours, floats4)
