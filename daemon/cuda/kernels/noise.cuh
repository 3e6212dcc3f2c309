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
