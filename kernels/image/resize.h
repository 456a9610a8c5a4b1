// Resizing as OpenCV's cv::resize with INTER_AREA and INTER_LINEAR (half-pixel centres), for any pair of sizes.
#pragma once

#include "kernels/base/view.h"
#include "kernels/base/workers.h"

namespace boneage {

enum class ResizeFilter {
    area,    // each pixel is the mean of the source area it covers; an enlarged image is OpenCV's INTER_AREA variant of
             // linear (both sides are interpolated as soon as one of them grows)
    linear,  // weighted mean of the 2x2 pixels around the half-pixel centre
};

struct ImageSize {
    int64_t height = 0;
    int64_t width = 0;
    constexpr bool operator==(const ImageSize&) const = default;
};

// The size of a height x width image scaled so that its longer side is `max_side`, up or down. The shorter side is
// rounded to the nearest pixel (halves up) and at least 1. All three sizes >= 1.
constexpr ImageSize fit_inside(int64_t height, int64_t width, int64_t max_side) {
    const auto scaled = [max_side](int64_t side, int64_t longer) {
        const int64_t rounded = (2 * side * max_side + longer) / (2 * longer);
        return rounded < 1 ? int64_t{1} : rounded;
    };
    return height >= width ? ImageSize{max_side, scaled(width, height)} : ImageSize{scaled(height, width), max_side};
}

// Resizes every image of a batch to the size of its destination; scales may differ per image and per side.
//   src, dst   [h, w] u8, u16 or float32 (finite), row-strided, sides of 1 to 65,536; dst must not overlap src
//   Allocates nothing.
//
// scale = 1 / (dst / src) in double, per side. Nothing is fused; sums run in the order stated.
//   area, both scales whole (u8, u16): the exact integer sum of the block, float(sum) * (1.0f / pixels), rounded half
//       to even; (sum + 2) >> 2 for blocks of 2x2. `linear` does the same for 2x2 blocks.
//   area, other scales >= 1: weights are the covered fractions of pixels in float32, parts below 0.001 dropped. Each
//       source row is summed left to right, s += float(v) * wx; rows are summed top to bottom, s += row * wy; the sum
//       is rounded half to even.
//   linear: u8 has weights of 11 bits: r = (a * w0 + b * w1) >> 4 in each of the two rows, then
//       ((r0 * v0 >> 16) + (r1 * v1 >> 16) + 2) >> 2. u16 and float32: r = a * w0 + b * w1, then r0 * v0 + r1 * v1 in
//       float32, rounded half to even for u16. Beyond the edges the outermost pixel is repeated.
//
// Twins agree exactly. Against OpenCV 4.6 (x86-64): u8 and u16 equal byte for byte, except u16 area with whole scales
// and more than 256 pixels to a block, where OpenCV sums in float32 and may differ by one level. float32 agrees to a
// relative 1e-5.
template <class P>
void resize(Workers& workers, Batch<const P, Host> src, Batch<P, Host> dst, ResizeFilter filter);

template <class P>
void resize(Stream& stream, Batch<const P, Device> src, Batch<P, Device> dst, ResizeFilter filter);

}  // namespace boneage
