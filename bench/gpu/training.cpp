// What a training step does to all weights of a ResNet34 at once.
#include "bench/gpu/device_scene.h"
#include "kernels/nn/adam.h"
#include "kernels/nn/gradient_norm.h"
#include "kernels/nn/moving_average.h"

#include <limits>

namespace boneage::bench {
namespace {

constexpr int64_t kWeights = 21'285'185;

std::shared_ptr<Buffer<float, Device>> weights_of(Stream& stream, float value) {
    return device_memory(stream, std::vector<float>(static_cast<size_t>(kWeights), value));
}

Tensor<float, Device> tensor(const std::shared_ptr<Buffer<float, Device>>& buffer) {
    return {buffer->data(), kWeights};
}

void add_clipping(const std::string& name, double max_norm, int64_t bytes_each) {
    on_device(name, [=](Stream& stream) {
        const auto gradients = weights_of(stream, 0.01F);
        const auto norm = device_memory<GradientNorm>(1);
        const auto scratch = device_memory<std::byte>(clip_gradients_scratch_bytes(kWeights));
        return DeviceWork{
            kWeights * bytes_each, [=, &stream] {
                clip_gradients(stream, tensor(gradients), max_norm, {norm->data(), 1}, bytes_of(*scratch));
            }};
    });
}

[[maybe_unused]] const bool kRegistered = [] {
    add_clipping("gradient_norm", std::numeric_limits<double>::infinity(), 4);
    add_clipping("clip_gradients", 1e-30, 12);  // always clips: 1e-6 is added to the norm
    on_device("adam", [](Stream& stream) {
        const auto state = device_memory(stream, std::vector<AdamState>(1));
        const auto weights = weights_of(stream, 0);
        const auto gradients = weights_of(stream, 0.01F);
        const auto first_moment = weights_of(stream, 0);
        const auto second_moment = weights_of(stream, 0);
        return DeviceWork{kWeights * 28, [=, &stream] {
                              adam(stream, {state->data(), 1}, tensor(weights), tensor(gradients), tensor(first_moment),
                                   tensor(second_moment));
                          }};
    });
    on_device("moving_average", [](Stream& stream) {
        const auto decay = device_memory(stream, std::vector<float>(1, 0.999F));
        const auto weights = weights_of(stream, 0.5F);
        const auto average = weights_of(stream, 0);
        return DeviceWork{kWeights * 12, [=, &stream] {
                              moving_average(stream, {decay->data(), 1}, tensor(weights), tensor(average));
                          }};
    });
    return true;
}();

}  // namespace
}  // namespace boneage::bench
