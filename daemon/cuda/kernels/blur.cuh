// The binomial filter [1 2 1] / 4. It reflects at the borders: beyond them, a pixel's neighbour is the one that it has.
#pragma once
#include "device.cuh"

// Factors are powers of two, so that nothing but the two sums is rounded, fused or not. For equal neighbours this is the mean
// of two values, whichever of them is in the middle: an even surface stays even, to the last bit.
template <class V> __device__ V binomial(V before, V value, V after) {
    return (before + after) * 0.25f + value * 0.5f;
}

__device__ pair binomial(pair before, pair value, pair after) {
    return {binomial(before.x, value.x, after.x), binomial(before.y, value.y, after.y)};
}

// Of a place at most one beyond `end` of them.
__device__ int reflected(int at, int end) { return at < 0 ? -at : at >= end ? 2 * end - 2 - at : at; }

// Filters a map of so many rows, and adds it to `out`; a thread has eight channels of a pixel.
__device__ void blur_add(const words4 *x, words4 *out, int rows, int cols, int parts) {
    const long long i = (long long)block_x() * threads() + thread();
    if (i >= (long long)rows * cols * parts)
        return;
    const int part = (int)(i % parts), col = (int)(i / parts % cols), row = (int)(i / parts / cols);
    words4 around[3][3];
#pragma unroll
    for (int dy = 0; dy < 3; dy++)
#pragma unroll
        for (int dx = 0; dx < 3; dx++) {
            const int from_row = reflected(row + dy - 1, rows), from_col = reflected(col + dx - 1, cols);
            around[dy][dx] = x[((long long)from_row * cols + from_col) * parts + part];
        }
    auto filtered = [&](word words4::*which, word base) {
        pair mixed[3];
#pragma unroll
        for (int dx = 0; dx < 3; dx++)
            mixed[dx] = binomial(unpack(around[0][dx].*which), unpack(around[1][dx].*which), unpack(around[2][dx].*which));
        const pair value = binomial(mixed[0], mixed[1], mixed[2]), to = unpack(base);
        return pack(to.x + value.x, to.y + value.y);
    };
    const words4 base = out[i];
    out[i] = {filtered(&words4::x, base.x), filtered(&words4::y, base.y), filtered(&words4::z, base.z),
              filtered(&words4::w, base.w)};
}
