// The depthwise 5x5 convolution, which repeats borders, and its gradients. A thread has one channel of some columns, and
// goes down some rows: a row that it reads is used for all results that are made of it. Neighbouring threads have
// neighbouring channels, then columns, as they lie in memory. All is unrolled, so that it stays in registers. Weights are
// [taps][channels].
#pragma once
#include "../device.cuh"

constexpr int SIDE = 5, TAPS = SIDE * SIDE, AROUND = SIDE / 2;
// Columns of a thread, and rows that it goes down; columns that it reads for them.
constexpr int RUN = 2, STRIP = 8, SEEN = RUN + SIDE - 1;

// What a thread sees of row `y` of its channel, which begins at `map`: beyond the sides the border, or 0.
template <bool REPEATS>
__device__ void see(const float *map, int y, int first_col, int rows, int cols, int channels, float (&values)[SEEN]) {
    const float *row = map + (long long)clamp(y, rows) * cols * channels;
    const bool is_row = y >= 0 && y < rows;
#pragma unroll
    for (int i = 0; i < SEEN; i++) {
        const int col = first_col - AROUND + i;
        values[i] = REPEATS || (is_row && col >= 0 && col < cols) ? row[clamp(col, cols) * channels] : 0;
    }
}

// With repeated borders and a bias; or turned round for the gradient of what is convolved, without either.
template <bool TURNED>
__device__ void depthwise(const float *x, const float *weights, const float *bias, float *out, int rows, int cols,
                          int channels) {
    const int at = block_x() * threads() + thread(), channel = at % channels;
    const int first_col = at / channels * RUN, first_row = block_y() * STRIP;
    if (first_col >= cols)
        return;
    const long long map = (long long)block_z() * rows * cols * channels + channel;
    float taps[TAPS], sums[STRIP][RUN];
#pragma unroll
    for (int tap = 0; tap < TAPS; tap++)
        taps[tap] = weights[(TURNED ? TAPS - 1 - tap : tap) * channels + channel];
    const float begin = TURNED ? 0 : bias[channel];
#pragma unroll
    for (int row = 0; row < STRIP; row++)
#pragma unroll
        for (int p = 0; p < RUN; p++)
            sums[row][p] = begin;
#pragma unroll
    for (int i = 0; i < STRIP + SIDE - 1; i++) {
        float values[SEEN];
        see<!TURNED>(x + map, first_row - AROUND + i, first_col, rows, cols, channels, values);
#pragma unroll
        for (int dy = 0; dy < SIDE; dy++)
            if (i >= dy && i - dy < STRIP)
#pragma unroll
                for (int dx = 0; dx < SIDE; dx++)
#pragma unroll
                    for (int p = 0; p < RUN; p++)
                        sums[i - dy][p] += taps[dy * SIDE + dx] * values[p + dx];
    }
#pragma unroll
    for (int row = 0; row < STRIP; row++)
#pragma unroll
        for (int p = 0; p < RUN; p++)
            if (first_row + row < rows && first_col + p < cols)
                out[map + ((long long)(first_row + row) * cols + first_col + p) * channels] = sums[row][p];
}

// Along a side, the taps by which a result at `from` was made of a pixel at `to`: of one at the border, of what repeats it
// as well.
struct TapRange {
    int first, last;
};

__device__ TapRange taps_between(int to, int from, int end) {
    const int tap = to - from + AROUND;
    return {to == 0 ? 0 : tap, to == end - 1 ? SIDE - 1 : tap};
}

// The gradient of the border's pixels. First of a map come its first and last rows, then what remains of the columns.
__device__ void depthwise_border(const float *weights, const float *gradient, float *out, int maps, int rows, int cols,
                                 int channels) {
    const int ends = least(rows, 2), sides = least(cols, 2), pixels = ends * cols + sides * (rows - ends);
    const long long at = (long long)block_x() * threads() + thread();
    if (at >= (long long)maps * pixels * channels)
        return;
    const int channel = (int)(at % channels), pixel = (int)(at / channels % pixels), map = (int)(at / channels / pixels);
    const int beside = pixel - ends * cols;
    const int y = beside < 0 ? pixel / cols * (rows - 1) : 1 + beside / sides;
    const int x = beside < 0 ? pixel % cols : beside % sides * (cols - 1);
    const long long first = (long long)map * rows * cols;
    float sum = 0;
    for (int from_y = y < AROUND ? 0 : y - AROUND; from_y < least(y + AROUND + 1, rows); from_y++)
        for (int from_x = x < AROUND ? 0 : x - AROUND; from_x < least(x + AROUND + 1, cols); from_x++) {
            const TapRange down = taps_between(y, from_y, rows), across = taps_between(x, from_x, cols);
            float weight = 0;
            for (int ty = down.first; ty <= down.last; ty++)
                for (int tx = across.first; tx <= across.last; tx++)
                    weight += weights[(ty * SIDE + tx) * channels + channel];
            sum += weight * gradient[(first + (long long)from_y * cols + from_x) * channels + channel];
        }
    out[(first + (long long)y * cols + x) * channels + channel] = sum;
}

