// Norms over the channels of a pixel, and over the pixels of a map. `V` is a value, or four where channels are a multiple of
// four; channels are counted in `V`s.
#pragma once
#include "../device.cuh"

__device__ float total(float v) { return v; }
__device__ float total(floats4 v) { return (v[0] + v[1]) + (v[2] + v[3]); }

// `size` neighbouring threads, a power of two, share a pixel: this one has every `size`th of its values from `first` on.
struct Share {
    long long pixel;
    int first, size, count;
    // Threads beyond the last pixel go along with it, and write nothing.
    bool writes;
};

__device__ Share share(int pixels, int count, int size) {
    const long long pixel = (long long)block_x() * (threads() / size) + thread() / size;
    const bool writes = pixel < pixels;
    return {writes ? pixel : pixels - 1, thread() % size, size, count, writes};
}

// So many of a thread's values are read once and kept; more, if a pixel has them, are read each time.
constexpr int KEPT = 4;

template <class V> struct Own {
    const V *pixel;
    V kept[KEPT];
};

// of(channel, index of what is kept) for each of this thread's channels.
template <class Of> __device__ void each_own(Share s, Of of) {
#pragma unroll
    for (int k = 0; k < KEPT; k++)
        if (s.first + k * s.size < s.count)
            of(s.first + k * s.size, k);
    for (int i = s.first + KEPT * s.size; i < s.count; i += s.size)
        of(i, KEPT);
}

template <class V> __device__ V at(const Own<V> &own, int i, int k) { return k < KEPT ? own.kept[k] : own.pixel[i]; }

template <class V> __device__ Own<V> own(const V *x, Share s) {
    Own<V> own = {x + s.pixel * s.count, {}};
#pragma unroll
    for (int k = 0; k < KEPT; k++)
        if (s.first + k * s.size < s.count)
            own.kept[k] = own.pixel[s.first + k * s.size];
    return own;
}

// The sum over all channels of a pixel.
template <class Of> __device__ float sum_over(Share s, Of of) {
    float sum = 0;
    each_own(s, [&](int i, int k) { sum += total(of(i, k)); });
    return sum_of_group(sum, s.size);
}

template <class V> __device__ Norm norm_of(const Own<V> &x, Share s, int channels) {
    const float mean = sum_over(s, [&](int i, int k) { return at(x, i, k); }) / channels;
    const float squares = sum_over(s, [&](int i, int k) {
        const V centred = at(x, i, k) - mean;
        return centred * centred;
    });
    return {mean, inverse_root(squares / channels + EPSILON)};
}

template <class V>
__device__ void channel_norm(const V *x, const V *scale, const V *shift, V *out, int pixels, int count, int size) {
    const Share s = share(pixels, count, size);
    const Own<V> own = ::own(x, s);
    const Norm norm = norm_of(own, s, count * (int)(sizeof(V) / sizeof(float)));
    if (!s.writes)
        return;
    each_own(s, [&](int i, int k) {
        const V n = (at(own, i, k) - norm.mean) * norm.scale;
        out[s.pixel * count + i] = scale ? n * scale[i] + shift[i] : n;
    });
}

// With dn the gradient of the normalised pixel n, and r what it was multiplied with: r (dn - mean(dn) - n mean(dn n)).
// `norms`, if they are wanted, are each pixel's.
template <class V>
__device__ void channel_norm_back(const V *scale, const V *x, const V *gradient, V *out, Norm *norms, int pixels, int count,
                                  int size) {
    const Share s = share(pixels, count, size);
    const int channels = count * (int)(sizeof(V) / sizeof(float));
    const Own<V> own = ::own(x, s), given = ::own(gradient, s);
    const Norm norm = norm_of(own, s, channels);
    auto n = [&](int i, int k) { return (at(own, i, k) - norm.mean) * norm.scale; };
    auto dn = [&](int i, int k) { return scale ? at(given, i, k) * scale[i] : at(given, i, k); };
    const float mean = sum_over(s, dn) / channels;
    const float slope = sum_over(s, [&](int i, int k) { return dn(i, k) * n(i, k); }) / channels;
    if (!s.writes)
        return;
    each_own(s, [&](int i, int k) {
        out[s.pixel * count + i] = (dn(i, k) - (mean + n(i, k) * slope)) * norm.scale;
    });
    if (norms && s.first == 0)
        norms[s.pixel] = norm;
}

template <class V> __device__ float length_factor(const Own<V> &x, Share s, int channels) {
    const float squares = sum_over(s, [&](int i, int k) { return at(x, i, k) * at(x, i, k); });
    return inverse_root(squares / channels + 1);
}

