// What the twins of pool_backward.h share.
#pragma once

#include "kernels/base/error.h"
#include "kernels/nn/convert_math.h"
#include "kernels/nn/pool_backward.h"

namespace boneage {

// A NaN is larger than anything, another NaN included.
BONEAGE_HD inline bool takes_the_lead(float value, float best) {
    return value > best || value != value;
}

// The windows [first, end) along one side that hold pixel p.
struct WindowRange {
    int64_t first;
    int64_t end;
};

// Everything is 32-bit inside: sides of images are, and 64-bit divisions are slow on a GPU.
BONEAGE_HD inline WindowRange windows_of(int64_t pixel, int64_t pooled, const PoolParams& params) {
    const auto stride = static_cast<int32_t>(params.stride);
    const auto latest = static_cast<int32_t>(pixel + params.padding);  // start of a window that holds the pixel
    const auto earliest = latest - static_cast<int32_t>(params.size) + 1;
    const int64_t first = earliest <= 0 ? 0 : (earliest + stride - 1) / stride;
    const int64_t end = latest / stride + 1;
    return {first, end < pooled ? end : pooled};
}

template <class T>
BONEAGE_HD inline T written(const T& there, float sum, bool accumulate) {
    return from_float<T>(accumulate ? to_float(there) + sum : sum);
}

template <class T, class Space>
void check_max_pool(const Activations<T, Space>& src, const Activations<const uint8_t, Space>& positions,
                    const PoolParams& params) {
    expects(params.size >= 1 && params.stride >= 1 && params.padding >= 0 && 2 * params.padding <= params.size,
            "window and stride must be at least 1, padding at most half a window");
    expects(params.size <= 15, "a position in a window must fit a byte");
    const int64_t height = pooled_size(src.h, params);
    const int64_t width = pooled_size(src.w, params);
    expects(height >= 1 && width >= 1, "no window fits the image");
    expects(same_shape(positions, Activations<T, Space>(nullptr, src.n, height, width, src.c)),
            "positions must have the pooled size");
}

}  // namespace boneage
