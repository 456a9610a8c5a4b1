// The formulas of loss.h, compiled by both twins.
#pragma once

#include "kernels/base/buffer.h"
#include "kernels/base/error.h"
#include "kernels/nn/convert_math.h"
#include "kernels/nn/loss.h"

namespace boneage {

inline constexpr int kLossLanes = 256;
inline constexpr int64_t kLossChunk = 4096;
inline constexpr int kSegmentationSums = 4;

constexpr int64_t loss_chunks(int64_t pixels) {
    return ceil_div(pixels, kLossChunk);
}

// exp(x) for x <= 0, to 2 units in the last place; 1.6e-38 below -87. Written out because the libraries' differ between
// host and device, and because this form vectorises. The polynomial is Cephes' (S. Moshier).
BONEAGE_HD inline float exp_of_negative(float x) {
    constexpr float kLog2E = 1.44269504088896341F;
    constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it leaves the nearest integer in the lowest bits
    constexpr float kLn2High = 0.693359375F;
    constexpr float kLn2Low = -2.12194440e-4F;
    const float y = x < -87.0F ? -87.0F : x;  // keeps NaN
    const float shifted = y * kLog2E + kRound;
    const float n = shifted - kRound;
    const float r = y - n * kLn2High - n * kLn2Low;
    float p = 1.9875691500e-4F;
    p = p * r + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    p = p * (r * r) + r + 1.0F;
    // 2^n: n is at least -126, so the exponent's bits stay in range.
    return p * std::bit_cast<float>((std::bit_cast<uint32_t>(shifted) + 127U) << 23);
}

// log(1 + x) for 0 <= x <= 1: the series of 2 atanh(s), s = x / (2 + x) <= 1/3.
BONEAGE_HD inline float log_of_one_plus(float x) {
    const float s = x / (2.0F + x);
    const float q = s * s;
    float p = 1.0F / 15.0F;
    p = p * q + 1.0F / 13.0F;
    p = p * q + 1.0F / 11.0F;
    p = p * q + 1.0F / 9.0F;
    p = p * q + 1.0F / 7.0F;
    p = p * q + 1.0F / 5.0F;
    p = p * q + 1.0F / 3.0F;
    return 2.0F * s * (p * q) + 2.0F * s;
}

// exp(-|x|), from which probability and cross-entropy follow without overflow.
BONEAGE_HD inline float decay_of(float x) {
    return exp_of_negative(x < 0 ? x : -x);
}

BONEAGE_HD inline float probability(float x, float decay) {
    return (x < 0 ? decay : 1.0F) / (1.0F + decay);
}

BONEAGE_HD inline float cross_entropy_term(float x, float target, float decay) {
    return (x < 0 ? 0.0F : x) - x * target + log_of_one_plus(decay);
}

// What the gradient of one image's pixels needs, and its share of the loss.
struct ImageLoss {
    double cross_entropy;
    double overlap;     // D
    float dice_factor;  // dice_weight / (n * S)
    float dice;         // D
};

// sums: of the cross-entropy's terms, p * t, p and t.
BONEAGE_HD inline ImageLoss image_loss(const double* sums, int64_t images, const SegmentationLossParams& params) {
    const double smooth = static_cast<double>(params.smooth);
    const double size = sums[2] + sums[3] + smooth;
    const double overlap = (2.0 * sums[1] + smooth) / size;
    return {sums[0], overlap,
            static_cast<float>(static_cast<double>(params.dice_weight) / (static_cast<double>(images) * size)),
            static_cast<float>(overlap)};
}

BONEAGE_HD inline SegmentationLoss whole_loss(const ImageLoss* images, int64_t count, int64_t pixels,
                                              const SegmentationLossParams& params) {
    double cross_entropy = 0;
    double dice = 0;
    for (int64_t i = 0; i < count; ++i) {
        cross_entropy += images[i].cross_entropy;
        dice += 1.0 - images[i].overlap;
    }
    cross_entropy /= static_cast<double>(count * pixels);
    dice /= static_cast<double>(count);
    return {static_cast<float>(static_cast<double>(params.cross_entropy_weight) * cross_entropy +
                               static_cast<double>(params.dice_weight) * dice),
            static_cast<float>(cross_entropy), static_cast<float>(dice)};
}

BONEAGE_HD inline float logit_gradient(float x, float target, float cross_entropy_factor, float dice_factor,
                                       float dice) {
    const float p = probability(x, decay_of(x));
    return cross_entropy_factor * (p - target) + dice_factor * ((dice - 2.0F * target) * (p * (1.0F - p)));
}

// cross_entropy_weight / (n * P)
inline float cross_entropy_factor(int64_t pixels, const SegmentationLossParams& params) {
    return static_cast<float>(static_cast<double>(params.cross_entropy_weight) / static_cast<double>(pixels));
}

// sums: of weight * |error| and of weights.
BONEAGE_HD inline float absolute_error(const double* sums) {
    return sums[1] == 0 ? 0.0F : static_cast<float>(sums[0] / sums[1]);
}

BONEAGE_HD inline float absolute_error_gradient(float prediction, float target, float weight, double weights) {
    const float share = weights == 0 ? 0.0F : static_cast<float>(static_cast<double>(weight) / weights);
    return prediction > target ? share : (prediction < target ? -share : 0.0F);
}

BONEAGE_HD inline double weighted_distance(float prediction, float target, float weight) {
    return static_cast<double>(weight) * std::abs(static_cast<double>(prediction) - static_cast<double>(target));
}

template <class Space>
void check_absolute_error(const Tensor<const float, Space>& predictions, const Tensor<const float, Space>& targets,
                          const Tensor<const float, Space>& weights, const Tensor<float, Space>& loss,
                          const Tensor<float, Space>& d_predictions) {
    expects(targets.size() == predictions.size() && weights.size() == predictions.size() &&
                d_predictions.size() == predictions.size(),
            "predictions, targets, weights and d_predictions must have the same size");
    expects(loss.size() == 1, "loss must be [1]");
}

template <class T, class Space>
void check_segmentation(const Activations<const T, Space>& logits, const Activations<const float, Space>& targets,
                        const SegmentationLossParams& params, const Tensor<SegmentationLoss, Space>& loss,
                        const Activations<T, Space>& d_logits, Bytes<Space> scratch) {
    expects(logits.pixels() >= 1 && logits.c == 1, "logits must be [n, h, w, 1] with pixels");
    expects(same_shape(logits, targets) && same_shape(logits, d_logits),
            "logits, targets and d_logits must have the same shape");
    expects(params.smooth > 0, "smooth must be above 0");
    expects(loss.size() == 1, "loss must be [1]");
    expects(scratch.size >= segmentation_loss_scratch_bytes(logits.n, logits.h * logits.w), "scratch is too small");
}

}  // namespace boneage
