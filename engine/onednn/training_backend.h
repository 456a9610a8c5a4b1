// Trains on the CPU: convolutions by oneDNN, everything else by this project's kernels.
#pragma once

#include "engine/onednn/convolutions.h"
#include "engine/plan/training_backend.h"

#include <memory>

namespace boneage::onednn {

// `threads` work on every step together. The same bits come out of every run with the same number of threads. Throws
// UsageError for less than one thread.
std::unique_ptr<plan::TrainingBackend> make_training_backend(int threads,
                                                             Convolutions convolutions = Convolutions::direct);

}  // namespace boneage::onednn
