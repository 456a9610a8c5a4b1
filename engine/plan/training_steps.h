// The steps of one training step, forward and backward, as data: geometry, operands and which parameters they use.
//
// A step names values of its plan (NHWC, possibly channel slices of wider ones), buffers that hold what only steps
// share, and parameters. Gradients of values are values called "d_<name>"; every step says whether it assigns or
// accumulates what it writes, and lowering sees to it that the first one assigns.
#pragma once

#include "engine/plan/steps.h"
#include "kernels/nn/write_mode.h"

#include <vector>

namespace boneage::plan {

using BufferId = int32_t;     // index into TrainingPlan::buffers
using ParameterId = int32_t;  // index into TrainingPlan::parameters

// The convolution itself. As a transposed 2x2 convolution of stride 2, `bias_repeats` is 4: its 1x1 convolution gives
// four groups of channels, one for each pixel of the square, and the groups share their bias.
struct ConvShape {
    int64_t kernel = 1;
    int64_t stride = 1;
    int64_t padding = 0;
    ParameterId weight = 0;
};

// y = conv(x) + bias, sums float32. Assigns.
struct ConvForward {
    ValueId x = 0;
    ValueId y = 0;
    ConvShape conv;
    std::optional<ParameterId> bias;
    int64_t bias_repeats = 1;
};

// d_x = the gradient of a convolution for its input.
struct ConvGradInput {
    ValueId d_y = 0;
    ValueId d_x = 0;
    ConvShape conv;
    Write write = Write::assign;  // accumulate only where TrainingTraits::conv_accumulates
};

// The gradient of a convolution for its weight, float32. Assigns.
struct ConvGradWeight {
    ValueId x = 0;
    ValueId d_y = 0;
    ConvShape conv;
};

// The gradient of a bias: the sum of d_y over all pixels. Assigns.
struct BiasGrad {
    ValueId d_y = 0;
    ParameterId bias = 0;
};

// What the two directions of one batch norm share (kernels/nn/batch_norm.h).
struct BatchNorm {
    ParameterId weight = 0;
    ParameterId bias = 0;
    int64_t running_mean = 0;  // where it begins in the running statistics
    int64_t running_variance = 0;
    BufferId batch = 0;  // the batch's mean [c], then its inverse deviation [c], float32
    double eps = 1e-5;
    bool relu = false;
};

// y = act(norm(x) + residual). Assigns.
struct BatchNormForward {
    ValueId x = 0;
    std::optional<ValueId> residual;
    ValueId y = 0;
    BatchNorm norm;
};

// The y of a BatchNormForward without residual, again: the same bits. Assigns.
struct BatchNormAgain {
    ValueId x = 0;
    ValueId y = 0;
    BatchNorm norm;
};

// Assigns d_x and d_residual; one of them may be d_y. y is read where a ReLU follows.
struct BatchNormBackward {
    ValueId d_y = 0;
    ValueId y = 0;
    ValueId x = 0;
    ValueId d_x = 0;
    std::optional<ValueId> d_residual;
    BatchNorm norm;
};

struct MaxPoolForward {
    ValueId x = 0;
    ValueId y = 0;
    BufferId positions = 0;  // of the maxima in their windows, one byte an element of y
    int64_t kernel = 2;
    int64_t stride = 2;
    int64_t padding = 0;
};

struct MaxPoolBackward {
    ValueId d_y = 0;
    ValueId d_x = 0;
    BufferId positions = 0;
    int64_t kernel = 2;
    int64_t stride = 2;
    int64_t padding = 0;
    Write write = Write::assign;
};

// Mean over all pixels; y is float32.
struct AvgPoolForward {
    ValueId x = 0;
    ValueId y = 0;
};

struct AvgPoolBackward {
    ValueId d_y = 0;
    ValueId d_x = 0;
    Write write = Write::assign;
};

// y = act(x W^T + b), float32.
struct LinearForward {
    ValueId x = 0;
    ValueId y = 0;
    ParameterId weight = 0;
    ParameterId bias = 0;
    bool relu = false;
};

// Gradients of weight and bias, and of x where somebody needs it. Assigns the former, d_x as `write` says. Where a
// ReLU followed, ReluBackward comes before.
struct LinearBackward {
    ValueId d_y = 0;
    ValueId x = 0;
    std::optional<ValueId> d_x;
    ParameterId weight = 0;
    ParameterId bias = 0;
    Write write = Write::assign;
};

// d_y = d_y where y > 0, else 0; both dense.
struct ReluBackward {
    ValueId d_y = 0;
    ValueId y = 0;
};

// [n, 2h, 2w, c] -> [n, h, w, 4c]: the gradient of DepthToSpace. Assigns.
struct SpaceToDepth {
    ValueId x = 0;
    ValueId y = 0;
};

// y = y + x.
struct Accumulate {
    ValueId x = 0;
    ValueId y = 0;
};

// loss = sum(w |p - t|) / sum(w) and its gradient (kernels/nn/loss.h); everything [n, 1, 1, 1] float32.
struct AbsoluteErrorLoss {
    ValueId predictions = 0;
    ValueId targets = 0;
    ValueId weights = 0;
    ValueId d_predictions = 0;
    BufferId loss = 0;  // one float
};

// Cross-entropy with logits plus soft Dice, and their gradient (kernels/nn/loss.h).
struct SegmentationLossStep {
    ValueId logits = 0;
    ValueId targets = 0;  // [n, h, w, 1] float32
    ValueId d_logits = 0;
    BufferId loss = 0;  // a SegmentationLoss
};

using TrainingStep = std::variant<ConvForward, ConvGradInput, ConvGradWeight, BiasGrad, BatchNormForward,
                                  BatchNormAgain, BatchNormBackward, MaxPoolForward, MaxPoolBackward, AvgPoolForward,
                                  AvgPoolBackward, LinearForward, LinearBackward, ReluBackward, DepthToSpace,
                                  SpaceToDepth, Copy, Accumulate, AbsoluteErrorLoss, SegmentationLossStep>;

// What a step reads and writes. A value that it changes, or adds to, is among both.
struct Touched {
    std::vector<ValueId> reads;
    std::vector<ValueId> writes;
    std::vector<BufferId> buffers;        // whatever it does to them
    std::vector<ParameterId> parameters;  // read
    std::vector<ParameterId> gradients;   // the parameters whose gradients it assigns
};
Touched touched_by(const TrainingStep& step);
const char* op_name(const TrainingStep& step);

}  // namespace boneage::plan
