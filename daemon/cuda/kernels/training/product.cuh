// Convolutions of whole maps and their gradients, as products of matrices in TF32 with sums in f32. Here maps are f32,
// [maps][rows][cols][channels], their channels not padded.
#pragma once
#include "../device.cuh"

// Pixels of a source that products are made of: as `conv::Gather` has it. The pixel (y, x) of the result is made of source
// pixels y * stride + ty * step + first, and so on, for each tap (ty, tx).
struct Gather {
    int in_rows, in_cols, channels;
    int rows, cols, outputs;
    int taps_y, taps_x;
    int stride, step, first_y, first_x;
    // What lies beyond the source is 0, or the border repeated.
    int repeats;
    // Where the taps' weights are: at (weight_y + ty * weight_step) * kernel + weight_x + tx * weight_step.
    int kernel, weight_y, weight_x, weight_step;
    // Where pixels go: to rows y * place + place_y of so many.
    int place, place_y, place_x, place_rows, place_cols;
    // What negative results are multiplied with.
    float slope;
    int maps;
};

// A pixel's place in the source, or -1 if what is there is 0.
__device__ long long source_pixel(const Gather &g, int map, int y, int x) {
    if (g.repeats) {
        y = clamp(y, g.in_rows);
        x = clamp(x, g.in_cols);
    } else if (y < 0 || y >= g.in_rows || x < 0 || x >= g.in_cols)
        return -1;
    return ((long long)map * g.in_rows + y) * g.in_cols + x;
}

constexpr int PRODUCT_THREADS = 128;
// Inputs of a product at a time, and words from pixel to pixel: so that 8 pixels' words are in different banks.
constexpr int DEPTH = 16, PIXEL_STRIDE = DEPTH + 4;

// A block has so many pixels and outputs, and each of its four warps a part.
template <int OUTPUTS> struct ProductTile {
    static constexpr int PIXELS = 128;
    static constexpr int WARPS_ACROSS = OUTPUTS == 64 ? 2 : 1, WARPS_DOWN = 4 / WARPS_ACROSS;
    static constexpr int M = PIXELS / WARPS_DOWN / 16, N = OUTPUTS / WARPS_ACROSS / 8;
    static constexpr int OUTPUT_STRIDE = OUTPUTS + 8;
    static constexpr int WORDS = PIXELS * PIXEL_STRIDE + DEPTH * OUTPUT_STRIDE;
};

