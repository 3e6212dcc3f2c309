// Convolutions whose sums over taps and channels are products of matrices, and what may be fused with them.
#pragma once
#include "device.cuh"

// As `launch::Convolution` has it.
struct Convolution {
    int in_rows, in_cols;
    // Padded, as the map has them.
    int in_channels;
    // If not 0, the input is normalised over so many channels of each pixel; 1x1 only.
    int normed;
    int kernel, stride, pad;
    // Of the sums; with `shuffle`, the result is twice as large, and its pixels of a square come from four sets of
    // weights.
    int out_rows, out_cols;
    int shuffle;
    // Whether the result is added to what is there.
    int adds;
};

constexpr int CONV_WARPS = 4;

template <int CHANNELS>
__device__ void conv(const word *x, word *out, const words2 *kernel, const pair *bias, Convolution c) {
    constexpr int N = CHANNELS / 8;
    const Lane lane = ::lane();
    const int first_row = (block_y() * CONV_WARPS + thread() / WARP) * 2, first_col = block_x() * 16;
    const int part = block_z(), depth = c.in_channels / 16, words = c.in_channels / 2;
    // What lies beyond the map is computed with the rest, and not stored.
    auto row_of = [=](int row) { return least(first_row + row, c.out_rows - 1); };
    auto col_of = [=](int p) { return least(first_col + lane.pixel + 8 * p, c.out_cols - 1); };
    auto pixel_at = [=](int row, int p, int ky, int kx) {
        const int from_row = clamp(row_of(row) * c.stride + ky - c.pad, c.in_rows);
        const int from_col = clamp(col_of(p) * c.stride + kx - c.pad, c.in_cols);
        return x + ((long long)from_row * c.in_cols + from_col) * words;
    };

    Norm norms[2][2] = {};
    if (c.normed)
#pragma unroll
        for (int row = 0; row < 2; row++)
#pragma unroll
            for (int p = 0; p < 2; p++)
                norms[row][p] = norm_over(pixel_at(row, p, 0, 0), words, lane, c.normed);

    float sums[2][N][4];
#pragma unroll
    for (int n = 0; n < N; n++) {
        const pair b = bias[part * (CHANNELS / 2) + n * 4 + lane.part];
        begin(sums[0][n], b);
        begin(sums[1][n], b);
    }
    int tile = part * c.kernel * c.kernel * depth * N;
    for (int ky = 0; ky < c.kernel; ky++)
        for (int kx = 0; kx < c.kernel; kx++) {
            const word *pixels[2][2];
#pragma unroll
            for (int row = 0; row < 2; row++)
#pragma unroll
                for (int p = 0; p < 2; p++)
                    pixels[row][p] = pixel_at(row, p, ky, kx);
            for (int k = 0; k < depth; k++) {
                word a[2][4];
#pragma unroll
                for (int row = 0; row < 2; row++)
#pragma unroll
                    for (int p = 0; p < 2; p++)
#pragma unroll
                        for (int half = 0; half < 2; half++) {
                            const word value = pixels[row][p][k * 8 + half * 4 + lane.part];
                            a[row][p + 2 * half] = c.normed ? normalise(value, norms[row][p]) : value;
                        }
#pragma unroll
                for (int n = 0; n < N; n++, tile++) {
                    const words2 b = fragment(kernel, tile, lane);
                    multiply_add(sums[0][n], a[0], b.x, b.y);
                    multiply_add(sums[1][n], a[1], b.x, b.y);
                }
            }
        }

    const int factor = c.shuffle ? 2 : 1;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const int row = i / 2, p = i % 2;
        const int to_row = first_row + row, to_col = first_col + lane.pixel + 8 * p;
        if (to_row >= c.out_rows || to_col >= c.out_cols)
            continue;
        const long long pixel =
            (long long)(to_row * factor + part / 2) * (c.out_cols * factor) + to_col * factor + part % 2;
#pragma unroll
        for (int n = 0; n < N; n++) {
            const long long at = pixel * (CHANNELS / 2) + n * 4 + lane.part;
            const pair b = c.adds ? unpack(out[at]) : pair{0, 0};
            out[at] = pack(sums[row][n][2 * p] + b.x, sums[row][n][2 * p + 1] + b.y);
        }
    }
}
