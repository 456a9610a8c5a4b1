#include "engine/net/parameters.h"

#include <gtest/gtest.h>
#include <set>
#include <stdexcept>

namespace boneage::net {
namespace {

TEST(Unet, has_the_documented_names) {
    std::vector<std::string> names;
    for (const Parameter& parameter : parameters(unet({.depth = 1, .base_width = 4}))) {
        if (parameter.trainable()) {
            names.push_back(parameter.name);
        }
    }
    const std::vector<std::string> expected{
        "enc0.conv1.weight", "enc0.bn1.weight",   "enc0.bn1.bias",     "enc0.conv2.weight", "enc0.bn2.weight",
        "enc0.bn2.bias",     "enc1.conv1.weight", "enc1.bn1.weight",   "enc1.bn1.bias",     "enc1.conv2.weight",
        "enc1.bn2.weight",   "enc1.bn2.bias",     "up0.weight",        "up0.bias",          "dec0.conv1.weight",
        "dec0.bn1.weight",   "dec0.bn1.bias",     "dec0.conv2.weight", "dec0.bn2.weight",   "dec0.bn2.bias",
        "head.weight",       "head.bias"};
    EXPECT_EQ(names, expected);
}

// Counted by hand from the layers' sizes, level by level.
int64_t counted(int64_t channels, int64_t depth, int64_t width, int64_t outputs) {
    const auto pair = [](int64_t in, int64_t out) { return 9 * in * out + 9 * out * out + 4 * out; };
    int64_t total = width * outputs + outputs;
    int64_t in = channels;
    for (int64_t level = 0; level <= depth; ++level) {
        const int64_t out = width << level;
        total += pair(in, out);
        if (level > 0) {
            total += 4 * out * (out / 2) + out / 2;  // up to the level above
            total += pair(out, out / 2);             // its decoder reads skip and up
        }
        in = out;
    }
    return total;
}

TEST(Unet, has_the_parameters_its_sizes_imply) {
    for (const UnetSpec& spec :
         {UnetSpec{1, 4, 16, 1}, UnetSpec{3, 2, 8, 2}, UnetSpec{1, 0, 4, 1}, UnetSpec{1, 5, 32, 1}}) {
        EXPECT_EQ(parameter_count(unet(spec)), counted(spec.channels, spec.depth, spec.base_width, spec.outputs));
    }
}

TEST(Unet, gives_logits_of_the_images_size) {
    const Graph graph = unet({.channels = 1, .depth = 3, .base_width = 8, .outputs = 2});
    const auto shapes = infer_shapes(graph, 3, 64, 40);
    EXPECT_EQ(shapes[static_cast<size_t>(find_value(graph, "logits").value())], (Shape{3, 64, 40, 2}));
    EXPECT_EQ(shapes[static_cast<size_t>(find_value(graph, "enc3").value())], (Shape{3, 8, 5, 64}));
    EXPECT_EQ(shapes[static_cast<size_t>(find_value(graph, "concat0").value())], (Shape{3, 64, 40, 16}));
}

TEST(Unet, refuses_sides_that_its_poolings_do_not_divide) {
    const Graph graph = unet({.depth = 3});
    try {
        infer_shapes(graph, 1, 64, 44);
        FAIL() << "44 is not a multiple of 8";
    } catch (const std::invalid_argument& error) {
        EXPECT_NE(std::string(error.what()).find("divisible"), std::string::npos) << error.what();
    }
    EXPECT_THROW(infer_shapes(graph, 1, 4, 4), std::invalid_argument);
    EXPECT_THROW(unet({.depth = -1}), std::invalid_argument);
}

TEST(Unet, value_names_are_unique) {
    const Graph graph = unet({});
    std::set<std::string> names;
    for (const Value& value : graph.values) {
        EXPECT_TRUE(names.insert(value.name).second) << value.name;
    }
}

}  // namespace
}  // namespace boneage::net
