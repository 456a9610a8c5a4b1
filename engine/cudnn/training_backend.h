// Trains on a GPU: convolutions by cuDNN graphs, everything else by this project's kernels.
#pragma once

#include "engine/cudnn/traits.h"  // IWYU pragma: export
#include "engine/plan/training_backend.h"
#include "kernels/base/stream.h"

namespace boneage::cudnn {

struct TrainingBackendOptions {
    bool autotune = false;  // measure cuDNN's suggestions instead of trusting their order
    // Called with the name of every graph whose plan is about to be built, because none was found in the cache.
    std::function<void(std::string_view graph)> preparing;
};

// Everything is queued on `stream`, which must outlive the back end; a step may be recorded as a CUDA graph. Built
// plans are kept in cache_folder(). The same bits come out of every run on one device. Throws DeviceError when cuDNN is
// missing or too old, or refuses the device.
std::unique_ptr<plan::TrainingBackend> make_training_backend(Stream& stream,
                                                             const TrainingBackendOptions& options = {});

}  // namespace boneage::cudnn
