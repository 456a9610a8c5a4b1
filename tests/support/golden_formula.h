// What goldens are made from: numbers by a formula that tools/reference/networks.py knows too, and a network's spec.
#pragma once

#include "engine/net/graph.h"

#include <nlohmann/json_fwd.hpp>
#include <string_view>
#include <vector>

namespace boneage::testing {

std::vector<float> formula(std::string_view name, int64_t count, double low, double high);

// The network of a golden's "type" and "spec".
net::Graph golden_graph(const nlohmann::json& golden);

}  // namespace boneage::testing
