// Changes of whole pictures before a discriminator sees them: (x - mean) contrast + mean + brightness, moved, with a square
// cut out.
#pragma once
#include "elementwise.cuh"

// As `change::CHANGE` has it: numbers a map.
struct Change {
    float brightness, contrast, down, right, top, left;
};

// Where a pixel comes from, or -1 if it is 0.
__device__ int changed_from(const Change &change, int row, int col, int rows, int cols, int hole) {
    const int y = row - (int)change.down, x = col - (int)change.right;
    const int in_y = row - (int)change.top, in_x = col - (int)change.left;
    const bool is_cut = in_y >= 0 && in_y < hole && in_x >= 0 && in_x < hole;
    return y < 0 || y >= rows || x < 0 || x >= cols || is_cut ? -1 : y * cols + x;
}

// Where a pixel goes to, or -1 if it is lost.
__device__ int changed_to(const Change &change, int row, int col, int rows, int cols, int hole) {
    const int y = row + (int)change.down, x = col + (int)change.right;
    return y < 0 || y >= rows || x < 0 || x >= cols || changed_from(change, y, x, rows, cols, hole) < 0 ? -1
                                                                                                        : y * cols + x;
}

// A block a map: the mean of its values; with changes, of those alone that are not lost, of what they go to.
KERNEL(256)
mean_of_maps(const float *x, const Change *changes, float *means, int rows, int cols, int channels, int hole) {
    const int map = block_x(), count = rows * cols * channels;
    const float *of = x + (long long)map * count;
    float sum = 0;
    for (int i = thread(); i < count; i += threads()) {
        int pixel = i / channels;
        if (changes)
            pixel = changed_to(changes[map], pixel / cols, pixel % cols, rows, cols, hole);
        sum += pixel < 0 ? 0 : of[pixel * channels + i % channels];
    }
    sum = sum_of_block(sum);
    if (thread() == 0)
        means[map] = sum / (float)count;
}

KERNEL(256)
change_maps(const float *x, const Change *changes, const float *means, float *out, int count, int rows, int cols,
            int channels, int hole) {
    const long long at = (long long)block_x() * threads() + thread();
    if (at >= count)
        return;
    const int size = rows * cols * channels, map = (int)(at / size), pixel = (int)(at % size) / channels;
    const Change change = changes[map];
    const int from = changed_from(change, pixel / cols, pixel % cols, rows, cols, hole);
    const float mean = means[map], value = from < 0 ? 0 : x[(long long)map * size + from * channels + at % channels];
    out[at] = from < 0 ? 0 : (value - mean) * change.contrast + mean + change.brightness;
}

KERNEL(256)
through_change(const float *gradient, const Change *changes, const float *means, float *out, int count, int rows,
               int cols, int channels, int hole) {
    const long long at = (long long)block_x() * threads() + thread();
    if (at >= count)
        return;
    const int size = rows * cols * channels, map = (int)(at / size), pixel = (int)(at % size) / channels;
    const Change change = changes[map];
    const int to = changed_to(change, pixel / cols, pixel % cols, rows, cols, hole);
    const float given = to < 0 ? 0 : gradient[(long long)map * size + to * channels + at % channels];
    out[at] = given * change.contrast + (1 - change.contrast) * means[map];
}
