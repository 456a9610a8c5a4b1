// Later passes of lowering: who depends on what, who may overwrite whom, who lives when.
#pragma once

#include "engine/plan/plan.h"

namespace boneage::plan {

// Fills plan.reruns: for each input in Options::rerun the steps that depend on it.
void find_reruns(Plan& plan);

// Where Traits::residual_in_place allows, gives a convolution's y the buffer of a residual that dies there, and drops
// the buffer y had.
void overwrite_residuals(Plan& plan);

// Lifetimes of all buffers, then their offsets and the arena's size.
void place_buffers(Plan& plan);

}  // namespace boneage::plan
