// The formulas of batch_norm.h, compiled by both twins.
#pragma once

#include "kernels/base/error.h"
#include "kernels/nn/activation_math.h"
#include "kernels/nn/batch_norm.h"
#include "kernels/nn/convert_math.h"
#include "kernels/nn/pixel_sums.h"

namespace boneage {

inline constexpr int kBatchNormSums = 2;

// Sums of a chunk's pixels and their squares from the sums of their distances d to `pivot`.
BONEAGE_HD inline void unshift_moments(float pivot, int64_t count, const float* sums, double* totals) {
    const double shift = static_cast<double>(pivot);
    const double n = static_cast<double>(count);
    const double first = static_cast<double>(sums[0]);
    totals[0] = first + n * shift;
    totals[1] = static_cast<double>(sums[1]) + 2.0 * shift * first + n * (shift * shift);
}

// Mean and variance of a channel, and the running statistics.
struct MomentsToStatistics {
    double pixels;
    double eps;
    double momentum;
    float* running_mean;
    float* running_variance;
    float* mean;
    float* inverse_deviation;

    BONEAGE_HD void operator()(int64_t channel, const double* totals) const {
        const double average = totals[0] / pixels;
        const double squares = totals[1] - totals[0] * totals[0] / pixels;
        const double distances = squares < 0 ? 0.0 : squares;  // keeps NaN
        mean[channel] = static_cast<float>(average);
        inverse_deviation[channel] = static_cast<float>(1.0 / std::sqrt(distances / pixels + eps));
        const double kept = 1.0 - momentum;
        running_mean[channel] =
            static_cast<float>(kept * static_cast<double>(running_mean[channel]) + momentum * average);
        running_variance[channel] = static_cast<float>(kept * static_cast<double>(running_variance[channel]) +
                                                       momentum * (distances / (pixels - 1.0)));
    }
};

// What backward subtracts from a channel's gradient: `mean_gradient` everywhere, `slope` for each unit from the mean.
struct SumsToGradients {
    double pixels;
    const float* inverse_deviation;
    float* d_weight;
    float* d_bias;
    float* mean_gradient;
    float* slope;

    BONEAGE_HD void operator()(int64_t channel, const double* totals) const {
        const double deviation = static_cast<double>(inverse_deviation[channel]);
        const double weight_gradient = totals[1] * deviation;
        d_bias[channel] = static_cast<float>(totals[0]);
        d_weight[channel] = static_cast<float>(weight_gradient);
        mean_gradient[channel] = static_cast<float>(totals[0] / pixels);
        slope[channel] = static_cast<float>(weight_gradient * deviation / pixels);
    }
};

BONEAGE_HD inline float normalised(float value, float mean, float scale, float bias) {
    return (value - mean) * scale + bias;
}

BONEAGE_HD inline float normalised_gradient(float gradient, float value, float mean, float scale, float mean_gradient,
                                            float slope) {
    return scale * ((gradient - mean_gradient) - (value - mean) * slope);
}

template <class T, class Space>
void check_batch_norm(const Activations<const T, Space>& src, const BatchNormChannels<Space>& channels,
                      Bytes<Space> scratch) {
    expects(src.pixels() >= 2, "a variance needs at least two pixels");
    expects(
        channels.weight.size() == src.c && channels.mean.size() == src.c && channels.inverse_deviation.size() == src.c,
        "weight, mean and inverse_deviation must be [c]");
    expects(scratch.size >= batch_norm_scratch_bytes(src.pixels(), src.c), "scratch is too small");
}

template <class T, class Space>
void check_batch_norm_forward(const Activations<const T, Space>& src, const Activations<const T, Space>& residual,
                              const BatchNormChannels<Space>& channels, const Activations<T, Space>& dst,
                              Bytes<Space> scratch) {
    check_batch_norm(src, channels, scratch);
    expects(same_shape(src, dst), "src and dst must have the same shape");
    expects(residual.data == nullptr || same_shape(src, residual), "residual must have the shape of src");
    expects(channels.bias.size() == src.c && channels.running_mean.size() == src.c &&
                channels.running_variance.size() == src.c,
            "bias and running statistics must be [c]");
}

template <class T, class Space>
void check_batch_norm_again(const Activations<const T, Space>& src, const BatchNormChannels<Space>& channels,
                            const Activations<T, Space>& dst) {
    expects(same_shape(src, dst), "src and dst must have the same shape");
    expects(channels.weight.size() == src.c && channels.bias.size() == src.c && channels.mean.size() == src.c &&
                channels.inverse_deviation.size() == src.c,
            "weight, bias, mean and inverse_deviation must be [c]");
}

template <class T, class Space>
void check_batch_norm_backward(const Activations<const T, Space>& d_dst, const Activations<const T, Space>& dst,
                               const Activations<const T, Space>& src, const BatchNormChannels<Space>& channels,
                               const BatchNormGradients<T, Space>& gradients, bool relu, Bytes<Space> scratch) {
    check_batch_norm(src, channels, scratch);
    expects(same_shape(src, d_dst) && same_shape(src, gradients.d_src), "d_dst and d_src must have the shape of src");
    expects(!relu || same_shape(src, dst), "dst must have the shape of src");
    expects(gradients.d_residual.data == nullptr || same_shape(src, gradients.d_residual),
            "d_residual must have the shape of src");
    expects(gradients.d_residual.data != gradients.d_src.data, "d_src and d_residual must be different memory");
    expects(gradients.d_weight.size() == src.c && gradients.d_bias.size() == src.c, "d_weight and d_bias must be [c]");
}

}  // namespace boneage
