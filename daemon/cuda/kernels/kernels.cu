// What the program launches, by these names; `_48` is for maps of 48 channels, padded.
#include "block.cuh"
#include "blur.cuh"
#include "conv.cuh"
#include "noise.cuh"
#include "rearrange.cuh"
#include "tail.cuh"

#define FOR_CHANNELS(C)                                                                                                \
    KERNEL(BlockTile<C>::WARPS *WARP)                                                                                  \
    block_##C(const words4 *x, words4 *out, const pair *dw, const pair *dw_bias, const pair *z, const float *noise,    \
              const words2 *p1, const pair *p1_bias, const words2 *p2, const pair *p2_bias, int rows, int cols,        \
              int channels, int inside) {                                                                              \
        block<C>(x, out, dw, dw_bias, z, noise, p1, p1_bias, p2, p2_bias, rows, cols, channels, inside);               \
    }                                                                                                                  \
    KERNEL(CONV_WARPS *WARP)                                                                                           \
    conv_##C(const word *x, word *out, const words2 *kernel, const pair *bias, Convolution c) {      \
        conv<C>(x, out, kernel, bias, c);                                                                        \
    }

FOR_CHANNELS(16)
FOR_CHANNELS(32)
FOR_CHANNELS(48)
FOR_CHANNELS(64)
FOR_CHANNELS(96)
FOR_CHANNELS(128)

#define TAIL(NAME, FILTERS)                                                                                            \
    KERNEL(TailTile::WARPS *WARP)                                                                                      \
    NAME(const word *half_map, const f16 *picture, f16 *out, const words2 *expand, const pair *expand_bias,            \
         const pair *z, const words2 *join, const pair *join_bias, const words2 *rgb, const float *rgb_bias, Tail t) { \
        tail<FILTERS>(half_map, picture, out, expand, expand_bias, z, join, join_bias, rgb, rgb_bias, t);              \
    }
TAIL(tail_of_brush, false)
TAIL(tail_that_filters, true)

KERNEL(256)
unshuffle_picture(const f16 *picture, f16 *by4, f16 *by2, int height, int width, int above, int left, int rows,
                  int cols) {
    unshuffle(picture, by4, by2, height, width, above, left, rows, cols);
}

KERNEL(256)
strokes_of_map(const unsigned char *directions, float *out, Noise noise, int rows, int cols, int factor,
               int cells_a_row) {
    strokes(directions, out, noise, rows, cols, factor, cells_a_row);
}

KERNEL(256)
blur_add_maps(const words4 *x, words4 *out, int rows, int cols, int parts) { blur_add(x, out, rows, cols, parts); }

KERNEL(256)
upsample2_add_maps(const words4 *low, const words4 *base, words4 *out, int rows, int cols, int parts) {
    upsample2_add(low, base, out, rows, cols, parts);
}
