#include "engine/net/builder.h"

#include <array>
#include <stdexcept>

namespace boneage::net {
namespace {

// Two 3x3 convolutions around a shortcut; the first one of a stage halves the sides and doubles the channels, and its
// shortcut then is a 1x1 convolution.
ValueId basic_block(Builder& net, ValueId x, const std::string& name, int64_t channels, bool downsample) {
    const int64_t stride = downsample ? 2 : 1;
    const ValueId shortcut = downsample ? net.conv_norm(x, name + ".downsample.0", name + ".downsample.1", channels, 1,
                                                        2, Act::none, name + ".downsample")
                                        : x;
    const ValueId middle =
        net.conv_norm(x, name + ".conv1", name + ".bn1", channels, 3, stride, Act::relu, name + ".conv1");
    return net.conv_norm(middle, name + ".conv2", name + ".bn2", channels, 3, 1, Act::relu, name, shortcut);
}

}  // namespace

Graph resnet34(const ResNet34Spec& spec) {
    if (spec.channels < 1 || spec.channels > 3 || spec.base_width < 1 || spec.hidden < 0 || spec.outputs < 1) {
        throw std::invalid_argument(
            "resnet34: 1 to 3 channels, a positive width, at least one output, no negative hidden width");
    }
    Builder net("resnet34");
    ValueId x = net.input("image", spec.channels, true);
    x = net.conv_norm(x, "conv1", "bn1", spec.base_width, 7, 2, Act::relu, "conv1");
    x = net.max_pool(x, 3, 2, 1, "maxpool");

    constexpr std::array<int64_t, 4> kBlocks{3, 4, 6, 3};
    int64_t channels = spec.base_width;
    for (size_t stage = 0; stage < kBlocks.size(); ++stage) {
        for (int64_t block = 0; block < kBlocks[stage]; ++block) {
            const std::string name = "layer" + std::to_string(stage + 1) + "." + std::to_string(block);
            x = basic_block(net, x, name, channels, stage > 0 && block == 0);
        }
        channels *= 2;
    }
    x = net.global_avg_pool(x, "features");

    if (spec.sex_input) {
        const ValueId sex = net.linear(net.input("sex", 1, false), "sex_fc", 32, Act::relu, "sex_fc");
        x = net.concat({x, sex}, "features_and_sex");
    }
    if (spec.hidden > 0) {
        x = net.linear(x, "fc_hidden", spec.hidden, Act::relu, "fc_hidden");
    }
    net.output(net.linear(x, "fc", spec.outputs, Act::none, "age"));
    return net.take();
}

}  // namespace boneage::net
