// Training's 3x3 convolutions by Winograd's minimal filtering: 36 products give 16 pixels, where plain loops take 144.
#pragma once

#include "engine/onednn/team.h"
#include "engine/plan/training_backend.h"

namespace boneage::onednn {

// Whether a step can be made: 3x3, stride 1, padding 1, no bias, float32, channels in sixteens.
bool winograd_fits(const plan::ConvForward& step, const plan::TrainingMemory& memory);
bool winograd_fits(const plan::ConvGradInput& step, const plan::TrainingMemory& memory);
bool winograd_fits(const plan::ConvGradWeight& step, const plan::TrainingMemory& memory);

// F(4x4, 3x3) after Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2016), section 4.3, with the
// Cook-Toom points 0, +-5/8, +-5/4 and infinity: their largest error is a third of that of the customary 0, +-1, +-2,
// and the transforms of images stay exact multiples. Values are read and written where they lie (NHWC). The bits do not
// depend on the number of threads.
std::unique_ptr<plan::Runnable> make_winograd_step(Team& team, const plan::ConvForward& step,
                                                   const plan::TrainingMemory& memory);
std::unique_ptr<plan::Runnable> make_winograd_step(Team& team, const plan::ConvGradInput& step,
                                                   const plan::TrainingMemory& memory);
std::unique_ptr<plan::Runnable> make_winograd_step(Team& team, const plan::ConvGradWeight& step,
                                                   const plan::TrainingMemory& memory);

}  // namespace boneage::onednn
