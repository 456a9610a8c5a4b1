// Where the device twin of components.h keeps what it knows of a mask.
#pragma once

#include "kernels/base/numeric.h"
#include "kernels/base/view.h"

namespace boneage {

// A mask is kept as bits, 32 pixels of a row a word.
BONEAGE_HD constexpr int64_t mask_row_words(int64_t width) {
    return (width + 31) / 32;
}
BONEAGE_HD constexpr int64_t mask_words(int64_t height, int64_t width) {
    return height * mask_row_words(width);
}

// Two runs of pixels within a word do not touch, so there are at most 16, and no two begin at bits 2i and 2i + 1.
inline constexpr int64_t kWordRuns = 16;

}  // namespace boneage
