// Gram matrices: what products don't do for them.
#pragma once
#include "../device.cuh"

// The weights, and no bias, that take maps less their means to the gradient: (G + G^T) * scale.
KERNEL(256)
gram_weights(const float *gradient, float *weights, float *bias, int channels, float scale) {
    const int at = block_x() * threads() + thread(), row = at / channels, col = at % channels;
    if (row >= channels)
        return;
    weights[at] = (gradient[at] + gradient[col * channels + row]) * scale;
    if (row == 0)
        bias[col] = 0;
}
