// Trains on a GPU: convolutions by cuDNN graphs, everything else by this project's kernels.
#pragma once

#include "engine/plan/training_backend.h"
#include "kernels/base/stream.h"

namespace boneage::cudnn {

struct TrainingBackendOptions {
    bool autotune = false;  // measure cuDNN's suggestions instead of trusting their order
    // Called with the name of every graph whose plan is about to be built, because none was found in the cache.
    std::function<void(std::string_view graph)> preparing;
};

// What training plans must be lowered with to run here. cuDNN 9.19 builds a data gradient that adds to what is there,
// but with a general engine, compiled for seconds, in place of the one made for the architecture; and it does not say
// that the sum may be made in place.
inline constexpr plan::TrainingTraits kTrainingTraits{.conv_accumulates = false};

// Everything is queued on `stream`, which must outlive the back end; a step may be recorded as a CUDA graph. Built
// plans are kept in cache_folder(). The same bits come out of every run on one device. Throws DeviceError when cuDNN is
// missing or too old, or refuses the device.
std::unique_ptr<plan::TrainingBackend> make_training_backend(Stream& stream,
                                                             const TrainingBackendOptions& options = {});

}  // namespace boneage::cudnn
