// Augmentation as both twins are tried with.
#pragma once

#include "kernels/image/augment.h"

namespace boneage::testing {

inline constexpr NormaliseParams kImageNet{{0.485F, 0.456F, 0.406F}, {0.229F, 0.224F, 0.225F}};
inline constexpr AugmentParams kEverything{.rotation_degrees = 30,
                                           .shift = 0.2F,
                                           .zoom = 0.5F,
                                           .shear = 0.2F,
                                           .flip = 0.5F,
                                           .brightness = 0.2F,
                                           .contrast = 0.5F,
                                           .noise = 0.1F,
                                           .erase = 0.5F,
                                           .erase_smallest_area = 0.02F,
                                           .erase_largest_area = 0.3F,
                                           .erase_stretch = 1,
                                           .erase_level = 0.3F,
                                           .background = 0.1F};

}  // namespace boneage::testing
