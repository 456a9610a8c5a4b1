// Trains on a GPU: convolutions by cuDNN graphs, everything else by this project's kernels.
#pragma once

#include "engine/cudnn/backend.h"
#include "engine/plan/training_backend.h"

namespace boneage::cudnn {

// What training plans must be lowered with to run here. cuDNN 9.19 builds a data gradient that adds to what is there,
// but with a general engine, compiled for seconds, in place of the one made for the architecture; and it does not say
// that the sum may be made in place.
inline constexpr plan::TrainingTraits kTrainingTraits{.conv_accumulates = false};

// Everything is queued on `stream`, which must outlive the back end; a step may be recorded as a CUDA graph. Built
// plans are kept in cache_folder(). The same bits come out of every run on one device. Throws DeviceError when cuDNN is
// missing or too old, or refuses the device.
std::unique_ptr<plan::TrainingBackend> make_training_backend(Stream& stream, const BackendOptions& options = {});

}  // namespace boneage::cudnn
