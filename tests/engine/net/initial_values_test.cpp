#include "engine/net/parameters.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

namespace boneage::net {
namespace {

Parameter parameter_called(const Graph& graph, const std::string& name) {
    for (const Parameter& parameter : parameters(graph)) {
        if (parameter.name == name) {
            return parameter;
        }
    }
    throw std::out_of_range(name);
}

double deviation(const std::vector<float>& values) {
    double sum = 0;
    double squares = 0;
    for (const float value : values) {
        sum += value;
        squares += static_cast<double>(value) * value;
    }
    const auto n = static_cast<double>(values.size());
    EXPECT_NEAR(sum / n, 0.0, 4 * std::sqrt(squares / n / n));
    return std::sqrt(squares / n);
}

TEST(InitialValues, convolutions_are_normal_over_the_fan_out) {
    const Graph graph = resnet34({});
    // 128 outputs x 3 x 3
    EXPECT_NEAR(deviation(initial_values(parameter_called(graph, "layer2.0.conv1.weight"), 1)),
                std::sqrt(2.0 / (128 * 9)), 0.0004);
    EXPECT_NEAR(deviation(initial_values(parameter_called(graph, "conv1.weight"), 1)), std::sqrt(2.0 / (64 * 49)),
                0.001);
}

TEST(InitialValues, linear_and_transposed_layers_are_uniform_within_pytorchs_bounds) {
    const Graph heads = resnet34({.sex_input = true, .hidden = 64});
    const Graph net = unet({});
    const std::vector<std::pair<Parameter, double>> cases{
        {parameter_called(heads, "fc_hidden.weight"), 1 / std::sqrt(544.0)},
        {parameter_called(heads, "fc_hidden.bias"), 1 / std::sqrt(544.0)},
        {parameter_called(net, "up3.weight"), 1 / std::sqrt(128.0 * 4)},  // [256, 128, 2, 2]
        {parameter_called(net, "up3.bias"), 1 / std::sqrt(128.0 * 4)},
    };
    for (const auto& [parameter, bound] : cases) {
        const std::vector<float> values = initial_values(parameter, 7);
        const auto [least, most] = std::ranges::minmax(values);
        EXPECT_GE(least, -bound) << parameter.name;
        EXPECT_LE(most, bound) << parameter.name;
        EXPECT_LT(least, -0.9 * bound) << parameter.name;
        EXPECT_GT(most, 0.9 * bound) << parameter.name;
        EXPECT_NEAR(deviation(values), bound / std::sqrt(3.0), 0.15 * bound) << parameter.name;
    }
}

TEST(InitialValues, norms_begin_as_identity) {
    for (const Parameter& parameter : parameters(unet({}))) {
        const std::vector<float> values = initial_values(parameter, 3);
        ASSERT_EQ(static_cast<int64_t>(values.size()), parameter.size());
        const bool ones = parameter.kind == ParameterKind::norm_weight || parameter.kind == ParameterKind::running_var;
        if (ones || parameter.fan_in == 0) {
            EXPECT_TRUE(std::ranges::all_of(values, [&](float v) { return v == (ones ? 1.0F : 0.0F); }))
                << parameter.name;
        }
    }
}

TEST(InitialValues, depend_on_seed_and_name_only) {
    const Parameter first = parameter_called(resnet34({}), "layer1.0.conv1.weight");
    const Parameter other = parameter_called(resnet34({}), "layer1.0.conv2.weight");
    const Parameter again = parameter_called(resnet34({.channels = 3, .sex_input = true}), "layer1.0.conv1.weight");
    EXPECT_EQ(initial_values(first, 1), initial_values(again, 1));
    EXPECT_NE(initial_values(first, 1), initial_values(first, 2));
    EXPECT_NE(initial_values(first, 1), initial_values(first, 1 + (uint64_t{1} << 32)));
    EXPECT_NE(initial_values(first, 1), initial_values(other, 1));
}

}  // namespace
}  // namespace boneage::net
