// What the twins of unfold.h share.
#pragma once

#include "kernels/base/error.h"
#include "kernels/nn/convert_math.h"
#include "kernels/nn/unfold.h"

namespace boneage {

template <class T, class Space>
void check_unfold(const Activations<const T, Space>& src, const Activations<T, Space>& dst,
                  const UnfoldParams& params) {
    expects(params.width >= 1 && params.width <= kUnfoldedChannels && params.stride >= 1 && params.padding >= 0,
            "a window is 1 to 8 pixels wide, its stride at least 1, its padding not negative");
    expects(src.c == 1, "src must have one channel");
    const int64_t width = unfolded_width(src.w, params);
    expects(width >= 1, "no window fits the row");
    expects(same_shape(dst, Activations<T, Space>(nullptr, src.n, src.h, width, kUnfoldedChannels)) && dst.dense(),
            "dst must be the windows of src, dense");
}

// Channel `j` of the window whose first pixel is `first` of a row.
template <class T>
BONEAGE_HD inline T window_pixel(const T* row, int64_t pixels, int64_t pixel_stride, int64_t first, int64_t j,
                                 int64_t width) {
    const int64_t x = first + j;
    return j < width && x >= 0 && x < pixels ? row[x * pixel_stride] : from_float<T>(0.0F);
}

}  // namespace boneage
