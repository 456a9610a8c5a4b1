#include "engine/net/builder.h"

#include <stdexcept>

namespace boneage::net {
namespace {

ValueId double_conv(Builder& net, ValueId x, const std::string& name, int64_t channels) {
    x = net.conv_norm(x, name + ".conv1", name + ".bn1", channels, 3, 1, Act::relu, name + ".conv1");
    return net.conv_norm(x, name + ".conv2", name + ".bn2", channels, 3, 1, Act::relu, name);
}

}  // namespace

Graph unet(const UnetSpec& spec) {
    if (spec.channels < 1 || spec.depth < 0 || spec.depth > 8 || spec.base_width < 1 || spec.outputs < 1) {
        throw std::invalid_argument("unet: channels, width and outputs must be positive, depth 0 to 8");
    }
    Builder net("unet");
    const auto width = [&](int64_t level) { return spec.base_width << level; };

    // Level i works on sides divided by 2^i.
    ValueId x = net.input("image", spec.channels, true);
    std::vector<ValueId> skips;
    for (int64_t level = 0; level < spec.depth; ++level) {
        skips.push_back(double_conv(net, x, "enc" + std::to_string(level), width(level)));
        x = net.max_pool(skips.back(), 2, 2, 0, "pool" + std::to_string(level));
    }
    x = double_conv(net, x, "enc" + std::to_string(spec.depth), width(spec.depth));
    for (int64_t level = spec.depth - 1; level >= 0; --level) {
        const std::string number = std::to_string(level);
        const ValueId up = net.transposed_conv(x, "up" + number, width(level));
        x = net.concat({skips[static_cast<size_t>(level)], up}, "concat" + number);
        x = double_conv(net, x, "dec" + number, width(level));
    }
    net.output(net.pointwise(x, "head", spec.outputs, "logits"));
    return net.take();
}

}  // namespace boneage::net
