// 3x3 convolutions by Winograd's minimal filtering: 36 products give 16 pixels, where plain loops take 144.
#pragma once

#include "engine/onednn/team.h"
#include "engine/onednn/weight_store.h"
#include "engine/plan/backend.h"
#include "engine/plan/training_backend.h"

namespace boneage::onednn {

// Whether a step can be made: 3x3, stride 1, padding 1, float32, channels in sixteens that lie as plain pixels or in
// blocks of one of this build's vectors; training's also without bias.
bool winograd_fits(const plan::FusedConv& step, const plan::Operands& at);
bool winograd_fits(const plan::ConvForward& step, const plan::TrainingMemory& memory);
bool winograd_fits(const plan::ConvGradInput& step, const plan::TrainingMemory& memory);
bool winograd_fits(const plan::ConvGradWeight& step, const plan::TrainingMemory& memory);

// F(4x4, 3x3) after Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2016), section 4.3, with the
// Cook-Toom points 0, +-5/8, +-5/4 and infinity: their largest error is a third of that of the customary 0, +-1, +-2,
// and the transforms of images stay exact multiples. Values are read and written where they lie. The bits depend
// neither on the number of threads nor, for an image of a batch, on the others.
std::unique_ptr<plan::Runnable> make_winograd_step(Team& team, const plan::ConvForward& step,
                                                   const plan::TrainingMemory& memory);
std::unique_ptr<plan::Runnable> make_winograd_step(Team& team, const plan::ConvGradInput& step,
                                                   const plan::TrainingMemory& memory);
std::unique_ptr<plan::Runnable> make_winograd_step(Team& team, const plan::ConvGradWeight& step,
                                                   const plan::TrainingMemory& memory);
// The same for a network that is done, with bias, residual and ReLU; images of up to four such tiles by F(2x2, 3x3),
// with the points 0, +-1 and infinity (there, section 4.1). Weights are [out][in][3][3]. NaN comes through ReLU.
std::unique_ptr<plan::Runnable> make_winograd_step(Team& team, WeightStore& store, const plan::FusedConv& step,
                                                   const plan::Operands& at, const plan::Weights& weights);

}  // namespace boneage::onednn
