// Convolutions of one channel in 16 bits. cuDNN's engines move channels in eights and are slow with one: ResNet34's
// first layer took as long as ten of the layers behind it. Such a convolution is computed from its windows' rows, eight
// channels of them (kernels/nn/unfold.h).
#pragma once

#include "engine/cudnn/graphs.h"
#include "engine/plan/backend.h"
#include "kernels/base/buffer.h"
#include "kernels/nn/unfold.h"

#include <optional>
#include <vector>

namespace boneage::cudnn {

// The convolution of x's unfolded rows that gives the same y; nothing where x, which holds `type`, is better left as it
// is.
std::optional<ConvGeometry> on_unfolded_rows(const ConvGeometry& conv, plan::DataType type);

// A weight [k, kernel_h, kernel_w, 1] as the convolution of unfolded rows takes it, [k, kernel_h, 1,
// kUnfoldedChannels]: every row of it filled up with zeros.
std::vector<float> filled_rows(const std::vector<float>& weight, int64_t kernel_w);

// What a graph reads as x: x itself, or its unfolded rows.
class GraphInput {
public:
    // `conv` is the convolution of x itself.
    GraphInput(Stream& stream, const plan::Place& x, const ConvGeometry& conv);

    [[nodiscard]] bool unfolded() const { return windows_.has_value(); }
    [[nodiscard]] int64_t scratch_bytes() const;
    // Queues what makes it. Takes scratch_bytes() of the scratch.
    void* ready(ScratchCursor<Device>& scratch) const;

private:
    Stream& stream_;
    plan::Place x_;
    std::optional<ConvGeometry> windows_;
    UnfoldParams params_;
};

}  // namespace boneage::cudnn
