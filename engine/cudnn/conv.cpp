#include "engine/cudnn/conv.h"

#include "engine/cudnn/unfolding.h"
#include "kernels/base/error.h"

namespace boneage::cudnn {

ConvGeometry geometry_of(const plan::FusedConv& step, const plan::Operands& at) {
    expects(at.x.channel_block == 1 && at.y.channel_block == 1, "this back end stores channels last");
    ConvGeometry g;
    g.n = at.x.shape.n;
    g.h = at.x.shape.h;
    g.w = at.x.shape.w;
    g.c = at.x.shape.c;
    g.k = at.y.shape.c;
    g.kernel_h = step.kernel;
    g.kernel_w = step.kernel;
    g.stride_h = step.stride;
    g.stride_w = step.stride;
    g.pad_h = step.padding;
    g.pad_w = step.padding;
    g.x_pixel_stride = at.x.dense() ? 0 : at.x.pixel_stride;
    g.y_pixel_stride = at.y.dense() ? 0 : at.y.pixel_stride;
    expects(g.out_h() == at.y.shape.h && g.out_w() == at.y.shape.w && at.y.shape.n == g.n, "y has the step's shape");
    return g;
}

FusedConvGraph graph_of(const plan::FusedConv& step, const plan::Operands& at) {
    expects(
        !at.residual || (at.residual->dense() && at.residual->shape == at.y.shape && at.residual->type == at.x.type),
        "a residual looks like y");
    const ConvGeometry conv = geometry_of(step, at);
    FusedConvGraph graph;
    graph.conv = on_unfolded_rows(conv, at.x.type).value_or(conv);
    graph.residual = at.residual.has_value();
    graph.relu = step.relu;
    graph.y_is_float32 = at.y.type == plan::DataType::f32 && at.x.type != plan::DataType::f32;
    return graph;
}

Arithmetic arithmetic_of(const plan::Operands& at, bool tf32) {
    switch (at.x.type) {
        case plan::DataType::f32:
            return tf32 ? Arithmetic::tf32 : Arithmetic::float32;
        case plan::DataType::bf16:
            return Arithmetic::bfloat16;
        case plan::DataType::f16:
            return Arithmetic::float16;
    }
    throw ContractError("a type without an arithmetic");
}

std::vector<float> as_krsc(const std::vector<float>& weight, int64_t out, int64_t in, int64_t kernel) {
    const int64_t taps = kernel * kernel;
    expects(static_cast<int64_t>(weight.size()) == out * in * taps, "weights are [out, in, k, k]");
    std::vector<float> reordered(weight.size());
    for (int64_t k = 0; k < out; ++k) {
        for (int64_t c = 0; c < in; ++c) {
            for (int64_t tap = 0; tap < taps; ++tap) {
                reordered[static_cast<size_t>((k * taps + tap) * in + c)] =
                    weight[static_cast<size_t>((k * in + c) * taps + tap)];
            }
        }
    }
    return reordered;
}

}  // namespace boneage::cudnn
