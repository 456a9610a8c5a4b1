// Helps to write a network down: appends ops and their values to a graph. Included by the networks' sources only.
#pragma once

#include "engine/net/graph.h"

#include <utility>

namespace boneage::net {

class Builder {
public:
    explicit Builder(std::string name) { graph_.name = std::move(name); }

    ValueId input(std::string name, int64_t channels, bool spatial) {
        const ValueId y = value(std::move(name), channels);
        graph_.inputs.push_back({y, spatial});
        return y;
    }

    // Convolution without bias, batch norm, then an optional residual and ReLU. `y` names the value made.
    ValueId conv_norm(ValueId x, const std::string& conv, const std::string& norm, int64_t out, int64_t kernel,
                      int64_t stride, Act act, std::string y, std::optional<ValueId> residual = std::nullopt) {
        ConvUnit unit;
        unit.x = x;
        unit.conv = {conv, channels(x), out, kernel, stride, kernel / 2, false};
        unit.norm = Norm{norm, out};
        unit.residual = residual;
        unit.act = act;
        return add(std::move(unit), std::move(y), out);
    }

    // A 1x1 convolution with bias and nothing after it.
    ValueId pointwise(ValueId x, const std::string& name, int64_t out, std::string y) {
        ConvUnit unit;
        unit.x = x;
        unit.conv = {name, channels(x), out, 1, 1, 0, true};
        return add(std::move(unit), std::move(y), out);
    }

    ValueId max_pool(ValueId x, int64_t kernel, int64_t stride, int64_t padding, std::string y) {
        return add(MaxPool{x, kernel, stride, padding}, std::move(y), channels(x));
    }

    ValueId global_avg_pool(ValueId x, std::string y) { return add(GlobalAvgPool{x}, std::move(y), channels(x)); }

    ValueId linear(ValueId x, const std::string& name, int64_t out, Act act, std::string y) {
        return add(Linear{x, name, channels(x), out, act}, std::move(y), out);
    }

    ValueId transposed_conv(ValueId x, const std::string& name, int64_t out) {
        return add(TransposedConv{x, name, channels(x), out}, name, out);
    }

    ValueId concat(std::vector<ValueId> x, std::string y) {
        int64_t total = 0;
        for (const ValueId part : x) {
            total += channels(part);
        }
        return add(Concat{std::move(x)}, std::move(y), total);
    }

    void output(ValueId y) { graph_.outputs.push_back(y); }
    Graph take() { return std::move(graph_); }

private:
    [[nodiscard]] int64_t channels(ValueId id) const { return graph_.values.at(static_cast<size_t>(id)).channels; }

    ValueId value(std::string name, int64_t value_channels) {
        graph_.values.push_back({std::move(name), value_channels});
        return static_cast<ValueId>(graph_.values.size()) - 1;
    }

    template <class AnyOp>
    ValueId add(AnyOp op, std::string y, int64_t value_channels) {
        op.y = value(std::move(y), value_channels);
        const ValueId made = op.y;
        graph_.ops.emplace_back(std::move(op));
        return made;
    }

    Graph graph_;
};

}  // namespace boneage::net
