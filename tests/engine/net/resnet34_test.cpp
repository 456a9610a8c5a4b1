#include "engine/net/parameters.h"

#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace boneage::net {
namespace {

using Shapes = std::map<std::string, std::vector<int64_t>>;

Shapes shapes_of(const Graph& graph) {
    Shapes shapes;
    for (const Parameter& parameter : parameters(graph)) {
        EXPECT_TRUE(shapes.emplace(parameter.name, parameter.shape).second) << parameter.name << " appears twice";
    }
    return shapes;
}

TEST(ResNet34, has_the_names_and_shapes_of_torchvision) {
    std::ifstream file(std::string(BONEAGE_GOLDEN) + "/resnet34_parameters.json");
    const auto golden = nlohmann::json::parse(file).get<Shapes>();
    ASSERT_EQ(golden.size(), 218U);
    EXPECT_EQ(shapes_of(resnet34({.channels = 3, .outputs = 1000})), golden);
}

TEST(ResNet34, has_the_published_number_of_parameters) {
    EXPECT_EQ(parameter_count(resnet34({.channels = 3, .outputs = 1000})), 21'797'672);
    EXPECT_EQ(parameter_count(resnet34({.channels = 3, .outputs = 1})), 21'285'185);
    EXPECT_EQ(parameter_count(resnet34({.channels = 1, .outputs = 1})), 21'285'185 - 2 * 64 * 49);
}

TEST(ResNet34, of_another_width_has_the_same_tensors_narrower) {
    const Shapes usual = shapes_of(resnet34({.sex_input = true}));
    const Shapes narrow = shapes_of(resnet34({.base_width = 16, .sex_input = true}));
    ASSERT_EQ(narrow.size(), usual.size());
    EXPECT_EQ(narrow.at("conv1.weight"), (std::vector<int64_t>{16, 1, 7, 7}));
    EXPECT_EQ(narrow.at("layer4.2.conv2.weight"), (std::vector<int64_t>{128, 128, 3, 3}));
    EXPECT_EQ(narrow.at("fc.weight"), (std::vector<int64_t>{1, 128 + 32}));
}

TEST(ResNet34, joins_the_sex_to_the_features) {
    const Shapes shapes = shapes_of(resnet34({.sex_input = true, .hidden = 128}));
    EXPECT_EQ(shapes.at("sex_fc.weight"), (std::vector<int64_t>{32, 1}));
    EXPECT_EQ(shapes.at("fc_hidden.weight"), (std::vector<int64_t>{128, 544}));
    EXPECT_EQ(shapes.at("fc.weight"), (std::vector<int64_t>{1, 128}));
    EXPECT_EQ(shapes_of(resnet34({.sex_input = true})).at("fc.weight"), (std::vector<int64_t>{1, 544}));
    EXPECT_FALSE(shapes_of(resnet34({})).contains("sex_fc.weight"));
}

TEST(ResNet34, halves_the_sides_five_times) {
    const Graph graph = resnet34({.sex_input = true});
    const auto shapes = infer_shapes(graph, 2, 225, 193);
    const auto shape = [&](const char* name) { return shapes[static_cast<size_t>(find_value(graph, name).value())]; };
    EXPECT_EQ(shape("conv1"), (Shape{2, 113, 97, 64}));
    EXPECT_EQ(shape("layer1.2"), (Shape{2, 57, 49, 64}));
    EXPECT_EQ(shape("layer4.2"), (Shape{2, 8, 7, 512}));
    EXPECT_EQ(shape("features"), (Shape{2, 1, 1, 512}));
    EXPECT_EQ(shape("age"), (Shape{2, 1, 1, 1}));
    EXPECT_FALSE(find_value(graph, "layer5.0"));
}

TEST(ResNet34, works_from_one_pixel_on_and_refuses_none) {
    EXPECT_NO_THROW(infer_shapes(resnet34({}), 1, 1, 1));
    EXPECT_THROW(infer_shapes(resnet34({}), 1, 0, 5), std::invalid_argument);
    EXPECT_THROW(resnet34({.channels = 4}), std::invalid_argument);
    EXPECT_THROW(resnet34({.base_width = 0}), std::invalid_argument);
    EXPECT_THROW(resnet34({.outputs = 0}), std::invalid_argument);
}

}  // namespace
}  // namespace boneage::net
