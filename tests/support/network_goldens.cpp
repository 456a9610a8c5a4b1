#include "tests/support/network_goldens.h"

#include "engine/net/parameters.h"
#include "tests/support/golden_formula.h"

#include <cmath>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace boneage::testing {
namespace {

uint32_t fnv1a(std::string_view text) {
    uint32_t hash = 0x811C9DC5U;
    for (const char letter : text) {
        hash = (hash ^ static_cast<unsigned char>(letter)) * 0x01000193U;
    }
    return hash;
}

// The finishing step of MurmurHash3.
uint32_t mix(uint32_t value) {
    value = (value ^ (value >> 16)) * 0x85EBCA6BU;
    value = (value ^ (value >> 13)) * 0xC2B2AE35U;
    return value ^ (value >> 16);
}

std::pair<double, double> formula_range(const net::Parameter& parameter) {
    if (parameter.kind == net::ParameterKind::running_var || parameter.kind == net::ParameterKind::norm_weight) {
        return {0.5, 1.5};
    }
    if (parameter.shape.size() <= 1) {
        return {-0.3, 0.3};
    }
    const int64_t fan_in = parameter.size() / parameter.shape[0];
    const double bound = std::sqrt(6.0 / static_cast<double>(fan_in));
    return {-bound, bound};
}

GoldenValue golden_value(const nlohmann::json& json) {
    const auto shape = json["shape"].get<std::vector<int64_t>>();
    return {{shape.at(0), shape.at(1), shape.at(2), shape.at(3)},
            json["largest"].get<double>(),
            json["indices"].get<std::vector<int64_t>>(),
            json["values"].get<std::vector<double>>()};
}

}  // namespace

std::vector<float> formula(std::string_view name, int64_t count, double low, double high) {
    std::vector<float> values(static_cast<size_t>(count));
    const uint32_t first = fnv1a(name);
    for (size_t i = 0; i < values.size(); ++i) {
        const uint32_t bits = mix(first + static_cast<uint32_t>(i)) >> 8;
        values[i] = static_cast<float>(low + (high - low) * (bits * 0x1p-24));
    }
    return values;
}

net::Graph golden_graph(const nlohmann::json& golden) {
    const auto& spec = golden["spec"];
    const auto number = [&](const char* key) { return spec[key].get<int64_t>(); };
    if (golden["type"] == "unet") {
        return net::unet({number("channels"), number("depth"), number("base_width"), number("outputs")});
    }
    return net::resnet34({.channels = number("channels"),
                          .sex_input = spec["sex_input"].get<bool>(),
                          .hidden = number("hidden"),
                          .outputs = number("outputs")});
}

std::vector<NetworkGolden> network_goldens() {
    std::ifstream file(std::string(BONEAGE_GOLDEN) + "/networks.json");
    const nlohmann::json document = nlohmann::json::parse(file);
    std::vector<NetworkGolden> goldens;
    for (const auto& json : document["cases"]) {
        NetworkGolden golden;
        golden.graph = golden_graph(json);
        golden.height = json["height"];
        golden.width = json["width"];
        golden.name = golden.graph.name;
        golden.name += json["spec"].dump();
        const int64_t channels = json["spec"]["channels"];
        golden.inputs["image"] = formula("image", golden.batch * golden.height * golden.width * channels, -1, 1);
        if (net::find_value(golden.graph, "sex")) {
            golden.inputs["sex"] = {1.0F, -1.0F};
        }
        for (const auto& [name, value] : json["values"].items()) {
            golden.values[name] = golden_value(value);
        }
        goldens.push_back(std::move(golden));
    }
    return goldens;
}

plan::ParameterSource formula_parameters(const net::Graph& graph) {
    return [parameters = net::parameters(graph)](std::string_view name) {
        for (const net::Parameter& parameter : parameters) {
            if (parameter.name == name) {
                const auto [low, high] = formula_range(parameter);
                return formula(name, parameter.size(), low, high);
            }
        }
        throw std::out_of_range(std::string(name));
    };
}

void expect_golden(const std::vector<float>& got, const GoldenValue& golden, double tolerance,
                   const std::string& what) {
    ASSERT_EQ(static_cast<int64_t>(got.size()), golden.shape.size()) << what;
    ASSERT_FALSE(golden.indices.empty()) << what << ": nothing was compared";
    for (size_t i = 0; i < golden.indices.size(); ++i) {
        const double value = got.at(static_cast<size_t>(golden.indices[i]));
        ASSERT_TRUE(std::abs(value - golden.values[i]) <= tolerance * golden.largest)  // false for NaN
            << what << ": element " << golden.indices[i] << " is " << value << ", PyTorch has " << golden.values[i]
            << " and " << golden.largest << " as its largest";
    }
}

}  // namespace boneage::testing
