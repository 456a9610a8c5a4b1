// What plans must be lowered with to run on a GPU. Known in every build, so that its steps can be shown anywhere.
#pragma once

#include "engine/plan/plan.h"
#include "engine/plan/training_plan.h"

namespace boneage::cudnn {

inline constexpr plan::Traits kTraits{.conv_reads_slices = true,
                                      .conv_writes_slices = true,
                                      .residual_in_place = false,
                                      .direct_transposed_conv = false,
                                      .channel_block = 1};

// cuDNN 9.19 builds a data gradient that adds to what is there, but with a general engine, compiled for seconds, in
// place of the one made for the architecture; and it does not say that the sum may be made in place.
inline constexpr plan::TrainingTraits kTrainingTraits{.conv_accumulates = false};

}  // namespace boneage::cudnn
