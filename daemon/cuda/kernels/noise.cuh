// Noise by position, as utsushi_kernels::Noise has it, to the last bit.
#pragma once
#include "device.cuh"

// As `launch::Noise` has it: a layer's key, its deviation in units of a sum of bytes, and where a map's first pixel lies in
// the map of the whole picture.
struct Noise {
    word key;
    float scale;
    word x, y;
};

// lowbias32 (Wellons 2018, https://nullprogram.com/blog/2018/07/31/)
__device__ word hash(word x) {
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ (x >> 16);
}

// What the pixels of a row have in common.
__device__ word noise_of_row(Noise noise, int row) { return hash(noise.key ^ (noise.y + (word)row)); }

// Of a pixel of that row: four bytes' sum, without its mean.
__device__ float noise_at(Noise noise, word of_row, int col) {
    const word bytes = hash(of_row ^ (noise.x + (word)col));
    const word sum = (bytes & 255) + (bytes >> 8 & 255) + (bytes >> 16 & 255) + (bytes >> 24);
    return (float)((int)sum - 510) * noise.scale;
}

// Of a pixel of strokes: twice the sum of a byte each of nine pixels in a direction, without its mean. Directions are a
// sixteenth of half a turn apart, from along a row towards the columns.
__device__ float stroke_at(Noise noise, int direction, int row, int col) {
    // From one of them to the next, times 256.
    constexpr int COLS[] = {256, 256, 256, 256, 256, 171, 106, 51, 0, -51, -106, -171, -256, -256, -256, -256};
    constexpr int ROWS[] = {0, 51, 106, 171, 256, 256, 256, 256, 256, 256, 256, 256, 256, 171, 106, 51};
    constexpr word STEP_X = 0x9e3779b1u, STEP_Y = 0x85ebca77u;
    constexpr int REACH = 4;
    const int across = COLS[direction], down = ROWS[direction];
    const word place = (noise.x + (word)col) * STEP_X + (noise.y + (word)row) * STEP_Y;
    word sum = 0;
#pragma unroll
    for (int step = -REACH; step <= REACH; step++) {
        const int x = (step * across + 128) >> 8, y = (step * down + 128) >> 8;
        sum += hash(noise.key ^ (place + (word)x * STEP_X + (word)y * STEP_Y)) & 255;
    }
    return (float)((int)(2 * sum) - (2 * REACH + 1) * 255) * noise.scale;
}

// The strokes of a map that is `factor` times smaller than the picture, a thread a pixel. A cell of 4 x 4 of the picture's
// pixels has one direction.
__device__ void strokes(const unsigned char *directions, float *out, Noise noise, int rows, int cols, int factor,
                        int cells_a_row) {
    const long long at = (long long)block_x() * threads() + thread();
    if (at >= (long long)rows * cols)
        return;
    const int row = (int)(at / cols), col = (int)(at % cols);
    const int direction = directions[(long long)(row * factor / 4) * cells_a_row + col * factor / 4];
    out[at] = stroke_at(noise, direction, row, col);
}
