#include "engine/plan/steps.h"

namespace boneage::plan {

const char* name_of(DataType type) {
    switch (type) {
        case DataType::f32:
            return "f32";
        case DataType::bf16:
            return "bf16";
        case DataType::f16:
            return "f16";
    }
    return "";
}

ValueId x_of(const Step& step) {
    return std::visit([](const auto& any) { return any.x; }, step);
}

ValueId y_of(const Step& step) {
    return std::visit([](const auto& any) { return any.y; }, step);
}

std::optional<ValueId> residual_of(const Step& step) {
    const auto* conv = std::get_if<FusedConv>(&step);
    return conv != nullptr ? conv->residual : std::nullopt;
}

const char* op_name(const Step& step) {
    struct Name {
        const char* operator()(const FusedConv& conv) const {
            if (conv.residual) {
                return conv.relu ? "conv+bias+add+relu" : "conv+bias+add";
            }
            return conv.relu ? "conv+bias+relu" : "conv+bias";
        }
        const char* operator()(const MaxPool&) const { return "max_pool"; }
        const char* operator()(const GlobalAvgPool&) const { return "global_avg_pool"; }
        const char* operator()(const Linear& linear) const { return linear.relu ? "linear+relu" : "linear"; }
        const char* operator()(const TransposedConv&) const { return "transposed_conv"; }
        const char* operator()(const DepthToSpace&) const { return "depth_to_space"; }
        const char* operator()(const Copy&) const { return "copy"; }
    };
    return std::visit(Name{}, step);
}

}  // namespace boneage::plan
