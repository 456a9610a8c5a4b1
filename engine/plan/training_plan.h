// A training plan: one step of gradient descent on a graph (forward, loss, backward) as a flat list of steps with every
// byte accounted for. The backward steps are derived from the graph once, for every back end.
#pragma once

#include "engine/net/parameters.h"
#include "engine/plan/parameters.h"
#include "engine/plan/plan.h"
#include "engine/plan/training_steps.h"

#include <span>

namespace boneage::plan {

enum class Loss : uint8_t {
    absolute_error,  // of the graph's one output, [n, 1, 1, 1], against "targets", weighted by "weights"
    segmentation,    // cross-entropy and Dice of the graph's one output, [n, h, w, 1], against "targets"
};

// What lowering must know of the back end that will train.
struct TrainingTraits {
    bool conv_accumulates = false;  // ConvGradInput may add to d_x; else it writes aside and Accumulate adds
    bool operator==(const TrainingTraits&) const = default;
};

struct TrainingOptions {
    int64_t batch = 16;
    int64_t height = 224;
    int64_t width = 224;
    Precision precision = Precision::f32;  // of images, their gradients and convolution weights as they are used
    Loss loss = Loss::absolute_error;
    // What a batch norm without residual answers is not kept for the backward pass but made again, to the same bits.
    bool recompute = false;
    std::vector<std::string> keep{};  // values of the graph that must survive the step
    TrainingTraits traits{};
};

// How a parameter lies in the flat buffers.
enum class ParameterLayout : uint8_t {
    plain,      // as PyTorch stores it
    krsc,       // a convolution's weight [out, in, k, k] as [out, k, k, in]
    pointwise,  // a transposed convolution's weight [in, out, 2, 2] as [2, 2, out, in]: a 1x1 convolution's
};

// A trainable tensor's place in the flat buffers of parameters, gradients and moments, in floats.
struct ParameterPlace {
    net::Parameter parameter;
    ParameterLayout layout = ParameterLayout::plain;
    int64_t offset = 0;
};

// A running statistic's place in the flat buffer of statistics, in floats.
struct StatisticPlace {
    net::Parameter parameter;
    int64_t offset = 0;
};

struct PlannedTrainingStep {
    std::string name;  // the layer's name; gradients end in "/grad"
    TrainingStep step;
    int64_t flops = 0;  // two per multiply-add of convolutions and linear layers; nothing else counts
    bool backward = false;
};

struct TrainingPlan {
    std::string net;
    TrainingOptions options;
    std::vector<Value> values;
    std::vector<Buffer> buffers;
    std::vector<PlannedTrainingStep> steps;
    std::vector<ValueId> inputs;  // the graph's, then "targets" and, for absolute errors, "weights"; float32, dense
    ValueId output = 0;           // what the loss compares
    BufferId loss = 0;            // a float or a SegmentationLoss (kernels/nn/loss.h)
    std::vector<ValueId> kept;
    std::vector<ParameterPlace> parameters;
    std::vector<StatisticPlace> statistics;
    std::vector<std::string> counters;  // names of the norms' batch counters: all count the batches trained on
    int64_t parameter_floats = 0;       // with the padding between parameters, which holds zeros
    int64_t statistic_floats = 0;
    int64_t arena_bytes = 0;
    int64_t live_bytes = 0;
};

// Throws UsageError when sizes do not fit the network, a name in `keep` is unknown, the precision is f16 (small
// gradients would vanish), a norm would see a single pixel, or the graph has what training does not know: a ReLU or a
// residual behind a convolution without norm, more than one output, convolutions of vectors it learns.
TrainingPlan lower_training(const net::Graph& graph, const TrainingOptions& options);

int64_t total_flops(const TrainingPlan& plan);

// What must lie in memory to train, in bytes. The scratch of steps is the back end's to know and comes on top, as do
// averages where they are asked for.
struct MemoryBytes {
    int64_t arena = 0;
    int64_t parameters = 0;
    int64_t gradients = 0;
    int64_t moments = 0;  // both of Adam's
    int64_t statistics = 0;
    [[nodiscard]] int64_t total() const { return arena + parameters + gradients + moments + statistics; }
};
MemoryBytes memory_bytes(const TrainingPlan& plan);

// The place of the parameter called `name`; null where the network learns none of that name.
const ParameterPlace* find_parameter(const TrainingPlan& plan, std::string_view name);

// Between PyTorch's layout and a place's; `from` and `to` hold parameter.size() floats and must not overlap.
void to_place(const ParameterPlace& place, const float* from, float* to);
void from_place(const ParameterPlace& place, const float* from, float* to);

// The network that flat buffers of parameters and statistics hold, by name and in PyTorch's layout, after so many
// batches, one number for each of plan.counters. Refers to all arguments. Throws UsageError for a name that the network
// has not.
ParameterSource parameters_in(const TrainingPlan& plan, std::span<const float> parameters,
                              std::span<const float> statistics, std::span<const int64_t> batches);

}  // namespace boneage::plan
