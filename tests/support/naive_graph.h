// Evaluates a graph op by op in double precision, batch norm unfolded, no plan involved.
#pragma once

#include "engine/net/parameters.h"

#include <map>

namespace boneage::testing {

using Parameters = std::map<std::string, std::vector<float>, std::less<>>;

// Initial values, with norms and biases moved away from 1 and 0 so that forgetting one shows.
Parameters random_parameters(const net::Graph& graph, uint64_t seed);

using ExactParameters = std::map<std::string, std::vector<double>, std::less<>>;
ExactParameters exact(const Parameters& parameters);

// Whose mean and variance norms take: the running ones in inference, the batch's own in training.
enum class Norms : uint8_t { running, batch };

// Every value of the graph by name, NHWC.
std::map<std::string, std::vector<double>> evaluate(const net::Graph& graph, int64_t batch, int64_t height,
                                                    int64_t width, const ExactParameters& parameters,
                                                    const std::map<std::string, std::vector<float>>& inputs,
                                                    Norms norms);
// The same in inference.
std::map<std::string, std::vector<double>> evaluate(const net::Graph& graph, int64_t batch, int64_t height,
                                                    int64_t width, const Parameters& parameters,
                                                    const std::map<std::string, std::vector<float>>& inputs);

}  // namespace boneage::testing
