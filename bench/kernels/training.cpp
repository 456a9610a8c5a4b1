// What a training step does to all weights of a ResNet34 at once.
#include "bench/kernels/radiograph.h"
#include "kernels/nn/adam.h"
#include "kernels/nn/gradient_norm.h"
#include "kernels/nn/moving_average.h"

#include <limits>

namespace boneage::bench {
namespace {

constexpr int64_t kWeights = 21'285'185;

struct Buffers {
    Buffer<float, Host> weights{kWeights}, gradients{kWeights}, first_moment{kWeights}, second_moment{kWeights};
    AdamState adam;
    HostScratch scratch;

    Buffers() {
        weights.clear();
        first_moment.clear();
        second_moment.clear();
        std::fill(gradients.begin(), gradients.end(), 0.01F);
    }
    static Tensor<float, Host> tensor(const Buffer<float, Host>& buffer) { return {buffer.data(), kWeights}; }
};

// Made when first asked for: it takes 340 MB.
Buffers& buffers() {
    static Buffers the_buffers;
    return the_buffers;
}

void add_clipping(const std::string& name, double max_norm, int64_t bytes_each) {
    measure(name, kWeights * bytes_each, [=](Workers& workers) {
        GradientNorm norm;
        clip_gradients(workers, Buffers::tensor(buffers().gradients), max_norm, {&norm, 1},
                       buffers().scratch.bytes(clip_gradients_scratch_bytes(kWeights)));
        benchmark::DoNotOptimize(norm);
    });
}

[[maybe_unused]] const bool kRegistered = [] {
    add_clipping("gradient_norm", std::numeric_limits<double>::infinity(), 4);
    add_clipping("clip_gradients", 1e-30, 12);  // always clips: 1e-6 is added to the norm
    measure("adam", kWeights * 28, [](Workers& workers) {
        adam(workers, {&buffers().adam, 1}, Buffers::tensor(buffers().weights), Buffers::tensor(buffers().gradients),
             Buffers::tensor(buffers().first_moment), Buffers::tensor(buffers().second_moment));
    });
    measure("moving_average", kWeights * 12, [](Workers& workers) {
        const float decay = 0.999F;
        moving_average(workers, {&decay, 1}, Buffers::tensor(buffers().weights),
                       Buffers::tensor(buffers().first_moment));
    });
    return true;
}();

}  // namespace
}  // namespace boneage::bench
