// Ten steps of PyTorch's training in double precision (tests/golden/training.json, made by tools/reference/).
#pragma once

#include "engine/plan/parameters.h"
#include "engine/plan/training_plan.h"

#include <map>

namespace boneage::testing {

// A few elements of a tensor, in PyTorch's order.
struct GoldenTensor {
    double largest = 0;  // magnitude, over all elements
    std::vector<int64_t> indices;
    std::vector<double> values;
};

struct TrainingGolden {
    std::string name;
    net::Graph graph;
    plan::TrainingOptions options;
    double learning_rate = 0;
    std::map<std::string, std::vector<float>> inputs;  // the graph's, "targets" and, for absolute errors, "weights"
    std::vector<double> losses;                        // before every step
    std::map<std::string, GoldenTensor> gradients;     // of the first step
    std::map<std::string, GoldenTensor> weights;       // after the last one, where gradients were clear of zero
    std::map<std::string, GoldenTensor> statistics;    // after the last one
};

std::vector<TrainingGolden> training_goldens();

// What training starts from: the formula's tensors, with the damped residual branches of training_goldens.py.
plan::ParameterSource training_start(const net::Graph& graph);

}  // namespace boneage::testing