template <class V> __device__ void length_norm(const V *x, V *out, int pixels, int count, int size) {
    const Share s = share(pixels, count, size);
    const Own<V> own = ::own(x, s);
    const float factor = length_factor(own, s, count * (int)(sizeof(V) / sizeof(float)));
    if (s.writes)
        each_own(s, [&](int i, int k) { out[s.pixel * count + i] = at(own, i, k) * factor; });
}

// With y the result and r the factor: r (g - y mean(g y)).
template <class V>
__device__ void length_norm_back(const V *x, const V *gradient, V *out, int pixels, int count, int size) {
    const Share s = share(pixels, count, size);
    const int channels = count * (int)(sizeof(V) / sizeof(float));
    const Own<V> own = ::own(x, s), given = ::own(gradient, s);
    const float factor = length_factor(own, s, channels);
    const float product = sum_over(s, [&](int i, int k) { return at(own, i, k) * at(given, i, k); });
    const float slope = factor * factor * factor * product / channels;
    if (s.writes)
        each_own(s, [&](int i, int k) {
            out[s.pixel * count + i] = at(given, i, k) * factor - at(own, i, k) * slope;
        });
}

// Sums over the pixels of each map, of a part a block: `lanes` neighbouring threads have a pixel's channels, and threads of
// the same channel add what they have at the end.
struct Columns {
    int parts, pixels, count, lanes, pixels_a_part;
};

// sums[map][part][SUMS][channel]; of(own, pixel of all maps, channel) adds what there is.
template <int SUMS, class V, class Of> __device__ void sum_columns(V *sums, Columns c, Of of) {
    V *shared = (V *)shared_memory;
    const int slots = threads() / c.lanes, slot = thread() / c.lanes;
    const int channel = block_y() * c.lanes + thread() % c.lanes;
    const int map = block_x() / c.parts, begin = block_x() % c.parts * c.pixels_a_part;
    const int end = least(begin + c.pixels_a_part, c.pixels);
    V own[SUMS] = {};
    const bool is_used = slot < slots && channel < c.count;
    if (is_used)
#pragma unroll 4
        for (int pixel = begin + slot; pixel < end; pixel += slots)
            of(own, (long long)map * c.pixels + pixel, channel);
#pragma unroll
    for (int s = 0; s < SUMS; s++)
        shared[s * threads() + thread()] = own[s];
    for (int half = threads() / 2; half > 0; half /= 2) {
        wait_for_block();
        if (slot < half && slot + half < slots)
#pragma unroll
            for (int s = 0; s < SUMS; s++)
                shared[s * threads() + thread()] += shared[s * threads() + thread() + half * c.lanes];
    }
    if (is_used && slot == 0)
#pragma unroll
        for (int s = 0; s < SUMS; s++)
            sums[((long long)block_x() * SUMS + s) * c.count + channel] = shared[s * threads() + thread()];
}

// The sum over a map's parts, in order, of one of `width` sums that each has.
__device__ float sum_parts(const float *sums, int parts, int width, int map, int column) {
    const float *from = sums + (long long)map * parts * width + column;
    float sum = 0;
#pragma unroll 8
    for (int part = 0; part < parts; part++)
        sum += from[(long long)part * width];
    return sum;
}

// out[map][i], of the sums from `first` on, times `scale`.
KERNEL(256)
scale_sums(const float *sums, float *out, int maps, int parts, int width, int first, int count, float scale) {
    const int at = block_x() * threads() + thread();
    if (at < maps * count)
        out[at] = sum_parts(sums, parts, width, at / count, first + at % count) * scale;
}

// 1 / sqrt(variance + floor)
KERNEL(256)
spread_factors(const float *squares, float *out, int maps, int parts, int count, float scale, float floor) {
    const int at = block_x() * threads() + thread();
    if (at < maps * count)
        out[at] = inverse_root(sum_parts(squares, parts, count, at / count, at % count) * scale + floor);
}

// Less the map's mean of the channel, times the channel's factor, or all channels'.
template <class V>
__device__ void centred(const V *x, const V *means, const V *factors, V *out, int maps, int pixels, int count, float scale) {
    const long long at = (long long)block_x() * threads() + thread(), map = at / count / pixels;
    if (map >= maps)
        return;
    const long long channel = map * count + at % count;
    const V centred = (x[at] - means[channel]) * scale;
    out[at] = factors ? centred * factors[channel] : centred;
}

