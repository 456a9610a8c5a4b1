// Randomly changed pictures as network input, so that a network learns what it should not depend on.
#pragma once

#include "kernels/base/view.h"
#include "kernels/base/workers.h"
#include "kernels/image/normalise.h"

namespace boneage {

// How far each picture may be changed. All zeros change nothing.
struct AugmentParams {
    float rotation_degrees = 0;     // either way, 0 to 180
    float shift = 0;                // share of each side, either way, 0 to 1
    float zoom = 0;                 // size between 1 / (1 + zoom) and 1 + zoom times the original, 0 to 10
    float shear = 0;                // columns that a row moves for each row from the middle, either way, 0 to 10
    float flip = 0;                 // probability of swapping left and right
    float brightness = 0;           // added to values of 0..1, either way, 0 to 1
    float contrast = 0;             // distance from the mean level times 1 / (1 + contrast) to 1 + contrast, 0 to 10
    float noise = 0;                // largest standard deviation of noise on values of 0..1, 0 to 1
    float erase = 0;                // probability of erasing a rectangle
    float erase_smallest_area = 0;  // share of the picture, 0 to erase_largest_area
    float erase_largest_area = 0;   // up to 1
    float erase_stretch = 0;        // the rectangle's sides, as shares of the picture's, differ by a factor between
                                    // 1 / (1 + erase_stretch) and 1 + erase_stretch, 0 to 10
    float erase_level = 0;          // what is seen there, 0 to 1
    float background = 0;           // what is seen outside the picture, 0 to 1
};

// What a call draws from: sample i of a batch has the counter first + i. It lives in the memory that the kernel runs
// on, because a captured graph freezes arguments but not memory: the host rewrites it before every step.
struct AugmentDraws {
    uint64_t seed = 0;
    uint64_t first = 0;
};

// Sample i shows picture indices[i], changed by what (seed, counter) alone decide.
//   pictures   [N, h, w, 1] u8, h * w below 2^31
//   indices    [n], each in [0, N); the CPU twin checks them
//   draws      [1]
//   dst        [n, h, w, c] float32, c of 1 to 3
//   scratch    augment_scratch_bytes(n)
//
// A sample's sixteen uniform draws U are those of Rng(seed, counter), all taken whatever is switched on, in the order
//   rotation  shift x  shift y  zoom  shear  flip  brightness  contrast
//   noise  erase  area  stretch  row  column  patch row  patch column
// either way: range * (2U - 1).  1/(1+r) to 1+r: (1 + r)^(2U - 1).  probability p: U < p.
//
// Position.  About the middle of the picture, in columns x and rows y, a pixel goes to
//   R K z F (x, y) + (shift x * w, shift y * h):  F swaps left and right, z zooms, K = (1 shear; 0 1),
//   R = (cos -sin; sin cos), which turns clockwise.
// The inverse is float64 and rounded to float32. An output pixel's position in the picture is
//   X = xx * u + (xy * v + x0),  Y = yx * u + (yy * v + y0),  u and v counted from the output's middle,
// and its level is linear between the four pixels around it, each outside the picture being 255 * background:
//   top = a + fx * (b - a),  bottom = c + fx * (d - c),  level = top + fy * (bottom - top).
//
// Value.  value = clamp(level / 255 * gain + offset + deviation * z, 0, 1)
//   gain       the contrast drawn;  offset = mean[0] * (1 - gain) + brightness: mean[0] of `normalise` is the mean
//   level deviation  noise * U z          nearly normal: the sum of four uniform bytes, less its mean, over its
//   deviation sqrt(21845). So |z| is
//              at most 3.46 and the excess kurtosis -0.3. The bytes of word x mod 4 of the Philox block with counter
//              (x / 4, y + 1, counter) and key seed.
//   erased     h * sqrt(area * stretch) rows and w * sqrt(area / stretch) columns, rounded half to even, at least 1 and
//              at most the side; the first row is floor(U * (h - rows + 1)), columns likewise; value = erase_level
// and dst = (value - mean[c]) / deviation[c] in every channel c, as normalise() has it. Without any change dst is that
// of normalise(), bit for bit.
//
//   float32, one rounding an operation; what a sample needs once (sin, cos, exp, log by the series of augment_math.h)
//   is float64. Sides below 2^22. Assigns; allocates nothing. The same bits for any number of workers and at any place
//   in a batch, and the twins agree exactly.
void augment(Workers& workers, Tensor<const uint8_t, Host> pictures, Tensor<const int32_t, Host> indices,
             Tensor<const AugmentDraws, Host> draws, Tensor<float, Host> dst, const AugmentParams& params,
             const NormaliseParams& normalise, Bytes<Host> scratch);

void augment(Stream& stream, Tensor<const uint8_t, Device> pictures, Tensor<const int32_t, Device> indices,
             Tensor<const AugmentDraws, Device> draws, Tensor<float, Device> dst, const AugmentParams& params,
             const NormaliseParams& normalise, Bytes<Device> scratch);

// The same for pictures of different sizes and their masks: sample i shows a patch of picture indices[i].
//   pictures   [h, w] u8, row-strided, height * stride below 2^31
//   masks      one for each picture, of its size; 0..255
//   dst        [n, p, p, c] float32
//   targets    [n, p, p, 1] float32: level / 255 of the mask at the image's positions, 0 outside it; values are not
//              changed, and what is erased in the image keeps its target
//   The patch's first row is floor(U * (h - p + 1)), or -((p - h) / 2) where the picture is smaller, columns likewise;
//   positions are changed about its middle, and shift and erasing go by its sides.
void augment_patches(Workers& workers, Batch<const uint8_t, Host> pictures, Batch<const uint8_t, Host> masks,
                     Tensor<const int32_t, Host> indices, Tensor<const AugmentDraws, Host> draws,
                     Tensor<float, Host> dst, Tensor<float, Host> targets, const AugmentParams& params,
                     const NormaliseParams& normalise, Bytes<Host> scratch);

void augment_patches(Stream& stream, Batch<const uint8_t, Device> pictures, Batch<const uint8_t, Device> masks,
                     Tensor<const int32_t, Device> indices, Tensor<const AugmentDraws, Device> draws,
                     Tensor<float, Device> dst, Tensor<float, Device> targets, const AugmentParams& params,
                     const NormaliseParams& normalise, Bytes<Device> scratch);

int64_t augment_scratch_bytes(int64_t samples);

}  // namespace boneage
