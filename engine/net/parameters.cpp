#include "engine/net/parameters.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>
#include <utility>

namespace boneage::net {
namespace {

// Appends each op's parameters.
class Collect {
public:
    explicit Collect(std::vector<Parameter>& into) : into_(into) {}

    void operator()(const ConvUnit& op) const {
        const Conv2d& conv = op.conv;
        const int64_t fan_in = conv.in * conv.kernel * conv.kernel;
        add(conv.name + ".weight", {conv.out, conv.in, conv.kernel, conv.kernel}, ParameterKind::conv_weight, fan_in);
        if (conv.bias) {
            add(conv.name + ".bias", {conv.out}, ParameterKind::conv_bias, fan_in);
        }
        if (op.norm) {
            const Norm& norm = *op.norm;
            add(norm.name + ".weight", {norm.channels}, ParameterKind::norm_weight, 0);
            add(norm.name + ".bias", {norm.channels}, ParameterKind::norm_bias, 0);
            add(norm.name + ".running_mean", {norm.channels}, ParameterKind::running_mean, 0);
            add(norm.name + ".running_var", {norm.channels}, ParameterKind::running_var, 0);
            add(norm.name + ".num_batches_tracked", {}, ParameterKind::batches_tracked, 0);
        }
    }
    void operator()(const MaxPool&) const {}
    void operator()(const GlobalAvgPool&) const {}
    void operator()(const Concat&) const {}
    void operator()(const Linear& op) const {
        add(op.name + ".weight", {op.out, op.in}, ParameterKind::linear_weight, op.in);
        add(op.name + ".bias", {op.out}, ParameterKind::linear_bias, op.in);
    }
    void operator()(const TransposedConv& op) const {
        // PyTorch takes the fan-in from the second dimension, which here holds the outputs.
        add(op.name + ".weight", {op.in, op.out, 2, 2}, ParameterKind::transposed_weight, op.out * 4);
        add(op.name + ".bias", {op.out}, ParameterKind::transposed_bias, op.out * 4);
    }

private:
    void add(std::string name, std::vector<int64_t> shape, ParameterKind kind, int64_t fan_in) const {
        into_.push_back({std::move(name), std::move(shape), kind, fan_in});
    }
    std::vector<Parameter>& into_;
};

// Random numbers that depend on a name and a seed, the same on every machine: the standard fixes the generator's bits,
// but not its distributions, so those are spelt out.
class NamedRandom {
public:
    NamedRandom(const std::string& name, uint64_t seed) {
        uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a
        for (const char letter : name) {
            hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3U;
        }
        std::seed_seq mixed{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), static_cast<uint32_t>(hash),
                            static_cast<uint32_t>(hash >> 32)};
        bits_.seed(mixed);
    }
    // In (0, 1).
    double uniform() { return (static_cast<double>(bits_() >> 11) + 0.5) * 0x1p-53; }
    double normal() {
        const double radius = std::sqrt(-2.0 * std::log(uniform()));
        return radius * std::cos(6.283185307179586 * uniform());
    }

private:
    std::mt19937_64 bits_;
};

}  // namespace

int64_t Parameter::size() const {
    return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

bool Parameter::trainable() const {
    return kind != ParameterKind::running_mean && kind != ParameterKind::running_var &&
           kind != ParameterKind::batches_tracked;
}

std::vector<Parameter> parameters(const Graph& graph) {
    std::vector<Parameter> result;
    for (const Op& op : graph.ops) {
        std::visit(Collect(result), op);
    }
    return result;
}

int64_t parameter_count(const Graph& graph) {
    int64_t count = 0;
    for (const Parameter& parameter : parameters(graph)) {
        count += parameter.trainable() ? parameter.size() : 0;
    }
    return count;
}

std::vector<float> initial_values(const Parameter& parameter, uint64_t seed) {
    std::vector<float> values(static_cast<size_t>(parameter.size()));
    const auto fill = [&](auto&& draw) {
        for (float& value : values) {
            value = static_cast<float>(draw());
        }
    };
    NamedRandom random(parameter.name, seed);
    switch (parameter.kind) {
        case ParameterKind::conv_weight: {
            const int64_t fan_out = parameter.size() / parameter.shape[1];
            fill(
                [&, deviation = std::sqrt(2.0 / static_cast<double>(fan_out))] { return deviation * random.normal(); });
            break;
        }
        case ParameterKind::conv_bias:
        case ParameterKind::linear_weight:
        case ParameterKind::linear_bias:
        case ParameterKind::transposed_weight:
        case ParameterKind::transposed_bias: {
            const double bound = 1.0 / std::sqrt(static_cast<double>(parameter.fan_in));
            fill([&] { return bound * (2.0 * random.uniform() - 1.0); });
            break;
        }
        case ParameterKind::norm_weight:
        case ParameterKind::running_var:
            fill([] { return 1.0; });
            break;
        case ParameterKind::norm_bias:
        case ParameterKind::running_mean:
        case ParameterKind::batches_tracked:
            break;
    }
    return values;
}

std::vector<float> brightness_values(const Parameter& parameter, float level) {
    constexpr float kSteepness = 10.0F;  // logits per unit of the image as the network carries it, which is 4 * v
    std::vector<float> values(static_cast<size_t>(parameter.size()), 0.0F);
    // The 3x3 taps of output channel 0 and input channel 0 come first.
    if (parameter.name == "enc0.conv1.weight") {
        std::fill_n(values.begin(), 9, 1.0F / 9.0F);
    } else if (parameter.name == "enc0.conv2.weight" || parameter.name == "dec0.conv1.weight" ||
               parameter.name == "dec0.conv2.weight") {
        values[4] = 1.0F;
    } else if (parameter.name == "enc0.bn1.bias") {
        values[0] = 2.0F;  // lifts -2..2 to 0..4, which ReLU lets pass
    } else if (parameter.name == "head.weight") {
        values[0] = kSteepness;
    } else if (parameter.name == "head.bias") {
        values[0] = -4.0F * kSteepness * level;
    } else if (parameter.kind == ParameterKind::norm_weight || parameter.kind == ParameterKind::running_var) {
        std::fill(values.begin(), values.end(), 1.0F);
    }
    return values;
}

}  // namespace boneage::net