// With y the result and r the factor: r (g - mean(g) - y mean(g y)). `means` are of g and g y, for each map.
template <class V>
__device__ void map_norm_back(const V *result, const V *gradient, const V *means, const V *factors, V *out, int maps,
                              int pixels, int count) {
    const long long at = (long long)block_x() * threads() + thread(), map = at / count / pixels;
    if (map >= maps)
        return;
    const long long channel = at % count;
    const V mean = means[2 * map * count + channel], slope = means[(2 * map + 1) * count + channel];
    out[at] = factors[map * count + channel] * (gradient[at] - (mean + result[at] * slope));
}

#define NORMS(NAME, V)                                                                                                 \
    KERNEL(256)                                                                                                        \
    channel_norm_##NAME(const V *x, const V *scale, const V *shift, V *out, int pixels, int count, int size) {         \
        channel_norm(x, scale, shift, out, pixels, count, size);                                                       \
    }                                                                                                                  \
    KERNEL(256)                                                                                                        \
    channel_norm_back_##NAME(const V *scale, const V *x, const V *gradient, V *out, Norm *norms, int pixels,           \
                             int count, int size) {                                                                    \
        channel_norm_back(scale, x, gradient, out, norms, pixels, count, size);                                        \
    }                                                                                                                  \
    KERNEL(256)                                                                                                        \
    length_norm_##NAME(const V *x, V *out, int pixels, int count, int size) {                                          \
        length_norm(x, out, pixels, count, size);                                                                      \
    }                                                                                                                  \
    KERNEL(256)                                                                                                        \
    length_norm_back_##NAME(const V *x, const V *gradient, V *out, int pixels, int count, int size) {                  \
        length_norm_back(x, gradient, out, pixels, count, size);                                                       \
    }                                                                                                                  \
    KERNEL(256)                                                                                                        \
    sum_channels_##NAME(const V *x, V *sums, int parts, int pixels, int count, int lanes, int pixels_a_part) {         \
        sum_columns<1>(sums, {parts, pixels, count, lanes, pixels_a_part},                                             \
                       [=](V *own, long long pixel, int channel) { own[0] += x[pixel * count + channel]; });           \
    }                                                                                                                  \
    KERNEL(256)                                                                                                        \
    sum_squares_##NAME(const V *x, const V *means, V *sums, int parts, int pixels, int count, int lanes,               \
                       int pixels_a_part) {                                                                            \
        const V *of_map = means + block_x() / parts * count;                                                           \
        sum_columns<1>(sums, {parts, pixels, count, lanes, pixels_a_part},                                             \
                       [=](V *own, long long pixel, int channel) {                                                     \
                           const V centred = x[pixel * count + channel] - of_map[channel];                             \
                           own[0] += centred * centred;                                                                \
                       });                                                                                             \
    }                                                                                                                  \
    KERNEL(256)                                                                                                        \
    sum_products_##NAME(const V *result, const V *gradient, V *sums, int parts, int pixels, int count, int lanes,      \
                        int pixels_a_part) {                                                                           \
        sum_columns<2>(sums, {parts, pixels, count, lanes, pixels_a_part},                                             \
                       [=](V *own, long long pixel, int channel) {                                                     \
                           const V given = gradient[pixel * count + channel];                                          \
                           own[0] += given;                                                                            \
                           own[1] += given * result[pixel * count + channel];                                          \
                       });                                                                                             \
    }                                                                                                                  \
    /* The gradients of scale and shift. */                                                                            \
    KERNEL(256)                                                                                                        \
    sum_affine_##NAME(const V *x, const V *gradient, const Norm *norms, V *sums, int parts, int pixels, int count,     \
                      int lanes, int pixels_a_part) {                                                                  \
        sum_columns<2>(sums, {parts, pixels, count, lanes, pixels_a_part},                                             \
                       [=](V *own, long long pixel, int channel) {                                                     \
                           const V given = gradient[pixel * count + channel];                                          \
                           const Norm norm = norms[pixel];                                                             \
                           own[0] += (x[pixel * count + channel] - norm.mean) * norm.scale * given;                    \
                           own[1] += given;                                                                            \
                       });                                                                                             \
    }                                                                                                                  \
    KERNEL(256)                                                                                                        \
    centre_##NAME(const V *x, const V *means, const V *factors, V *out, int maps, int pixels, int count,               \
                  float scale) {                                                                                       \
        centred(x, means, factors, out, maps, pixels, count, scale);                                                   \
    }                                                                                                                  \
    KERNEL(256)                                                                                                        \
    map_norm_back_##NAME(const V *result, const V *gradient, const V *means, const V *factors, V *out, int maps,       \
                         int pixels, int count) {                                                                      \
        map_norm_back(result, gradient, means, factors, out, maps, pixels, count);                                     \
    }
NORMS(values, float)
NORMS(fours, floats4)
