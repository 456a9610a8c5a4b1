// Where the device twin of components.h keeps what it knows of each pixel.
#pragma once

#include "kernels/base/numeric.h"
#include "kernels/base/view.h"

namespace boneage {

// A pixel's node is y * forest_pitch(width) + x, so that four nodes of a row are one aligned access.
BONEAGE_HD constexpr int64_t forest_pitch(int64_t width) {
    return (width + 3) / 4 * 4;
}
BONEAGE_HD constexpr int64_t forest_nodes(int64_t height, int64_t width) {
    return height * forest_pitch(width);
}

}  // namespace boneage
