// Trains on the CPU: convolutions by oneDNN, everything else by this project's kernels.
#pragma once

#include "engine/plan/training_backend.h"

#include <memory>

namespace boneage::onednn {

// How 3x3 convolutions in float32 are computed, forward and backward.
enum class Convolutions {
    direct,    // by oneDNN
    winograd,  // by F(4x4, 3x3) where channels come in sixteens (winograd.h): two to four times fewer products, whose
               // sums are rounded about ten times as coarsely
};

// `threads` work on every step together. The same bits come out of every run with the same number of threads. Throws
// UsageError for less than one thread.
std::unique_ptr<plan::TrainingBackend> make_training_backend(int threads,
                                                             Convolutions convolutions = Convolutions::direct);

}  // namespace boneage::onednn
