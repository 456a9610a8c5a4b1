// The convolution steps of training: forward, gradient for the input, gradient for the weight.
#pragma once

#include "engine/onednn/team.h"
#include "engine/plan/training_backend.h"

namespace boneage::onednn {

// Whole batches at a time by all threads of the team. Values are read and written where they lie (NHWC); weights are
// brought from the flat float32 parameters into oneDNN's order, and their gradients back, by every run.
// Without bf16 convolutions in this processor (processor() in conv.h) bf16 values are widened in scratch.
std::unique_ptr<plan::Runnable> make_training_step(Team& team, const plan::ConvForward& step,
                                                   const plan::TrainingMemory& memory);
std::unique_ptr<plan::Runnable> make_training_step(Team& team, const plan::ConvGradInput& step,
                                                   const plan::TrainingMemory& memory);
std::unique_ptr<plan::Runnable> make_training_step(Team& team, const plan::ConvGradWeight& step,
                                                   const plan::TrainingMemory& memory);

}  // namespace boneage::onednn