// out = act(sum over taps of source * weights + bias) + added; weights are [taps][channels][outputs].
template <int OUTPUTS>
__device__ void gather_product(const float *source, const float *weights, const float *bias, const float *added,
                               float *out, Gather g) {
    using Tile = ProductTile<OUTPUTS>;
    constexpr int LOADS = Tile::PIXELS * DEPTH / 4 / PRODUCT_THREADS;
    constexpr int WEIGHTS = DEPTH * OUTPUTS / PRODUCT_THREADS;
    word *pixels = (word *)shared_memory, *kernel = pixels + Tile::PIXELS * PIXEL_STRIDE;
    const Lane lane = ::lane();
    const int warp = thread() / WARP, down = warp / Tile::WARPS_ACROSS, across = warp % Tile::WARPS_ACROSS;
    const long long count = (long long)g.maps * g.rows * g.cols, first_pixel = (long long)block_x() * Tile::PIXELS;
    const int first_output = block_y() * OUTPUTS;
    const bool aligned = g.channels % 4 == 0;

    // The pixels that this thread loads: four channels of each.
    const int own_channel = thread() % 4 * 4, own_pixel = thread() / 4;
    int map[LOADS], y[LOADS], x[LOADS];
#pragma unroll
    for (int i = 0; i < LOADS; i++) {
        const long long pixel = first_pixel + own_pixel + i * (PRODUCT_THREADS / 4);
        map[i] = pixel < count ? (int)(pixel / (g.rows * g.cols)) : -1;
        y[i] = (int)(pixel / g.cols % g.rows) * g.stride + g.first_y;
        x[i] = (int)(pixel % g.cols) * g.stride + g.first_x;
    }

    float sums[Tile::M][Tile::N][4] = {};
    float next[LOADS][4], next_weights[WEIGHTS];
    const int parts = (g.channels + DEPTH - 1) / DEPTH, steps = g.taps_y * g.taps_x * parts;
    auto load = [&](int step) __attribute__((always_inline)) {
        const int tap = step / parts, ty = tap / g.taps_x, tx = tap % g.taps_x, first_channel = step % parts * DEPTH;
        const int channel = first_channel + own_channel;
#pragma unroll
        for (int i = 0; i < LOADS; i++) {
            const long long pixel =
                map[i] < 0 ? -1 : source_pixel(g, map[i], y[i] + ty * g.step, x[i] + tx * g.step);
            const float *from = source + pixel * g.channels + channel;
            if (aligned) {
                words4 four = {};
                if (pixel >= 0 && channel < g.channels)
                    four = *(const words4 *)from;
                next[i][0] = __builtin_bit_cast(float, four.x);
                next[i][1] = __builtin_bit_cast(float, four.y);
                next[i][2] = __builtin_bit_cast(float, four.z);
                next[i][3] = __builtin_bit_cast(float, four.w);
            } else
#pragma unroll
                for (int c = 0; c < 4; c++)
                    next[i][c] = pixel >= 0 && channel + c < g.channels ? from[c] : 0;
        }
        const int at = (g.weight_y + ty * g.weight_step) * g.kernel + g.weight_x + tx * g.weight_step;
#pragma unroll
        for (int i = 0; i < WEIGHTS; i++) {
            const int word = thread() + i * PRODUCT_THREADS;
            const int input = first_channel + word / OUTPUTS, output = first_output + word % OUTPUTS;
            next_weights[i] = input < g.channels && output < g.outputs
                                  ? weights[((long long)at * g.channels + input) * g.outputs + output]
                                  : 0;
        }
    };

    load(0);
    for (int step = 0; step < steps; step++) {
#pragma unroll
        for (int i = 0; i < LOADS; i++) {
            const int pixel = own_pixel + i * (PRODUCT_THREADS / 4);
            *(words4 *)&pixels[pixel * PIXEL_STRIDE + own_channel] = {tf32(next[i][0]), tf32(next[i][1]),
                                                                      tf32(next[i][2]), tf32(next[i][3])};
        }
#pragma unroll
        for (int i = 0; i < WEIGHTS; i++) {
            const int word = thread() + i * PRODUCT_THREADS;
            kernel[word / OUTPUTS * Tile::OUTPUT_STRIDE + word % OUTPUTS] = tf32(next_weights[i]);
        }
        wait_for_block();
        if (step + 1 < steps)
            load(step + 1);
#pragma unroll
        for (int k = 0; k < DEPTH; k += 8) {
            word b[Tile::N][2];
#pragma unroll
            for (int n = 0; n < Tile::N; n++)
#pragma unroll
                for (int half = 0; half < 2; half++)
                    b[n][half] = kernel[(k + lane.part + 4 * half) * Tile::OUTPUT_STRIDE +
                                        (across * Tile::N + n) * 8 + lane.pixel];
#pragma unroll
            for (int m = 0; m < Tile::M; m++) {
                const word *row = &pixels[((down * Tile::M + m) * 16 + lane.pixel) * PIXEL_STRIDE + k + lane.part];
                const word a[4] = {row[0], row[8 * PIXEL_STRIDE], row[4], row[8 * PIXEL_STRIDE + 4]};
#pragma unroll
                for (int n = 0; n < Tile::N; n++)
                    multiply_add_tf32(sums[m][n], a, b[n][0], b[n][1]);
            }
        }
        wait_for_block();
    }

#pragma unroll
    for (int m = 0; m < Tile::M; m++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const long long pixel = first_pixel + (down * Tile::M + m) * 16 + lane.pixel + 8 * half;
            if (pixel >= count)
                continue;
            const int to_map = (int)(pixel / (g.rows * g.cols)), row = (int)(pixel / g.cols % g.rows);
            const int to_row = row * g.place + g.place_y, to_col = (int)(pixel % g.cols) * g.place + g.place_x;
            if (to_row >= g.place_rows || to_col >= g.place_cols)
                continue;
            const long long to = (((long long)to_map * g.place_rows + to_row) * g.place_cols + to_col) * g.outputs;
#pragma unroll
            for (int n = 0; n < Tile::N; n++)
#pragma unroll
                for (int c = 0; c < 2; c++) {
                    const int output = first_output + (across * Tile::N + n) * 8 + lane.part * 2 + c;
                    if (output >= g.outputs)
                        continue;
                    const float sum = sums[m][n][half * 2 + c] + (bias ? bias[output] : 0);
                    out[to + output] = (sum > 0 ? sum : sum * g.slope) + (added ? added[to + output] : 0);
                }
        }
}

