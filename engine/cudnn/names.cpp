#include "engine/cudnn/graphs.h"
#include "kernels/base/error.h"

namespace boneage::cudnn {
namespace {

const char* text(Arithmetic arithmetic) {
    switch (arithmetic) {
        case Arithmetic::float32:
            return "f32";
        case Arithmetic::tf32:
            return "tf32";
        case Arithmetic::bfloat16:
            return "bf16";
        case Arithmetic::float16:
            return "f16";
    }
    throw ContractError("an arithmetic without a name");
}

std::string text(const ConvGeometry& g) {
    std::string name;
    const auto add = [&](const char* what, int64_t number) { name.append(what).append(std::to_string(number)); };
    add("n", g.n);
    add("_", g.h);
    add("x", g.w);
    add("x", g.c);
    add("_k", g.k);
    add("_", g.kernel_h);
    add("x", g.kernel_w);
    add("_s", g.stride_h);
    add("x", g.stride_w);
    add("_p", g.pad_h);
    add("x", g.pad_w);
    if (g.x_pixel_stride != 0) {
        add("_xs", g.x_pixel_stride);
    }
    if (g.y_pixel_stride != 0) {
        add("_ys", g.y_pixel_stride);
    }
    return name;
}

}  // namespace

std::string name_of(const GraphSpec& spec, Arithmetic arithmetic) {
    struct Kind {
        std::string operator()(const FusedConvGraph& s) const {
            std::string kind = "fused_conv";
            kind.append(s.residual ? "_residual" : "").append(s.relu ? "_relu" : "");
            return kind.append(s.y_is_float32 ? "_to_f32_" : "_");
        }
        std::string operator()(const ConvForwardGraph&) const { return "conv_"; }
        std::string operator()(const ConvGradInputGraph&) const { return "conv_grad_input_"; }
        std::string operator()(const ConvGradWeightGraph&) const { return "conv_grad_weight_"; }
    };
    std::string name = std::visit(Kind{}, spec);
    name.append(std::visit([](const auto& graph) { return text(graph.conv); }, spec));
    return name.append("_").append(text(arithmetic));
}

}  // namespace boneage::cudnn