// sums[part][tap][channel], the last for the bias. `lanes` neighbouring threads have channels of the same columns and rows,
// and those of a block go through a part of all columns and rows.
__device__ void depthwise_weights(const float *x, const float *gradient, float *sums, int maps, int rows, int cols,
                                  int channels, int lanes, int runs_a_part) {
    float *shared = (float *)shared_memory;
    const int slots = threads() / lanes, slot = thread() / lanes, channel = block_y() * lanes + thread() % lanes;
    const int across = (cols + RUN - 1) / RUN, down = (rows + STRIP - 1) / STRIP;
    const long long all_runs = (long long)maps * down * across, begin = (long long)block_x() * runs_a_part;
    const long long end = begin + runs_a_part < all_runs ? begin + runs_a_part : all_runs;
    float own[TAPS + 1] = {};
    if (slot < slots && channel < channels)
#pragma unroll 1
        for (long long run = begin + slot; run < end; run += slots) {
            const int first_col = (int)(run % across) * RUN, first_row = (int)(run / across % down) * STRIP;
            const long long map = run / across / down * rows * cols * channels + channel;
            float given[STRIP][RUN];
#pragma unroll
            for (int row = 0; row < STRIP; row++)
#pragma unroll
                for (int p = 0; p < RUN; p++) {
                    const int y = first_row + row, col = first_col + p;
                    given[row][p] =
                        y < rows && col < cols ? gradient[map + ((long long)y * cols + col) * channels] : 0;
                    own[TAPS] += given[row][p];
                }
#pragma unroll
            for (int i = 0; i < STRIP + SIDE - 1; i++) {
                float values[SEEN];
                see<true>(x + map, first_row - AROUND + i, first_col, rows, cols, channels, values);
#pragma unroll
                for (int dy = 0; dy < SIDE; dy++)
                    if (i >= dy && i - dy < STRIP)
#pragma unroll
                        for (int dx = 0; dx < SIDE; dx++)
#pragma unroll
                            for (int p = 0; p < RUN; p++)
                                own[dy * SIDE + dx] += given[i - dy][p] * values[p + dx];
            }
        }
#pragma unroll
    for (int i = 0; i <= TAPS; i++)
        shared[i * threads() + thread()] = own[i];
    wait_for_block();
    for (int i = thread(); i < (TAPS + 1) * lanes; i += threads()) {
        const int tap = i / lanes, to = block_y() * lanes + i % lanes;
        float sum = 0;
        for (int other = 0; other < slots; other++)
            sum += shared[tap * threads() + other * lanes + i % lanes];
        if (to < channels)
            sums[((long long)block_x() * (TAPS + 1) + tap) * channels + to] = sum;
    }
}

KERNEL(128)
depthwise_forward(const float *x, const float *weights, const float *bias, float *out, int rows, int cols, int channels) {
    depthwise<false>(x, weights, bias, out, rows, cols, channels);
}

KERNEL(128)
depthwise_back(const float *gradient, const float *weights, float *out, int rows, int cols, int channels) {
    depthwise<true>(gradient, weights, nullptr, out, rows, cols, channels);
}

KERNEL(256)
depthwise_back_border(const float *weights, const float *gradient, float *out, int maps, int rows, int cols,
                      int channels) {
    depthwise_border(weights, gradient, out, maps, rows, cols, channels);
}

KERNEL(256)
depthwise_weight_parts(const float *x, const float *gradient, float *sums, int maps, int rows, int cols, int channels,
                       int lanes, int runs_a_part) {
    depthwise_weights(x, gradient, sums, maps, rows, cols, channels, lanes, runs_a_part);
}