// What a weight's gradient is the sum of: rows of the source's taps and channels, and one of ones for the bias, by columns
// of the gradient's channels, over so many pixels a part.
constexpr int GRADIENT_ROWS = 64, GRADIENT_COLS = 64, GRADIENT_STRIDE = 64 + 8;
constexpr int GRADIENT_WORDS = 2 * DEPTH * GRADIENT_STRIDE + 3 * DEPTH;

// sums[part][row][output], rows being taps * channels + 1.
__device__ void weight_product(const float *source, const float *gradient, float *sums, Gather g, int pixels_a_part) {
    constexpr int LOADS = DEPTH * GRADIENT_ROWS / PRODUCT_THREADS;
    word *rows = (word *)shared_memory, *cols = rows + DEPTH * GRADIENT_STRIDE;
    int *places = (int *)(cols + DEPTH * GRADIENT_STRIDE);
    const Lane lane = ::lane();
    const int warp = thread() / WARP, down = warp / 2, across = warp % 2;
    const int all_rows = g.taps_y * g.taps_x * g.channels;
    const int first_row = block_x() * GRADIENT_ROWS, first_output = block_y() * GRADIENT_COLS;
    const long long count = (long long)g.maps * g.rows * g.cols, begin = (long long)block_z() * pixels_a_part;
    const long long end = begin + pixels_a_part < count ? begin + pixels_a_part : count;

    // This thread loads one row, and one column, of every other pixel.
    const int own = thread() % GRADIENT_ROWS, own_pixel = thread() / GRADIENT_ROWS;
    const int row = first_row + own, tap = row / g.channels, channel = row % g.channels;
    const int ty = tap / g.taps_x * g.step, tx = tap % g.taps_x * g.step;

    float all[2][4][4] = {};
    for (long long first = begin; first < end; first += DEPTH) {
        if (thread() < DEPTH) {
            const long long pixel = first + thread();
            places[thread() * 3] = pixel < end ? (int)(pixel / (g.rows * g.cols)) : -1;
            places[thread() * 3 + 1] = (int)(pixel / g.cols % g.rows) * g.stride + g.first_y;
            places[thread() * 3 + 2] = (int)(pixel % g.cols) * g.stride + g.first_x;
        }
        wait_for_block();
#pragma unroll
        for (int i = 0; i < LOADS; i++) {
            const int pixel = own_pixel + i * (PRODUCT_THREADS / GRADIENT_ROWS);
            const int *place = &places[pixel * 3];
            float value = 0, given = 0;
            if (place[0] >= 0) {
                if (row < all_rows) {
                    const long long from = source_pixel(g, place[0], place[1] + ty, place[2] + tx);
                    value = from < 0 ? 0 : source[from * g.channels + channel];
                } else
                    value = row == all_rows;
                if (first_output + own < g.outputs)
                    given = gradient[(first + pixel) * g.outputs + first_output + own];
            }
            rows[pixel * GRADIENT_STRIDE + own] = tf32(value);
            cols[pixel * GRADIENT_STRIDE + own] = tf32(given);
        }
        wait_for_block();
#pragma unroll
        for (int k = 0; k < DEPTH; k += 8) {
            const int near = (k + lane.part) * GRADIENT_STRIDE + lane.pixel, far = near + 4 * GRADIENT_STRIDE;
            word b[4][2];
#pragma unroll
            for (int n = 0; n < 4; n++) {
                b[n][0] = cols[near + (across * 4 + n) * 8];
                b[n][1] = cols[far + (across * 4 + n) * 8];
            }
#pragma unroll
            for (int m = 0; m < 2; m++) {
                const int at = (down * 2 + m) * 16;
                const word a[4] = {rows[near + at], rows[near + at + 8], rows[far + at], rows[far + at + 8]};
#pragma unroll
                for (int n = 0; n < 4; n++)
                    multiply_add_tf32(all[m][n], a, b[n][0], b[n][1]);
            }
        }
        wait_for_block();
    }
#pragma unroll
    for (int m = 0; m < 2; m++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int to_row = first_row + (down * 2 + m) * 16 + lane.pixel + i / 2 * 8;
            if (to_row > all_rows)
                continue;
#pragma unroll
            for (int n = 0; n < 4; n++) {
                const int output = first_output + (across * 4 + n) * 8 + lane.part * 2 + i % 2;
                if (output < g.outputs)
                    sums[((long long)block_z() * (all_rows + 1) + to_row) * g.outputs + output] = all[m][n][i];
            }
        }
}

