// What PyTorch computes for the project's networks (tests/golden/networks.json, made by tools/reference/): weights and
// inputs come from a formula that both sides know, so the file holds answers only.
#pragma once

#include "engine/plan/parameters.h"

#include <map>

namespace boneage::testing {

struct GoldenValue {
    net::Shape shape;
    double largest = 0;            // magnitude, over all elements
    std::vector<int64_t> indices;  // into the NHWC elements
    std::vector<double> values;
};

struct NetworkGolden {
    std::string name;
    net::Graph graph;
    int64_t batch = 2;
    int64_t height = 0;
    int64_t width = 0;
    std::map<std::string, std::vector<float>> inputs;  // "image", and "sex" where the network has it
    std::map<std::string, GoldenValue> values;         // by the names of the graph's values
};

std::vector<NetworkGolden> network_goldens();

// The tensors of `graph` by the formula.
plan::ParameterSource formula_parameters(const net::Graph& graph);

// Elements of a whole value, NHWC: |got - golden| <= tolerance * largest, for every sampled element.
void expect_golden(const std::vector<float>& got, const GoldenValue& golden, double tolerance, const std::string& what);

}  // namespace boneage::testing
