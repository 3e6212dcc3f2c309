// brush's last layers in one pass: from half the size, norm and 1x1 to four pixels each, in brush-2 filtered and with noise;
// joined with the picture; 3x3 and ReLU; 3x3, whose result is to be added to the picture. Borders are repeated at each layer,
// but reflected by the filter.
#pragma once
#include "blur.cuh"
#include "noise.cuh"

// As `launch::Tail` has it.
struct Tail {
    // The map's; the picture, padded, is twice as large.
    int rows, cols;
    // Padded, and those that are normalised over.
    int channels, normed;
    // Channels of an enlarged pixel; the picture's three come behind them.
    int inner;
    // The picture's own, and the padding before it.
    int height, width, above, left;
    // Which rows are wanted, padding counted.
    int first, count;
    Noise noise;
};

struct TailTile {
    static constexpr int WARPS = 8, SIDE = 16;
    static constexpr int JOINED = SIDE + 4, INNER = SIDE + 2, SHUFFLED = JOINED + 2;
    // Words from pixel to pixel: 16 channels, and four, so that 8 pixels' words are in different banks.
    static constexpr int STRIDE = 12;
};

// A fragment's words for 3x3 over `map`, around a place that may be clamped differently for each tap.
template <int N, class At> __device__ void taps(const word *map, At at, const words2 *kernel, float (&sums)[N][4]) {
    const Lane lane = ::lane();
#pragma unroll
    for (int tap = 0; tap < 9; tap++) {
        word a[4];
#pragma unroll
        for (int p = 0; p < 2; p++) {
            const word *pixel = map + at(p, tap / 3 - 1, tap % 3 - 1) * TailTile::STRIDE + lane.part;
            a[p] = pixel[0];
            a[p + 2] = pixel[4];
        }
#pragma unroll
        for (int n = 0; n < N; n++) {
            const words2 b = fragment(kernel, tap * N + n, lane);
            multiply_add(sums[n], a, b.x, b.y);
        }
    }
}

