// What training minimises, and its gradient: the mean absolute error of ages, and cross-entropy with Dice for masks.
#pragma once

#include "kernels/base/numeric.h"
#include "kernels/base/workers.h"
#include "kernels/nn/activations.h"

namespace boneage {

// loss = sum(w * |p - t|) / sum(w),  d_predictions = sign(p - t) * (w / sum(w)), 0 where p == t.
//   predictions, targets, weights   [n] float32: p, t and w, in the predictions' unit; w >= 0
//   loss                            [1] float32
//   d_predictions                   [n] float32
//   Where all weights are 0 there is nothing to learn: loss and gradient are 0. A NaN prediction makes the loss NaN.
//   Sums are float64: term i is added, in rising i, to partial sum i mod 256, and these are halved (i += i + 128, ...,
//   + 1); each result is rounded once. Assigns; allocates nothing. Twins agree exactly.
void absolute_error_loss(Workers& workers, Tensor<const float, Host> predictions, Tensor<const float, Host> targets,
                         Tensor<const float, Host> weights, Tensor<float, Host> loss,
                         Tensor<float, Host> d_predictions);

void absolute_error_loss(Stream& stream, Tensor<const float, Device> predictions, Tensor<const float, Device> targets,
                         Tensor<const float, Device> weights, Tensor<float, Device> loss,
                         Tensor<float, Device> d_predictions);

struct SegmentationLossParams {
    float cross_entropy_weight = 1;
    float dice_weight = 1;
    float smooth = 1;  // pixels added to both sides of the Dice ratio, so that an empty mask has one; > 0
};

// The terms before weighting, and their weighted sum.
struct SegmentationLoss {
    float total;
    float cross_entropy;
    float dice;
};

// Binary cross-entropy with logits plus soft Dice, for logits x and targets t over n images of P = h * w pixels:
//   p             = 1 / (1 + exp(-x))
//   cross_entropy = sum over all pixels of (max(x, 0) - x * t + log(1 + exp(-|x|))) / (n * P)
//   dice          = sum over images of (1 - D) / n,  D = (2 * sum(p * t) + smooth) / S,  S = sum(p) + sum(t) + smooth
//   total         = cross_entropy_weight * cross_entropy + dice_weight * dice
//   d_logits      = cross_entropy_weight / (n * P) * (p - t) + dice_weight / (n * S) * ((D - 2 * t) * (p * (1 - p)))
//   logits     [n, h, w, 1] float, bfloat16 or float16
//   targets    [n, h, w, 1] float32 in [0, 1]
//   loss       [1]
//   d_logits   logits' shape and type; may be logits' memory
//   scratch    segmentation_loss_scratch_bytes(n, h * w)
//   Pixels' terms are float32, exp and log by the polynomials of loss_math.h (2 units in the last place). Sums are
//   float64: an image's pixels, in row order, are cut into chunks of 4096; pixel j of a chunk is added, in rising j, to
//   partial sum j mod 256; these are halved (i += i + 128, ..., + 1); chunks and images are added in rising order. What
//   follows from the sums is float64 and rounded once. Assigns; allocates nothing. The same bits for any number of
//   workers, and the twins agree exactly.
template <class T>
void segmentation_loss(Workers& workers, Activations<const T, Host> logits, Activations<const float, Host> targets,
                       const SegmentationLossParams& params, Tensor<SegmentationLoss, Host> loss,
                       Activations<T, Host> d_logits, Bytes<Host> scratch);

template <class T>
void segmentation_loss(Stream& stream, Activations<const T, Device> logits, Activations<const float, Device> targets,
                       const SegmentationLossParams& params, Tensor<SegmentationLoss, Device> loss,
                       Activations<T, Device> d_logits, Bytes<Device> scratch);

int64_t segmentation_loss_scratch_bytes(int64_t images, int64_t pixels);

}  // namespace boneage
