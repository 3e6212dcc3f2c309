// What moves values without multiplying them by weights.
#pragma once
#include "device.cuh"

// The picture, padded by repetition, as a network sees it: squares of 4 x 4 pixels, and of 2 x 2, become channels, in the
// order of PyTorch's pixel_unshuffle. So many rows and columns of padding come before it.
__device__ void unshuffle(const f16 *picture, f16 *by4, f16 *by2, int height, int width, int above, int left, int rows,
                          int cols) {
    const long long i = (long long)block_x() * threads() + thread();
    if (i >= (long long)rows * cols)
        return;
    const int row = (int)(i / cols), col = (int)(i % cols);
    f16 *square = by4 + i * 48;
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 4; x++) {
            const int from_row = clamp(row * 4 + y - above, height), from_col = clamp(col * 4 + x - left, width);
            const f16 *pixel = picture + ((long long)from_row * width + from_col) * 3;
            f16 *small = by2 + ((long long)(row * 2 + y / 2) * (cols * 2) + col * 2 + x / 2) * 16;
            for (int c = 0; c < 3; c++) {
                const f16 value = finite(pixel[c]);
                square[c * 16 + y * 4 + x] = value;
                small[c * 4 + y % 2 * 2 + x % 2] = value;
            }
            small[12 + y % 2 * 2 + x % 2] = 0;
        }
}

// `low` enlarged twice, bilinearly with half-pixel centres, plus `base`; a thread has eight channels of a pixel.
__device__ void upsample2_add(const words4 *low, const words4 *base, words4 *out, int rows, int cols, int parts) {
    const long long i = (long long)block_x() * threads() + thread();
    if (i >= (long long)rows * cols * 4 * parts)
        return;
    const int part = (int)(i % parts), row = (int)(i / parts / (cols * 2)), col = (int)(i / parts % (cols * 2));
    // The nearer of two rows has three quarters of the weight.
    const int near_row = row / 2, far_row = clamp(near_row + row % 2 * 2 - 1, rows);
    const int near_col = col / 2, far_col = clamp(near_col + col % 2 * 2 - 1, cols);
    auto at = [=](int r, int c) { return (const word *)&low[((long long)r * cols + c) * parts + part]; };
    const word *corners[4] = {at(near_row, near_col), at(near_row, far_col), at(far_row, near_col),
                              at(far_row, far_col)};
    const float shares[4] = {0.5625f, 0.1875f, 0.1875f, 0.0625f};
    for (int w = 0; w < 4; w++) {
        pair sum = unpack(((const word *)&base[i])[w]);
        for (int c = 0; c < 4; c++) {
            const pair value = unpack(corners[c][w]);
            sum.x += shares[c] * value.x;
            sum.y += shares[c] * value.y;
        }
        ((word *)&out[i])[w] = pack(sum.x, sum.y);
    }
}
