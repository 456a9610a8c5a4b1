// The windows of rows as channels: what PyTorch's unfold does along one side.
#pragma once

#include "kernels/base/numeric.h"
#include "kernels/base/workers.h"
#include "kernels/nn/activations.h"

namespace boneage {

// The channels that a window becomes, whatever its width: 16 bytes of a 16-bit type.
inline constexpr int64_t kUnfoldedChannels = 8;

struct UnfoldParams {
    int64_t width = 3;    // of a window, 1 <= width <= kUnfoldedChannels
    int64_t stride = 1;   // >= 1
    int64_t padding = 0;  // zeros left and right of a row, >= 0
};

// Windows along a row of `pixels` pixels; less than 1 means that none fits.
constexpr int64_t unfolded_width(int64_t pixels, const UnfoldParams& params) {
    const int64_t room = pixels + 2 * params.padding - params.width;
    return room < 0 ? 0 : room / params.stride + 1;
}

// Every window of every row, so that a convolution of one channel by a kernel of height x width becomes one of
// kUnfoldedChannels channels by height x 1: the layout that tensor cores multiply.
//   src   [n, h, w, 1] bfloat16 or float16
//   dst   [n, h, unfolded_width(w), kUnfoldedChannels], same type, dense, aligned to 16 bytes; must not overlap src
//   dst(y, x, j) = src(y, x * stride - padding + j) for j < width; 0 outside src, and for j >= width
//   Assigns; allocates nothing. Twins agree exactly.
//
//   width 3, stride 2, padding 1:     a b c d  ->  0ab00000 bcd00000
template <class T>
void unfold_rows(Workers& workers, Activations<const T, Host> src, Activations<T, Host> dst,
                 const UnfoldParams& params);

template <class T>
void unfold_rows(Stream& stream, Activations<const T, Device> src, Activations<T, Device> dst,
                 const UnfoldParams& params);

}  // namespace boneage
