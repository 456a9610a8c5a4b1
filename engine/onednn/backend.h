// Runs plans on the CPU: convolutions by oneDNN, everything else by this project's kernels.
#pragma once

#include "engine/onednn/convolutions.h"
#include "engine/onednn/weight_store.h"
#include "engine/plan/backend.h"

#include <memory>
#include <optional>
#include <string>

namespace boneage::onednn {

struct BackendOptions {
    // Threads that work on one step together, the caller's included. When folders are scored, several back ends of one
    // thread each do more than one back end of several.
    int threads = 1;
    // Channels stored together (plan::Traits::channel_block): 1, 8 or 16. By default what oneDNN's kernels for this
    // processor and type want; any other choice is right too, but slow.
    std::optional<int64_t> channel_block = std::nullopt;
    Convolutions convolutions = Convolutions::winograd;
    // Where transformed weights are held; back ends that run the same networks should share one. By default one of its
    // own.
    std::shared_ptr<WeightStore> weights = nullptr;
};

// A step works image by image: each thread on images of its own while there are enough of them, then all threads on
// one image after the other. An image therefore meets the same convolution kernel whatever the batch size, and gets
// the same bits. Throws UsageError for less than one thread or another block.
std::unique_ptr<plan::Backend> make_backend(const BackendOptions& options);

// What computes here and at which price, for people: "oneDNN 2.6.3 on AVX2; bf16 emulated: this processor has no
// bf16 instructions, so f32 is likely faster".
std::string describe(plan::Precision precision);

}  // namespace boneage::onednn