template <bool FILTERS>
__device__ void tail(const word *half_map, const f16 *picture, f16 *out, const words2 *expand,
                     const pair *expand_bias, const pair *z, const words2 *join, const pair *join_bias,
                     const words2 *rgb, const float *rgb_bias, Tail t) {
    constexpr int SIDE = TailTile::SIDE, JOINED = TailTile::JOINED, INNER = TailTile::INNER;
    constexpr int STRIDE = TailTile::STRIDE;
    // Pixels around the tile that are enlarged, at half the size, and kept.
    constexpr int AROUND = FILTERS ? 2 : 1, HALF = SIDE / 2 + 2 * AROUND;
    constexpr int SHUFFLED = FILTERS ? TailTile::SHUFFLED : JOINED, CUT = HALF - SHUFFLED / 2;
    word *joined = (word *)shared_memory, *inner = joined + JOINED * JOINED * STRIDE;
    // What is filtered is no longer needed when `inner` is made.
    word *shuffled = FILTERS ? inner : joined;
    const Lane lane = ::lane();
    const int warp = thread() / WARP, depth = t.channels / 16, words = t.channels / 2;
    const int first_row = t.first / 2 * 2 + block_y() * SIDE, first_col = block_x() * SIDE;
    const int rows = t.rows * 2, cols = t.cols * 2;

    // The enlarged map.
    for (int m = warp; m < (HALF * HALF + 15) / 16; m += TailTile::WARPS) {
        const word *pixels[2];
        Norm norms[2];
#pragma unroll
        for (int p = 0; p < 2; p++) {
            const int index = least(m * 16 + lane.pixel + 8 * p, HALF * HALF - 1);
            const int row = clamp(first_row / 2 - AROUND + index / HALF, t.rows);
            const int col = clamp(first_col / 2 - AROUND + index % HALF, t.cols);
            pixels[p] = half_map + ((long long)row * t.cols + col) * words;
            norms[p] = norm_over(pixels[p], words, lane, t.normed);
        }
        // 16 channels for each of the four pixels.
        float sums[8][4];
#pragma unroll
        for (int n = 0; n < 8; n++)
            begin(sums[n], expand_bias[n * 4 + lane.part]);
        for (int k = 0; k < depth; k++) {
            word a[4];
#pragma unroll
            for (int i = 0; i < 4; i++)
                a[i] = normalise(pixels[i % 2][k * 8 + i / 2 * 4 + lane.part], norms[i % 2]);
#pragma unroll
            for (int n = 0; n < 8; n++) {
                const words2 b = fragment(expand, k * 8 + n, lane);
                multiply_add(sums[n], a, b.x, b.y);
            }
        }
#pragma unroll
        for (int p = 0; p < 2; p++) {
            const int index = m * 16 + lane.pixel + 8 * p;
            if (index < HALF * HALF)
#pragma unroll
                for (int n = 0; n < 8; n++) {
                    const int row = index / HALF * 2 + n / 4 - CUT, col = index % HALF * 2 + n / 2 % 2 - CUT;
                    if (!FILTERS || (row >= 0 && row < SHUFFLED && col >= 0 && col < SHUFFLED))
                        shuffled[(row * SHUFFLED + col) * STRIDE + n % 2 * 4 + lane.part] =
                            pack(sums[n][2 * p], sums[n][2 * p + 1]);
                }
        }
    }
    wait_for_block();

    if (FILTERS) {
        // What lies beyond the picture isn't looked at, so that any place will do for it.
        auto place = [=](int at, int end, int first) { return clamp(reflected(at, end) - (first - 3), SHUFFLED); };
        for (int i = thread(); i < JOINED * JOINED * 8; i += threads()) {
            const int pixel = i / 8, part = i % 8;
            const int row = first_row - 2 + pixel / JOINED, col = first_col - 2 + pixel % JOINED;
            pair mixed[3];
#pragma unroll
            for (int dx = 0; dx < 3; dx++) {
                const int from_col = place(col + dx - 1, cols, first_col);
                auto at = [=](int dy) {
                    return unpack(shuffled[(place(row + dy, rows, first_row) * SHUFFLED + from_col) * STRIDE + part]);
                };
                mixed[dx] = binomial(at(-1), at(0), at(1));
            }
            const pair value = binomial(mixed[0], mixed[1], mixed[2]), weight = z[part];
            const float noise = noise_at(t.noise, noise_of_row(t.noise, row), col);
            joined[pixel * STRIDE + part] = pack(value.x + weight.x * noise, value.y + weight.y * noise);
        }
        wait_for_block();
    }

    // The picture's channels, behind it.
    auto picture_at = [=](int row, int col) {
        const int from_row = clamp(row - t.above, t.height), from_col = clamp(col - t.left, t.width);
        return picture + ((long long)from_row * t.width + from_col) * 3;
    };
    for (int i = thread(); i < JOINED * JOINED; i += threads()) {
        const f16 *pixel = picture_at(first_row - 2 + i / JOINED, first_col - 2 + i % JOINED);
        f16 *values = (f16 *)(joined + i * STRIDE) + t.inner;
        for (int c = 0; c < 3; c++)
            values[c] = finite(pixel[c]);
    }
    wait_for_block();

    for (int m = warp; m < (INNER * INNER + 15) / 16; m += TailTile::WARPS) {
        auto at = [=](int p, int dy, int dx) {
            const int index = least(m * 16 + lane.pixel + 8 * p, INNER * INNER - 1);
            // What lies beyond the picture isn't looked at, so that any place will do for it.
            const int row = clamp(first_row - 1 + index / INNER + dy, rows) - (first_row - 2);
            const int col = clamp(first_col - 1 + index % INNER + dx, cols) - (first_col - 2);
            return clamp(row, JOINED) * JOINED + clamp(col, JOINED);
        };
        float sums[2][4];
#pragma unroll
        for (int n = 0; n < 2; n++)
            begin(sums[n], join_bias[n * 4 + lane.part]);
        taps(joined, at, join, sums);
#pragma unroll
        for (int p = 0; p < 2; p++) {
            const int index = m * 16 + lane.pixel + 8 * p;
            if (index < INNER * INNER)
#pragma unroll
                for (int n = 0; n < 2; n++)
                    inner[index * STRIDE + n * 4 + lane.part] = pack(relu(sums[n][2 * p]), relu(sums[n][2 * p + 1]));
        }
    }
    wait_for_block();

    for (int m = warp; m < SIDE; m += TailTile::WARPS) {
        const int row = first_row + m;
        auto at = [=](int p, int dy, int dx) {
            const int from_row = clamp(row + dy, rows) - (first_row - 1);
            const int from_col = clamp(first_col + lane.pixel + 8 * p + dx, cols) - (first_col - 1);
            return clamp(from_row, INNER) * INNER + clamp(from_col, INNER);
        };
        float sums[1][4] = {};
        taps(inner, at, rgb, sums);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int col = first_col + lane.pixel + i / 2 * 8 - t.left, channel = lane.part * 2 + i % 2;
            if (channel < 3 && col >= 0 && col < t.width && row >= t.first && row < t.first + t.count)
                out[((long long)(row - t.first) * t.width + col) * 3 + channel] =
                    (f16)pack(sums[0][i] + rgb_bias[channel], 0);
        }
    }
}