// The parts' sums, in order, as PyTorch keeps weights: [outputs][channels][taps]; and the bias's, [outputs].
__device__ void weight_sums(const float *sums, float *weight, float *bias, int parts, int taps, int channels,
                            int outputs) {
    const int rows = taps * channels, at = block_x() * threads() + thread();
    if (at >= (rows + 1) * outputs)
        return;
    float sum = 0;
    for (int part = 0; part < parts; part++)
        sum += sums[(long long)part * (rows + 1) * outputs + at];
    const int row = at / outputs, output = at % outputs;
    if (row == rows) {
        if (bias)
            bias[output] = sum;
    } else
        weight[((long long)output * channels + row % channels) * taps + row / channels] = sum;
}

// Weights [outputs][channels][taps] as [taps][channels][outputs], or as [taps][outputs][channels] for gradients.
__device__ void arrange(const float *weight, float *out, int outputs, int channels, int taps, int turned) {
    const int at = block_x() * threads() + thread();
    if (at >= outputs * channels * taps)
        return;
    const int last = turned ? channels : outputs, middle = turned ? outputs : channels;
    const int tap = at / (last * middle), a = at / last % middle, b = at % last;
    const int output = turned ? a : b, channel = turned ? b : a;
    out[at] = weight[((long long)output * channels + channel) * taps + tap];
}

// The gradient of maps from that of the same with repeated borders of `pad` pixels.
__device__ void fold(const float *padded, float *out, int maps, int rows, int cols, int channels, int pad) {
    const long long at = (long long)block_x() * threads() + thread();
    if (at >= (long long)maps * rows * cols * channels)
        return;
    const int channel = (int)(at % channels), x = (int)(at / channels % cols);
    const int y = (int)(at / channels / cols % rows), map = (int)(at / channels / cols / rows);
    const int first_y = y == 0 ? 0 : y + pad, last_y = y == rows - 1 ? rows - 1 + 2 * pad : y + pad;
    const int first_x = x == 0 ? 0 : x + pad, last_x = x == cols - 1 ? cols - 1 + 2 * pad : x + pad;
    float sum = 0;
    for (int py = first_y; py <= last_y; py++)
        for (int px = first_x; px <= last_x; px++)
            sum += padded[(((long long)map * (rows + 2 * pad) + py) * (cols + 2 * pad) + px) * channels + channel];
    out[at] = sum;
}

#define PRODUCT(N)                                                                                                     \
    KERNEL(PRODUCT_THREADS)                                                                                            \
    gather_##N(const float *source, const float *weights, const float *bias, const float *added, float *out,           \
               Gather g) {                                                                                             \
        gather_product<N>(source, weights, bias, added, out, g);                                                       \
    }
PRODUCT(16)
PRODUCT(32)
PRODUCT(64)

KERNEL(PRODUCT_THREADS)
weight_parts(const float *source, const float *gradient, float *sums, Gather g, int pixels_a_part) {
    weight_product(source, gradient, sums, g, pixels_a_part);
}

KERNEL(256)
sum_weights(const float *sums, float *weight, float *bias, int parts, int taps, int channels, int outputs) {
    weight_sums(sums, weight, bias, parts, taps, channels, outputs);
}

KERNEL(256)
arrange_weights(const float *weight, float *out, int outputs, int channels, int taps, int turned) {
    arrange(weight, out, outputs, channels, taps, turned);
}

KERNEL(256)
fold_borders(const float *padded, float *out, int maps, int rows, int cols, int channels, int pad) {
    fold(padded, out, maps, rows, cols, channels, pad);
}
