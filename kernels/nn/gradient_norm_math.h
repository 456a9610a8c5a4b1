// The formulas of gradient_norm.h, compiled by both twins.
#pragma once

#include "kernels/base/buffer.h"
#include "kernels/base/error.h"
#include "kernels/base/numeric.h"
#include "kernels/nn/gradient_norm.h"

namespace boneage {

inline constexpr int64_t kNormChunk = 16384;
inline constexpr int kNormLanes = 1024;  // of a chunk's elements
inline constexpr int kChunkSumLanes = 256;

constexpr int64_t norm_chunks(int64_t size) {
    return ceil_div(size, kNormChunk);
}

BONEAGE_HD inline double squared(float value) {
    return static_cast<double>(value) * static_cast<double>(value);
}

BONEAGE_HD inline GradientNorm clipping(double sum_of_squares, double max_norm) {
    const double norm = std::sqrt(sum_of_squares);
    const auto rounded = static_cast<float>(norm);
    const double factor = max_norm / (norm + 1e-6);
    // The comparison is false for NaN.
    const bool finite = rounded <= std::numeric_limits<float>::max();
    return {rounded, finite && factor < 1 ? static_cast<float>(factor) : 1.0F};
}

template <class Space>
void check_clipping(const Tensor<float, Space>& gradients, double max_norm, const Tensor<GradientNorm, Space>& norm,
                    Bytes<Space> scratch) {
    expects(max_norm > 0, "max_norm must be above 0");
    expects(norm.size() == 1, "norm must be [1]");
    expects(scratch.size >= clip_gradients_scratch_bytes(gradients.size()), "scratch is too small");
}

}  // namespace boneage
