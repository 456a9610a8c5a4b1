// Filling and comparing plans: what every test that runs one needs.
#pragma once

#include "engine/plan/executor.h"
#include "tests/support/naive_graph.h"
#include "tests/support/tensors.h"

namespace boneage::testing {

inline plan::ParameterSource source_of(const Parameters& parameters) {
    return [&parameters](std::string_view name) { return parameters.find(name)->second; };
}

inline std::vector<float> random_values(int64_t size, uint64_t seed) {
    const auto tensor = random_tensor<float>({1, 1, 1, size}, seed);
    std::vector<float> values;
    for (int64_t i = 0; i < size; ++i) {
        values.push_back(tensor[i]);
    }
    return values;
}

using Inputs = std::map<std::string, std::vector<float>>;

inline Inputs random_inputs(const net::Graph& graph, const plan::Options& options, uint64_t seed) {
    const auto shapes = net::infer_shapes(graph, options.batch, options.height, options.width);
    Inputs inputs;
    for (const net::Input& input : graph.inputs) {
        const auto id = static_cast<size_t>(input.value);
        inputs[graph.values[id].name] = random_values(shapes[id].size(), seed + id);
    }
    return inputs;
}

inline void fill(plan::Executor& executor, const Inputs& inputs) {
    for (const auto& [name, values] : inputs) {
        std::ranges::copy(values, executor.input(name).begin());
    }
}

// Everything the plan exposes, against the graph evaluated without a plan.
inline void expect_values(const plan::Executor& executor, const std::map<std::string, std::vector<double>>& want,
                          double tolerance, const std::string& what) {
    const plan::Plan& plan = executor.plan();
    for (const plan::ValueId id : plan.outputs) {
        const std::string& name = plan.values[static_cast<size_t>(id)].name;
        expect_close(executor.output(name), want.at(name), tolerance, what + ", output " + name);
        expect_close(executor.read(name), want.at(name), tolerance, what + ", output read " + name);
    }
    for (const plan::ValueId id : plan.kept) {
        const std::string& name = plan.values[static_cast<size_t>(id)].name;
        expect_close(executor.read(name), want.at(name), tolerance, what + ", kept " + name);
    }
}

}  // namespace boneage::testing
