// The steps that are not convolutions: this project's kernels, image by image.
#pragma once

#include "engine/onednn/team.h"
#include "engine/plan/backend.h"

namespace boneage::onednn {

std::unique_ptr<plan::Runnable> make_max_pool(Team& team, const plan::MaxPool& step, const plan::Operands& at);
std::unique_ptr<plan::Runnable> make_average_pool(Team& team, const plan::Operands& at);
std::unique_ptr<plan::Runnable> make_depth_to_space(Team& team, const plan::Operands& at);
std::unique_ptr<plan::Runnable> make_copy(Team& team, const plan::Operands& at);
std::unique_ptr<plan::Runnable> make_linear(Team& team, const plan::Linear& step, const plan::Operands& at,
                                            const plan::Weights& weights);

}  // namespace boneage::onednn
