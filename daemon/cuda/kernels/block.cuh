// A residual block, x + p2(ReLU(p1(n(dw(x) + z noise)))), in one pass: dw is depthwise 5x5, n the norm over a pixel's
// channels, p1 and p2 are 1x1; n's scale and shift are folded into p1. Borders are repeated. Noise is a value a pixel; without
// `z` there is none.
//
// A thread convolves just those values that it has to hold as fragments of the first product, and that product's sums
// are, rounded, fragments of the second: between x and the result nothing goes through memory.
#pragma once
#include "device.cuh"

template <int CHANNELS> struct BlockTile {
    static constexpr int WARPS = CHANNELS <= 48 ? 8 : CHANNELS <= 96 ? 4 : 2;
    // A warp has two rows of 16 pixels.
    static constexpr int ROWS = 2 * WARPS, COLS = 16, REACH = 2;
    static constexpr int IN_ROWS = ROWS + 2 * REACH, IN_COLS = COLS + 2 * REACH;
    // Words from pixel to pixel: four more than there are, so that 8 pixels' words are in different banks.
    static constexpr int STRIDE = CHANNELS / 2 + 4;
};

template <int CHANNELS>
__device__ void block(const words4 *x, words4 *out, const pair *dw, const pair *dw_bias, const pair *z, const float *noise,
                      const words2 *p1, const pair *p1_bias, const words2 *p2, const pair *p2_bias, int rows, int cols,
                      int channels, int inside) {
    using Tile = BlockTile<CHANNELS>;
    constexpr int K = CHANNELS / 16, N = CHANNELS / 8, REACH = Tile::REACH, STRIDE = Tile::STRIDE;
    const int first_row = block_y() * Tile::ROWS, first_col = block_x() * Tile::COLS;

    for (int i = thread(); i < Tile::IN_ROWS * Tile::IN_COLS * N; i += threads()) {
        const int pixel = i / N, part = i % N;
        const int row = clamp(first_row + pixel / Tile::IN_COLS - REACH, rows);
        const int col = clamp(first_col + pixel % Tile::IN_COLS - REACH, cols);
        shared_memory[pixel * (STRIDE / 4) + part] = x[((long long)row * cols + col) * N + part];
    }
    wait_for_block();

    word *tile = (word *)shared_memory;
    const Lane lane = ::lane();
    const int own_row = thread() / WARP * 2;

    word a[2][K][4];
    {
        // Of each row: its two pixels, and their channels.
        pair values[2][K][4];
#pragma unroll
        for (int i = 0; i < 2 * K; i++) {
            const pair bias = dw_bias[i * 4 + lane.part];
#pragma unroll
            for (int row = 0; row < 2; row++)
                values[row][i / 2][i % 2 * 2] = values[row][i / 2][i % 2 * 2 + 1] = bias;
        }
        // Column by column: all of it unrolled wouldn't fit where the processor keeps its instructions.
#pragma unroll 1
        for (int dx = 0; dx < 5; dx++)
#pragma unroll
            for (int i = 0; i < 2 * K; i++) {
                const int channel_pair = i * 4 + lane.part;
                pair weight[5];
#pragma unroll
                for (int dy = 0; dy < 5; dy++)
                    weight[dy] = dw[(dy * 5 + dx) * (CHANNELS / 2) + channel_pair];
#pragma unroll
                for (int dy = 0; dy < 6; dy++)
#pragma unroll
                    for (int p = 0; p < 2; p++) {
                        const int pixel = (own_row + dy) * Tile::IN_COLS + lane.pixel + 8 * p + dx;
                        const pair value = unpack(tile[pixel * STRIDE + channel_pair]);
#pragma unroll
                        for (int row = 0; row < 2; row++)
                            if (dy >= row && dy - row < 5) {
                                pair &sum = values[row][i / 2][p + i % 2 * 2];
                                sum.x += weight[dy - row].x * value.x;
                                sum.y += weight[dy - row].y * value.y;
                            }
                    }
            }
        if (z) {
#pragma unroll
            for (int row = 0; row < 2; row++) {
                // Of pixels beyond the map nothing is kept: there any value will do.
                const float *of_row = noise + (long long)clamp(first_row + own_row + row, rows) * cols;
#pragma unroll
                for (int p = 0; p < 2; p++) {
                    const float value = of_row[clamp(first_col + lane.pixel + 8 * p, cols)];
#pragma unroll
                    for (int i = 0; i < 2 * K; i++) {
                        const pair weight = z[i * 4 + lane.part];
                        pair &sum = values[row][i / 2][p + i % 2 * 2];
                        sum.x += weight.x * value;
                        sum.y += weight.y * value;
                    }
                }
            }
        }
#pragma unroll
        for (int row = 0; row < 2; row++)
#pragma unroll
            for (int p = 0; p < 2; p++) {
                float sum = 0;
#pragma unroll
                for (int k = 0; k < K; k++)
                    sum += values[row][k][p].x + values[row][k][p].y + values[row][k][p + 2].x + values[row][k][p + 2].y;
                const float mean = sum_of_quad(sum) / channels;
                float squares = 0;
#pragma unroll
                for (int k = 0; k < K; k++)
#pragma unroll
                    for (int half = 0; half < 2; half++) {
                        pair &value = values[row][k][p + 2 * half];
                        const int channel = k * 16 + half * 8 + lane.part * 2;
                        value.x = channel < channels ? value.x - mean : 0;
                        value.y = channel + 1 < channels ? value.y - mean : 0;
                        squares += value.x * value.x + value.y * value.y;
                    }
                const float scale = inverse_root(sum_of_quad(squares) / channels + EPSILON);
#pragma unroll
                for (int k = 0; k < K; k++)
#pragma unroll
                    for (int half = 0; half < 2; half++) {
                        const pair value = values[row][k][p + 2 * half];
                        a[row][k][p + 2 * half] = pack(value.x * scale, value.y * scale);
                    }
            }
    }

    float sums[2][N][4];
#pragma unroll
    for (int n = 0; n < N; n++) {
        begin(sums[0][n], p2_bias[n * 4 + lane.part]);
        begin(sums[1][n], p2_bias[n * 4 + lane.part]);
    }
    for (int i = 0; i < inside / 16; i++) {
        word hidden[2][4];
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int n = i * 2 + half;
            float inner[2][4];
            begin(inner[0], p1_bias[n * 4 + lane.part]);
            begin(inner[1], p1_bias[n * 4 + lane.part]);
#pragma unroll
            for (int k = 0; k < K; k++) {
                const words2 b = fragment(p1, k * (inside / 8) + n, lane);
                multiply_add(inner[0], a[0][k], b.x, b.y);
                multiply_add(inner[1], a[1][k], b.x, b.y);
            }
#pragma unroll
            for (int row = 0; row < 2; row++) {
                hidden[row][2 * half] = pack(relu(inner[row][0]), relu(inner[row][1]));
                hidden[row][2 * half + 1] = pack(relu(inner[row][2]), relu(inner[row][3]));
            }
        }
#pragma unroll
        for (int n = 0; n < N; n++) {
            const words2 b = fragment(p2, i * N + n, lane);
            multiply_add(sums[0][n], hidden[0], b.x, b.y);
            multiply_add(sums[1][n], hidden[1], b.x, b.y);
        }
    }

    // Nobody needs its neighbours' x any more: the result goes where x is, and from there in long rows to the map.
    wait_for_block();
#pragma unroll
    for (int row = 0; row < 2; row++)
#pragma unroll
        for (int p = 0; p < 2; p++) {
            const int pixel = (own_row + row + REACH) * Tile::IN_COLS + lane.pixel + 8 * p + REACH;
#pragma unroll
            for (int n = 0; n < N; n++) {
                word &at = tile[pixel * STRIDE + n * 4 + lane.part];
                const pair base = unpack(at);
                at = pack(base.x + sums[row][n][2 * p], base.y + sums[row][n][2 * p + 1]);
            }
        }
    wait_for_block();
    for (int i = thread(); i < Tile::ROWS * Tile::COLS * N; i += threads()) {
        const int pixel = i / N, part = i % N;
        const int row = pixel / Tile::COLS, col = pixel % Tile::COLS;
        if (first_row + row < rows && first_col + col < cols)
            out[((long long)(first_row + row) * cols + first_col + col) * N + part] =
                shared_memory[((row + REACH) * Tile::IN_COLS + col + REACH) * (STRIDE / 4) + part];
    }
}
